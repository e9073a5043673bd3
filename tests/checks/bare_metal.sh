#!/usr/bin/env bash
# usage: bare_metal.sh GEMLET CPU...
# The library and the ports for boards compile where no header of an operating system, and hardly one of a C library, can be included;
# the library is small; and linked into an image for a core without an operating system, it has the demo model describe a picture on
# each CPU with the words of GEMLET, the program on Linux.
set -euo pipefail
gemlet=$1
shift
build=build/bare-metal
read -ra emulator <<<"${EMULATOR:-}"
cmake --preset bare-metal >/dev/null
cmake --build --preset bare-metal >$build/build.log || { cat $build/build.log; exit 1; }
for library in gemlet gemlet-semihosting gemlet-template; do
    [ -s $build/lib$library.a ] || { echo "lib$library.a was not built"; exit 1; }
done
tests/checks/symbols.sh $build/libgemlet.a aarch64-linux-gnu-nm aarch64-linux-gnu-objdump

# That the headers are out of reach is itself checked: with the build's own flags.
read -ra compiler <<<"$(sed -n 's/^set(CMAKE_C_COMPILER "\(.*\)")$/\1/p' $build/CMakeFiles/*/CMakeCCompiler.cmake) $(cmake -LA -N $build | sed -n 's/^CMAKE_C_FLAGS:STRING=//p')"
can_include() {
    echo "#include <$1>" | "${compiler[@]}" -std=c11 -x c -fsyntax-only - 2>/dev/null
}
for header in string.h math.h stdint.h arm_neon.h; do
    can_include $header || { echo "<$header> cannot be included"; exit 1; }
done
for header in stdio.h stdlib.h unistd.h fcntl.h pthread.h time.h errno.h sys/types.h sys/mman.h sys/stat.h; do
    if can_include $header; then
        echo "<$header> can be included"
        exit 1
    fi
done

python3 tests/proof/sizes.py $build aarch64-linux-gnu-gcc aarch64-linux-gnu-objdump

# What only this build compiles, tests/checks/tidy.sh does not see.
mkdir -p $build/tidy
sed 's/ -fcallgraph-info=su//' $build/compile_commands.json >$build/tidy/compile_commands.json # clang knows no call graphs
tidied=$(clang-tidy-14 --quiet -p $build/tidy examples/bare-metal/describe.c 2>&1) || { echo "$tidied"; exit 1; }

# --- Size --------------------------------------------------------------------------------------------------------------------------
size_of() { # FILE: its bytes of code and constants
    aarch64-linux-gnu-size -A "$1" | awk '/^\.(text|rodata|data|bss)/ { bytes += $2 } END { print bytes }'
}
limit=420000
library=$(size_of $build/libgemlet.a)
echo "libgemlet.a: $library bytes of code and constants, all levels (at most $limit)"
[ "$library" -le $limit ] || exit 1
image=$build/describe.elf
echo "describe.elf: $(aarch64-linux-gnu-size -A $image | awk '/^\.(text|rodata|data) / { bytes += $2 } END { print bytes }') bytes" \
    "of code and constants, C library included"

# --- A picture is described ----------------------------------------------------------------------------------------------------------
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
model=examples/demo/demo.gguf picture=examples/demo/two.jpg prompt="What do you see?"
djpeg -pnm $picture >"$work/picture.ppm"

# board MACHINE CPU ARGUMENT...: the image on QEMU's machine, its console on standard output
board() {
    local machine=$1 cpu=$2 arguments
    shift 2
    arguments=$(printf ',arg=%s' describe "$@")
    timeout 600 qemu-system-aarch64 -M "$machine" -cpu "$cpu" -m "${MEMORY:-256M}" -kernel $image -display none -monitor none -serial none -nic none \
        -chardev stdio,id=console -semihosting-config "enable=on,target=native,chardev=console$arguments" </dev/null
}

"${emulator[@]}" "$gemlet" run -m $model --image $picture --temp 0 -p "$prompt" >"$work/linux"
[ "$(wc -w <"$work/linux")" -gt 4 ] || { echo "hardly any text on Linux: $(cat "$work/linux")"; exit 1; }
for cpu in "$@"; do
    code=0
    board virt "$cpu" $model "$work/picture.ppm" 64 "$prompt" >"$work/output" || code=$?
    head -n -1 "$work/output" >"$work/text"
    if [ $code != 0 ] || ! cmp -s "$work/text" "$work/linux"; then
        printf '%s: exit code %s; expected the text\n%s\nfound\n%s\n' "$cpu" $code "$(cat "$work/linux")" "$(cat "$work/output")"
        exit 1
    fi
    echo "describe.elf on $cpu: \"$(cat "$work/text")\", as on Linux; $(tail -n 1 "$work/output")"
    tail -n 1 "$work/output" | grep -q 'used as planned; stack' || exit 1
done

# --- It starts at each exception level, and says what is wrong -----------------------------------------------------------------------
# expect CODE MACHINE PATTERN ARGUMENT...
expect() {
    local expected=$1 machine=$2 pattern=$3 code=0
    shift 3
    board "$machine" cortex-a72 "$@" >"$work/output" || code=$?
    if [ $code != "$expected" ] || ! grep -qE "$pattern" "$work/output"; then
        echo "describe.elf $* on $machine: expected exit code $expected and \"$pattern\", found $code and \"$(cat "$work/output")\""
        exit 1
    fi
}
expect 1 virt 'expected the command line'
expect 1 virt,virtualization=on 'none.ppm can.t be opened' $model "$work/none.ppm" 1 x
expect 1 virt,secure=on 'no binary PPM' $model $model 1 x
expect 1 virt,secure=on,virtualization=on 'picture.ppm' "$work/picture.ppm" "$work/picture.ppm" 1 x
head -c 1000 "$work/picture.ppm" >"$work/cut.ppm"
expect 1 virt 'the picture is cut' $model "$work/cut.ppm" 1 x
MEMORY=1M expect 3 virt 'exception: ESR .*, address [0-9a-f]{8}' $model "$work/picture.ppm" 1 x # where no memory is
echo "describe.elf starts at EL1, EL2 and EL3, and names what is wrong: 6 cases"
