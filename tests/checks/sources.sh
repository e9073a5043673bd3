# Sourced by the checks: the C files under the given directories, or everywhere.
c_files() {
    if [ $# = 0 ]; then
        set -- include core model port examples tests toolchains
    fi
    find "$@" -name '*.[ch]' | sort
}
