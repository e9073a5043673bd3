#!/usr/bin/env bash
# Sourced behind count.sh: builds peer_encoder with llama.cpp's libraries, which tests/bench/peers.sh --tools made.
sources=("$peers"/llama_cpp_python-*/vendor/llama.cpp)

build_peer() {
    local source=${sources[0]} made=$llama cross=aarch64-linux-gnu
    [ "$(uname -m)" != aarch64 ] || cross=$(gcc -dumpmachine)
    "$cross-gcc" -std=c11 -O2 -I. "-I$source/include" "-I$source/ggml/include" "-I$source/tools/mtmd" -c tests/bench/peer_encoder.c -o "$work/peer_encoder.o"
    "$cross-g++" -static "$work/peer_encoder.o" "$made/tools/mtmd/libmtmd.a" "$made/src/libllama.a" "$made/ggml/src/libggml.a" \
        "$made/ggml/src/libggml-cpu.a" "$made/ggml/src/libggml-base.a" -lm -pthread -o "$work/peer_encoder"
}
