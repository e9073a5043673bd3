#!/usr/bin/env python3
"""usage: bill_of_materials.py OUTPUT VERSION NM READELF LIBRARY [PROGRAM ...]

The software bill of materials of a build, in CycloneDX 1.5, from what is really linked: the undefined symbols of libgemlet.a, which
tell what the library wants of C's library, and the shared libraries that each program names.  One that is not described here comes out
without a licence, which tests/checks/bill_of_materials.sh refuses.  The same files give the same bytes.
"""
import hashlib
import json
import os
import re
import subprocess
import sys

# Shared libraries by the beginning of their name: what they are, and their licence (SPDX).
KNOWN = {
    "libc.so": ("glibc", "LGPL-2.1-or-later"),
    "libm.so": ("glibc", "LGPL-2.1-or-later"),
    "ld-linux": ("glibc", "LGPL-2.1-or-later"),
    "libjpeg.so": ("libjpeg-turbo", "IJG AND BSD-3-Clause AND Zlib"),
    "libpng16.so": ("libpng", "libpng-2.0"),
    "libwebp.so": ("libwebp", "BSD-3-Clause"),
    "libz.so": ("zlib", "Zlib"),
    "libcjson.so": ("cJSON", "MIT"),
    "libmicrohttpd.so": ("GNU libmicrohttpd", "LGPL-2.1-or-later"),
    "libsndfile.so": ("libsndfile", "LGPL-2.1-or-later"),
    "libsamplerate.so": ("libsamplerate", "BSD-2-Clause"),
}
# Folders of Debian's libraries, by the machine that readelf names.
FOLDERS = {"Advanced Micro Devices X86-64": "x86_64-linux-gnu", "AArch64": "aarch64-linux-gnu"}


def run(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True, env={**os.environ, "LC_ALL": "C"}).stdout


def file_component(kind, path, version):
    name = os.path.basename(path)
    with open(path, "rb") as file:
        digest = hashlib.sha256(file.read()).hexdigest()
    return {"type": kind, "bom-ref": name, "name": name, "version": version, "hashes": [{"alg": "SHA-256", "content": digest}]}


def wanted_of_c(library, nm):
    """Functions that the library calls and does not define."""
    undefined = set(re.findall(r"^ +U (\S+)$", run(nm, "-u", library), re.M))
    defined = set(re.findall(r" [A-TV-Zs] (\S+)$", run(nm, "--defined-only", "-g", library), re.M))
    return sorted(undefined - defined)


def needed_by(program, readelf):
    return re.findall(r"\(NEEDED\).*\[(.*)\]", run(readelf, "-d", program))


def shared_component(name, known, licence, machine):
    """A shared library; the version is the package's, where the system has packages of Debian."""
    component = {"type": "library", "bom-ref": known, "name": known}
    if licence is not None:
        component["licenses"] = [{"expression": licence}]
    try:
        owners = run("dpkg-query", "-S", "*/%s/%s" % (FOLDERS.get(machine), name)).split("\n")
        package = owners[0].split(": ")[0].split(",")[0]
        version = run("dpkg-query", "-W", "-f", "${Version}", package)
    except (OSError, subprocess.CalledProcessError):
        return component
    component["version"] = version
    component["purl"] = "pkg:deb/debian/%s@%s" % (package.split(":")[0], version.replace(":", "%3A").replace("+", "%2B"))
    return component


def main():
    output, version, nm, readelf, library = sys.argv[1:6]
    files = [file_component("library", library, version)]
    files[0]["properties"] = [{"name": "gemlet:wants-of-c", "value": " ".join(wanted_of_c(library, nm))}]
    depends = {files[0]["bom-ref"]: []}
    shared = {}
    for program in sys.argv[6:]:
        files.append(file_component("application", program, version))
        depends[files[-1]["bom-ref"]] = [files[0]["bom-ref"]]
        machine = re.search(r"Machine: +(.*)", run(readelf, "-h", program)).group(1)
        for name in needed_by(program, readelf):
            known, licence = next((KNOWN[k] for k in KNOWN if name.startswith(k)), (name, None))
            shared.setdefault(known, shared_component(name, known, licence, machine))
            if known not in depends[files[-1]["bom-ref"]]:
                depends[files[-1]["bom-ref"]].append(known)
    depends.update({known: [] for known in shared})
    bill = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {"component": {"type": "library", "bom-ref": "gemlet-package", "name": "gemlet-package", "version": version}},
        "components": files + [shared[k] for k in sorted(shared)],
        "dependencies": [{"ref": "gemlet-package", "dependsOn": [f["bom-ref"] for f in files]}]
        + [{"ref": ref, "dependsOn": depends[ref]} for ref in sorted(depends)],
    }
    with open(output, "w") as out:
        json.dump(bill, out, indent=1)
        out.write("\n")


main()
