#!/usr/bin/env bash
# The main job on real pictures: installs what is missing (Debian 12, as root or with sudo), builds, and asks the demo model about three
# pictures, in writing and by recorded voices: on ARM natively, elsewhere cross-compiled and under qemu-aarch64.
#     examples/demo.sh                     the model, the pictures and the sounds of examples/demo
#     MODEL=other.gguf examples/demo.sh    another packed model
set -euo pipefail
model=${MODEL:+$(realpath -m "$MODEL")} # a name in the caller's folder
cd "$(dirname "$0")/.."
model=${model:-examples/demo/demo.gguf}
with=(-m "$model" --ctx 512 --threads "$(nproc)") # 512: an image's 256 soft tokens, a sound's 188, and an answer
if [ ! -r "$model" ]; then
    echo "demo.sh: $model: no such file" >&2
    exit 1
fi

bash toolchains/packages.sh demo
SECONDS=0
if [ "$(uname -m)" = aarch64 ]; then
    preset=host run=()
else
    . toolchains/emulator.sh
    preset=aarch64 run=("${emulator[@]}")
fi
build=build/demo
mkdir -p build
echo "building for ARM"
{ cmake --preset $preset -B $build -DGEMLET_TESTS=OFF -DGEMLET_WERROR=OFF && cmake --build $build; } >build/demo.log 2>&1 || {
    tail -n 30 build/demo.log
    exit 1
}
gemlet=("${run[@]}" $build/gemlet)

printf '%s, %s bytes, run by: %s\n' "$model" "$(wc -c <"$model")" "${gemlet[*]}"
ask() { # PICTURE QUESTION OPTION...: the options say how it is asked
    local answer
    answer=$("${gemlet[@]}" run "${with[@]}" --temp 0 --image "examples/demo/$1" "${@:3}" --stats 2>build/demo.stats </dev/null) || {
        cat build/demo.stats
        exit 1
    }
    printf '\npicture   examples/demo/%s\nquestion  %s\nanswer    %s\n' "$1" "$2" "$answer"
    grep -E '^arena .* bytes at most' build/demo.stats
}
while IFS=$'\t' read -r picture question _; do
    ask "$picture" "$question" -p "$question"
done <examples/demo/questions.tsv
while IFS=$'\t' read -r picture sound question _; do
    ask "$picture" "examples/demo/$sound (a voice: \"$question\")" --sound "examples/demo/$sound" -p "<image><sound>"
done <examples/demo/spoken.tsv
echo
"${gemlet[@]}" info "${with[@]}" | sed -n '/^plan/,$p'
printf '\n%s s, build included\n' "$SECONDS"
