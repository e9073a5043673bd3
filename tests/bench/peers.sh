#!/usr/bin/env bash
# Builds ggml's ARM kernels, as the source package llama-cpp-python carries them, into build/peers/peer_ggml_{1,2,3}: one program per
# instruction level (tests/bench/peer_ggml.c).  Needs pip and about 100 MB; kernels.sh shows the peers where this has been run.
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
