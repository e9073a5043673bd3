#!/usr/bin/env bash
# usage: camera.sh GEMLET GEMLET_PACK CPU
# gemlet camera on a tiny model: each frame's answer is the one that gemlet run gives to that picture alone, from a folder and from raw
# frames; bad frames are passed over; what is wrong is named.  On the CPU of the emulator in $EMULATOR, or "native".
# V4L2 itself is played by tests/camera/test_v4l2.c.
set -euo pipefail
gemlet=$1 packer=$2 cpu=$3
work=$(mktemp -d)
trap 'code=$?; rm -rf "$work"; [ $code = 0 ] || echo "camera.sh ends with $code"' EXIT
failed=0
on=()
[ "$cpu" = native ] || read -ra on <<<"$EMULATOR -cpu $cpu"

complain() {
    printf '%s\n' "$*"
    failed=1
}

model=$work/tiny.gguf
"${on[@]}" "$packer" --text tests/data/tiny/text-q4_0.gguf --mmproj tests/data/tiny/mm-f16.gguf -o "$model" --quiet >/dev/null

# Pictures of 8 x 6 that differ much; two are enough where emulation makes them slow.
last=2
[ "$cpu" = native ] || last=1
mkdir "$work/pictures"
for i in $(seq 0 $last); do
    awk -v i=$i 'BEGIN { for (k = 0; k < 144; k++) printf "%c", 1 + (k * (7 + 31 * i) + 50 * i) % 126 }' >"$work/$i.rgb"
    { printf 'P6 8 6 255\n'; cat "$work/$i.rgb"; } >"$work/pictures/$i.ppm"
done
settings=(-m "$model" -n 8 --ctx 320 --image-size 64 --temp 1) # greedy, a model without training says the same to all
question=(--system "Be brief." -p "what is this?")
for i in $(seq 0 $last); do
    "${on[@]}" "$gemlet" run "${settings[@]}" "${question[@]}" --image "$work/pictures/$i.ppm" | tr '\r\n' '  ' | sed 's/ $//' >"$work/$i.answer"
done
cmp -s "$work/0.answer" "$work/$last.answer" && complain "different pictures have the same answer"

# expect_lines NAME...: the answers of the pictures 0, 1, ... under these names
expect_lines() {
    local i=0 name line
    for name in "$@"; do
        line=$(sed -n "$((i + 1))p" "$work/lines")
        [ "${line%$'\t'*}" = "$name"$'\t'"0"$'\t'"$(cat "$work/$i.answer")" ] || complain "frame $name: expected \"$(cat "$work/$i.answer")\", found \"$line\""
        i=$((i + 1))
    done
    [ "$(wc -l <"$work/lines")" = $# ] || complain "expected $# lines, found $(cat "$work/lines")"
}

printf 'P6 8 6 255\ncut' >"$work/pictures/0b.ppm"
echo 'no picture' >"$work/pictures/notes.txt"
"${on[@]}" "$gemlet" camera "${settings[@]}" "${question[@]}" --folder "$work/pictures" --stats >"$work/lines" 2>"$work/messages"
mapfile -t names < <(seq -f '%g.ppm' 0 $last)
expect_lines "${names[@]}"
grep -q '0b.ppm: the image is cut' "$work/messages" || complain "a cut picture: $(cat "$work/messages")"
grep -qE "$((last + 1)) answered, 1 lost; [0-9]+ tokens before the frame are kept" "$work/messages" || complain "stats: $(cat "$work/messages")"
grep -q 'as planned' "$work/messages" || complain "the arena: $(cat "$work/messages")"

cat "$work/0.rgb" "$work/1.rgb" <(head -c 9 "$work/0.rgb") |
    "${on[@]}" "$gemlet" camera "${settings[@]}" "${question[@]}" --raw-frames rgb --size 8x6 >"$work/lines" 2>"$work/messages"
expect_lines 0 1
grep -q 'ends inside of a frame: 9 of 144 bytes' "$work/messages" || complain "a short frame: $(cat "$work/messages")"

# expect CODE PATTERN ARGUMENT...
expect() {
    local code=$1 pattern=$2 found=0
    shift 2
    "${on[@]}" "$gemlet" camera "$@" >"$work/output" 2>&1 </dev/null || found=$?
    [ "$found" = "$code" ] || complain "gemlet camera $*: expected exit code $code, found $found"
    grep -qE -- "$pattern" "$work/output" || complain "gemlet camera $*: expected \"$pattern\", found: $(head -c 500 "$work/output")"
}
expect 1 "$work/none: can't be opened: No such file" "${settings[@]}" -p x --device "$work/none"
expect 1 "$model: is no video device" "${settings[@]}" -p x --device "$model"
expect 1 'no JPEG, PPM or PGM file' "${settings[@]}" -p x --folder tests/data/tiny
[ "$cpu" = native ] || exit $failed
expect 1 'none: No such file' "${settings[@]}" -p x --folder "$work/none"
expect 1 'NV12 an even width and height' "${settings[@]}" -p x --raw-frames nv12 --size 8x5
expect 2 'option --size: expected WxH, sides from 1 to 20480, found "8"' "${settings[@]}" -p x --size 8
expect 2 'expected --size WxH too' "${settings[@]}" -p x --raw-frames rgb
expect 2 'one of --device, --folder and --raw-frames' "${settings[@]}" -p x --raw-frames rgb --folder x
expect 2 'option -p TEXT is missing' "${settings[@]}"
"$gemlet" camera "${settings[@]}" "${question[@]}" --folder "$work/pictures" --frames 1 >"$work/lines" 2>/dev/null
expect_lines 0.ppm

# Waiting for a camera ends with Ctrl-C.
"$gemlet" camera "${settings[@]}" -p x --device "$work/none" --wait 2>"$work/messages" &
waiting=$!
for ((i = 0; i < 500; i++)); do
    grep -q "can't be opened" "$work/messages" && break
    sleep 0.02
done
kill -INT $waiting
wait $waiting || complain "an interrupted wait ends with $?"
[ "$(grep -c "can't be opened" "$work/messages")" = 1 ] || complain "waiting is told otherwise than once: $(cat "$work/messages")"
exit $failed
