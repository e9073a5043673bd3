#!/usr/bin/env bash
# Builds what gemlet is measured against, from the source package llama-cpp-python, below build/peers.  Needs pip and about 100 MB.
#     tests/bench/peers.sh            ggml's ARM kernels, one program per instruction level: peer_ggml_{1,2,3} (tests/bench/peer_ggml.c);
#                                     kernels.sh shows them where this has been run
#     tests/bench/peers.sh --tools    llama.cpp's programs for a Cortex-A76: llama.cpp/bin/llama-{bench,perplexity,completion,mtmd-cli};
#                                     about half an hour of one core
#     tests/bench/peers.sh --tools armv8-a    the same for another architecture, in llama.cpp-armv8-a
set -euo pipefail
cd "$(dirname "$0")/../.."
out=build/peers
version=0.3.36
mkdir -p "$out"
if [ ! -d "$out/llama_cpp_python-$version" ]; then
    python3 -m venv "$out/venv"
    "$out/venv/bin/pip" install -q scikit-build-core
    "$out/venv/bin/pip" download -q --no-deps --no-binary :all: --no-build-isolation -d "$out" "llama-cpp-python==$version"
    tar xf "$out/llama_cpp_python-$version.tar.gz" -C "$out"
fi
ggml=$out/llama_cpp_python-$version/vendor/llama.cpp/ggml
native=$(uname -m)
cc=gcc cxx=g++
if [ "$native" != aarch64 ]; then cc=aarch64-linux-gnu-gcc cxx=aarch64-linux-gnu-g++; fi

# What no measurement runs (command line, chat templates, other models' graphs) is compiled without optimisation: it takes half the time.
write_launcher() {
    cat >"$out/launch" <<'LAUNCH'
#!/usr/bin/env bash
case "${!#}" in
*/src/models/gemma* | */mtmd/models/mobilenetv5.cpp) ;;
*/src/models/* | */mtmd/models/* | */llama.cpp/common/* | */llama.cpp/vendor/*) set -- "$@" -O0 ;;
esac
exec nice ${CCACHE:-} "$@"
LAUNCH
    chmod +x "$out/launch"
}

build_tools() { # ARCHITECTURE FOLDER
    local made=$out/$2
    CCACHE=$(command -v ccache || true)
    export CCACHE
    write_launcher
    cmake -G Ninja -S "$ggml/.." -B "$made" -DCMAKE_BUILD_TYPE=Release -DBUILD_SHARED_LIBS=OFF -DCMAKE_EXE_LINKER_FLAGS=-static \
        -DCMAKE_SYSTEM_NAME=Linux -DCMAKE_SYSTEM_PROCESSOR=aarch64 -DCMAKE_C_COMPILER="$cc" -DCMAKE_CXX_COMPILER="$cxx" \
        -DCMAKE_C_COMPILER_LAUNCHER="$PWD/$out/launch" -DCMAKE_CXX_COMPILER_LAUNCHER="$PWD/$out/launch" \
        -DGGML_NATIVE=OFF "-DGGML_CPU_ARM_ARCH=$1" -DGGML_OPENMP=OFF -DGGML_CCACHE=OFF -DLLAMA_OPENSSL=OFF \
        -DLLAMA_BUILD_SERVER=OFF -DLLAMA_BUILD_APP=OFF -DLLAMA_BUILD_TESTS=OFF -DLLAMA_BUILD_EXAMPLES=OFF -DLLAMA_USE_PREBUILT_UI=OFF \
        >"$made.log"
    ninja -C "$made" -j "${JOBS:-1}" llama-bench mtmd llama-perplexity llama-completion llama-mtmd-cli >>"$made.log"
}

if [ "${1:-}" = --tools ]; then
    if [ $# = 1 ]; then build_tools armv8.2-a+dotprod+fp16 llama.cpp; else build_tools "$2" "llama.cpp-$2"; fi
    exit
fi
level=0
for march in armv8-a armv8.2-a+dotprod armv8.2-a+dotprod+i8mm; do
    level=$((level + 1))
    flags=(-O3 "-march=$march" -D_GNU_SOURCE -ffunction-sections -w "-I$ggml/include" "-I$ggml/src" "-I$ggml/src/ggml-cpu")
    "$cc" "${flags[@]}" -c "$ggml/src/ggml-cpu/arch/arm/quants.c" -o "$out/quants_$level.o"
    "$cxx" "${flags[@]}" -std=c++17 -c "$ggml/src/ggml-cpu/arch/arm/repack.cpp" -o "$out/repack_$level.o"
    "$cc" -std=c11 -O2 "-DPEER_LEVEL=$level" -c tests/bench/peer_ggml.c -o "$out/peer_$level.o"
    # The rest of ggml is never called: its symbols may stay undefined.
    "$cxx" "$out/peer_$level.o" "$out/quants_$level.o" "$out/repack_$level.o" -Wl,--gc-sections -Wl,--unresolved-symbols=ignore-all \
        -o "$out/peer_ggml_$level" -lm
done
