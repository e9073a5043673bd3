#!/usr/bin/env bash
# The main job on real pictures: installs what is missing (Debian 12, as root or with sudo), builds, and asks the demo model about three
# pictures: on ARM natively, elsewhere cross-compiled and under qemu-aarch64.
#     examples/demo.sh                     the model and the pictures of examples/demo
#     MODEL=other.gguf examples/demo.sh    another packed model
set -euo pipefail
cd "$(dirname "$0")/.."
model=${MODEL:-examples/demo/demo.gguf}
with=(-m "$model" --ctx 512 --threads "$(nproc)") # 512: an image's 256 soft tokens, a question and an answer
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
while IFS=$'\t' read -r picture question _; do
    answer=$("${gemlet[@]}" run "${with[@]}" --temp 0 --image "examples/demo/$picture" -p "$question" --stats 2>build/demo.stats </dev/null) || {
        cat build/demo.stats
        exit 1
    }
    printf '\npicture   examples/demo/%s\nquestion  %s\nanswer    %s\n' "$picture" "$question" "$answer"
    grep -E '^arena .* bytes at most' build/demo.stats
done <examples/demo/questions.tsv
echo
"${gemlet[@]}" info "${with[@]}" | sed -n '/^plan/,$p'
printf '\n%s s, build included\n' "$SECONDS"
