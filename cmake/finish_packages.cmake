# Run by cpack on each package's tree before it is packed: copyright and changelog, compressed manual pages.
file(STRINGS ${CPACK_GEMLET_SOURCE}/LICENSE license)
set(packages_program gemlet)
set(packages_packer gemlet-pack)
set(packages_development libgemlet-dev)
foreach(component program packer development)
    set(tree ${CPACK_TEMPORARY_DIRECTORY}/${component})
    if(NOT IS_DIRECTORY ${tree})
        continue()
    endif()
    set(documents ${tree}/usr/share/doc/${packages_${component}})
    file(MAKE_DIRECTORY ${documents})
    file(WRITE ${documents}/copyright "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: gemlet

Files: *
Copyright: The gemlet authors
License: Apache-2.0
 On Debian systems the whole text of this license is in
 /usr/share/common-licenses/Apache-2.0.
")
    file(WRITE ${documents}/changelog "gemlet (${CPACK_PACKAGE_VERSION}) unstable; urgency=low

  * This version; the project's own history says what changed.

 -- ${CPACK_PACKAGE_CONTACT}  Thu, 01 Jan 1970 00:00:00 +0000
")
    file(GLOB pages ${documents}/changelog ${tree}/usr/share/man/man1/*.1)
    foreach(page ${pages})
        execute_process(COMMAND gzip -9nf ${page} COMMAND_ERROR_IS_FATAL ANY)
    endforeach()
endforeach()
