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
"${on[@]}" "$gemlet" camera "${settings[@]}" "${question[@]}" --folder "$work/pictures" --stats >"$work/lines" 2>"$work/messages" &&
    complain "a folder with a cut picture ends with 0"
mapfile -t names < <(seq -f '%g.ppm' 0 $last)
expect_lines "${names[@]}"
grep -q '0b.ppm: the image is cut' "$work/messages" || complain "a cut picture: $(cat "$work/messages")"
grep -qE "$((last + 1)) answered, 1 lost, 0 skipped; [0-9]+ tokens before the frame are kept" "$work/messages" || complain "stats: $(cat "$work/messages")"
grep -q 'as planned' "$work/messages" || complain "the arena: $(cat "$work/messages")"

cat "$work/0.rgb" "$work/1.rgb" <(head -c 9 "$work/0.rgb") |
    "${on[@]}" "$gemlet" camera "${settings[@]}" "${question[@]}" --raw-frames rgb --size 8x6 --every-frame >"$work/lines" 2>"$work/messages" &&
    complain "frames of which one is short end with 0"
expect_lines 0 1
grep -q 'ends inside of a frame: 9 of 144 bytes' "$work/messages" || complain "a short frame: $(cat "$work/messages")"

# Lines of 9 pixels of which one is none; a file needs no --every-frame.
for i in 0 1; do
    for row in 0 1 2 3 4 5; do
        tail -c +$((1 + 24 * row)) "$work/$i.rgb" | head -c 24
        printf 'xyz'
    done
done >"$work/wide"
"${on[@]}" "$gemlet" camera "${settings[@]}" "${question[@]}" --raw-frames rgb --size 8x6 --stride 27 <"$work/wide" >"$work/lines"
expect_lines 0 1

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
expect 1 'no picture in this folder' "${settings[@]}" -p x --folder tests/data/tiny
[ "$cpu" = native ] || exit $failed
expect 1 'none: No such file' "${settings[@]}" -p x --folder "$work/none"
expect 1 'NV12 and I420 an even width and height' "${settings[@]}" -p x --raw-frames nv12 --size 8x5
expect 1 'an even width and height' "${settings[@]}" -p x --raw-frames i420 --size 8x5
expect 1 'stride holds a line' "${settings[@]}" -p x --raw-frames rgb --size 8x6 --stride 23
expect 2 'option --stride: expected frames that are not compressed' "${settings[@]}" -p x --raw-frames mjpeg --stride 23
expect 2 'expected --raw-frames too' "${settings[@]}" -p x --every-frame
expect 2 'option --color-matrix: expected bt601\|bt709, found "bt2020"' "${settings[@]}" -p x --color-matrix bt2020
expect 1 'the context is full: .* room for 40 of 40' -m "$model" -p x --ctx 40 --folder "$work/pictures"
expect 2 'option --size: expected WxH, sides from 1 to 20480, found "8"' "${settings[@]}" -p x --size 8
expect 2 'expected --size WxH too' "${settings[@]}" -p x --raw-frames rgb
expect 2 'one of --device, --folder and --raw-frames' "${settings[@]}" -p x --raw-frames rgb --folder x
expect 2 'option -p TEXT is missing' "${settings[@]}"
"$gemlet" camera "${settings[@]}" "${question[@]}" --folder "$work/pictures" --frames 1 >"$work/lines" 2>/dev/null
expect_lines 0.ppm
mkdir "$work/odd"
cp "$work/pictures/0.ppm" "$work/odd/"$'a\tb\n\e[2J.ppm'
"$gemlet" camera "${settings[@]}" "${question[@]}" --folder "$work/odd" >"$work/lines"
expect_lines 'a?b??[2J.ppm'

# The luma of an I420 frame of the full range, without colour, is a grey picture.
awk 'BEGIN { for (k = 0; k < 48; k++) printf "%c", 1 + k * 41 % 126 }' >"$work/luma"
awk 'BEGIN { for (k = 0; k < 24; k++) printf "%c", 64 }' | tr '@' '\200' >"$work/chroma"
{ printf 'P5 8 6 255\n'; cat "$work/luma"; } >"$work/grey.pgm"
"$gemlet" run "${settings[@]}" "${question[@]}" --image "$work/grey.pgm" | tr '\r\n' '  ' | sed 's/ $//' >"$work/grey.answer"
for with in '--color-range full' '--color-range full --color-matrix bt709' '--color-range limited'; do
    read -ra with <<<"$with"
    cat "$work/luma" "$work/chroma" | "$gemlet" camera "${settings[@]}" "${question[@]}" --raw-frames i420 --size 8x6 "${with[@]}" >"$work/lines"
    cut -f3 "$work/lines" >"$work/found"
    if [ "${with[1]}" = full ]; then
        [ "$(cat "$work/found")" = "$(cat "$work/grey.answer")" ] || complain "i420 ${with[*]}: expected $(cat "$work/grey.answer"), found $(cat "$work/lines")"
    else
        [ "$(cat "$work/found")" != "$(cat "$work/grey.answer")" ] || complain "--color-range limited changes nothing"
    fi
done

# Motion JPEG.
version=$("$gemlet" --version)
if [[ $version == *JPEG* ]]; then
    "$gemlet" run "${settings[@]}" "${question[@]}" --image examples/demo/one.jpg | tr '\r\n' '  ' | sed 's/ $//' >"$work/one.answer"
    { cat examples/demo/one.jpg; head -c 2000 examples/demo/two.jpg; cat examples/demo/one.jpg; } |
        "$gemlet" camera "${settings[@]}" "${question[@]}" --raw-frames mjpeg --every-frame >"$work/lines" 2>"$work/messages" && complain "pictures of which one is cut off end with 0"
    [ "$(cut -f1,3 "$work/lines")" = "0"$'\t'"$(cat "$work/one.answer")"$'\n'"2"$'\t'"$(cat "$work/one.answer")" ] || complain "mjpeg: $(cat "$work/lines")"
    grep -q 'frame 1: .* cut off' "$work/messages" || complain "a picture that is cut off: $(cat "$work/messages")"
fi

# A stream is never answered late: what comes while an answer is made is dropped, and Ctrl-C ends the wait for more.
mkfifo "$work/stream"
"$gemlet" camera "${settings[@]}" "${question[@]}" --raw-frames rgb --size 8x6 --stats <"$work/stream" >"$work/lines" 2>"$work/messages" &
camera=$!
exec 8>"$work/stream"
cat "$work/0.rgb" >&8
for ((i = 0; i < 2000 && $(wc -l <"$work/lines") < 3; i++)); do
    cat "$work/1.rgb" >&8
    sleep 0.01
done
sleep 0.3 # it asks for a frame that begins now, and waits
kill -INT $camera
wait $camera || complain "an interrupted stream ends with $?: $(cat "$work/messages")"
exec 8>&-
frames=$(awk -F'\t' 'NR > 1 && $1 - last != $2 + 1 { bad = 1 } { last = $1 } END { print last + 1; exit bad }' "$work/lines") ||
    complain "names and skipped frames differ: $(cat "$work/lines")"
[ "$(wc -l <"$work/lines")" -ge 3 ] || complain "a stream: expected 3 answers, found $(cat "$work/lines")"
[ "$frames" -gt "$(wc -l <"$work/lines")" ] || complain "no frame of a stream is skipped: $(cat "$work/lines")"

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
