#!/usr/bin/env bash
# usage: pictures.sh GEMLET GEMLET_PACK
# Pictures in other ways than one by one: long ones with their crops, on a tiny Gemma 3, and clips, from files and of a camera, on a tiny
# Gemma 4.
set -euo pipefail
gemlet=$1 packer=$2
work=$(mktemp -d)
trap 'code=$?; rm -rf "$work"; [ $code = 0 ] || echo "pictures.sh ends with $code"' EXIT
failed=0

complain() {
    printf '%s\n' "$*"
    failed=1
}

# same A B WHAT
same() {
    cmp -s "$work/$1" "$work/$2" || complain "$3: expected $(cat "$work/$1"), found $(cat "$work/$2")"
}

# expect CODE PATTERN ARGUMENT...
expect() {
    local code=$1 pattern=$2 found=0
    shift 2
    "$gemlet" "$@" >"$work/output" 2>&1 </dev/null || found=$?
    [ "$found" = "$code" ] || complain "gemlet $*: expected exit code $code, found $found"
    grep -qE -- "$pattern" "$work/output" || complain "gemlet $*: expected \"$pattern\", found: $(head -c 500 "$work/output")"
}

"$packer" --hf tests/data/vision/gemma3/hf -o "$work/squares.gguf" --quiet >/dev/null
"$packer" --hf tests/data/gemma4-mobile/hf -o "$work/clips.gguf" --quiet >/dev/null

# make_picture NAME WIDTH HEIGHT SEED [COLUMN]: columns from COLUMN on of a pattern
make_picture() {
    { printf 'P5 %d %d 255\n' "$2" "$3"
      awk -v w="$2" -v h="$3" -v s="$4" -v x0="${5:-0}" 'BEGIN {
          for (y = 0; y < h; y++) for (x = x0; x < x0 + w; x++) printf "%c", 1 + int(x * (3 + s) + y * (1 + 2 * s) + x * y / 40) % 126
      }'; } >"$work/$1"
}

# --- Crops: 600 x 400 has two of 300 x 400, 400 x 400 none --------------------------------------------------------------------------
make_picture long.pgm 600 400 1
make_picture square.pgm 400 400 2
squares=(run -m "$work/squares.gguf" -n 12 --temp 4 --top-k 0 --top-p 1 --seed 3)
question=(-p "describe the picture")

# tokens_in ARGUMENT...: what --stats says of the prompt; the answer goes to $work/answer
tokens_in() {
    "$gemlet" "$@" --stats 2>&1 >"$work/answer" | awk '$1 == "in" { print $2 }'
}
plain=$(tokens_in "${squares[@]}" "${question[@]}" --image "$work/long.pgm")
cp "$work/answer" "$work/plain"
cropped=$(tokens_in "${squares[@]}" "${question[@]}" --image "$work/long.pgm" --pan-and-scan)
cp "$work/answer" "$work/cropped"
ids=$(($(wc -c <tests/data/vision/gemma3/crops.ids.u32) / 4)) # the processor's, of this question and a picture of this size
[ "$cropped" = "$ids" ] || complain "a picture with crops: expected $ids tokens, found $cropped"
cmp -s "$work/plain" "$work/cropped" && complain "crops say nothing"
[ "$(tokens_in "${squares[@]}" "${question[@]}" --image "$work/square.pgm" --pan-and-scan)" = "$plain" ] || complain "a square has crops"
cp "$work/answer" "$work/found"
"$gemlet" "${squares[@]}" "${question[@]}" --image "$work/square.pgm" >"$work/expected"
same expected found "a square with --pan-and-scan"

"$gemlet" "${squares[@]}" -p '<image>describe the picture' --image "$work/long.pgm" --pan-and-scan >"$work/found"
same cropped found "a mark before the text"

# Pictures with and without crops in one turn, in one of a chat, and in the second.
both=(--image "$work/long.pgm" --image "$work/square.pgm" --pan-and-scan)
[ "$(tokens_in "${squares[@]}" -p 'describe <image> the <image> picture' "${both[@]}")" -gt $((cropped + 36)) ] || complain "a second picture is not shown"
cp "$work/answer" "$work/expected"
printf '/image %s\n/image %s\ndescribe <image> the <image> picture\n' "$work/long.pgm" "$work/square.pgm" |
    "$gemlet" chat "${squares[@]:1}" --pan-and-scan >"$work/found"
same expected found "a chat with --pan-and-scan"
printf 'the picture\n/image %s\ndescribe the picture\n' "$work/long.pgm" | "$gemlet" chat "${squares[@]:1}" --pan-and-scan --stats 2>&1 >/dev/null |
    awk -v least="$cropped" '$1 == "in" && $2 > least { good = 1 } END { exit !good }' || complain "the second turn of a chat has no crops"
expect 1 'positions, those of 3 pictures and crops included, and there is room for 166 of 166' "${squares[@]}" "${question[@]}" \
    --image "$work/long.pgm" --pan-and-scan --ctx 166
expect 0 . "${squares[@]}" "${question[@]}" --image "$work/long.pgm" --pan-and-scan --ctx 180
expect 1 'none: No such file' "${squares[@]}" "${question[@]}" --image "$work/none" --pan-and-scan
expect 2 'option --pan-and-scan: expected --image too' "${squares[@]}" "${question[@]}" --pan-and-scan
expect 1 'pan-and-scan: models of this family were not made for crops' run -m "$work/clips.gguf" -p x --image "$work/long.pgm" --pan-and-scan

# --- Clips --------------------------------------------------------------------------------------------------------------------------
mkdir "$work/frames"
for i in 0 1 2 3 4; do make_picture "frames/$i.pgm" 96 64 $((3 * i)); done
clips=(-m "$work/clips.gguf" -n 10 --temp 1 --seed 5 --ctx 900)
moves=(--system "Be brief." -p "what moves in <image> here?")

# clip_of FIRST LAST ARGUMENT...: what run says of these frames
clip_of() {
    local frames=() i
    for i in $(seq "$1" "$2"); do frames+=(--clip "$work/frames/$i.pgm"); done
    "$gemlet" run "${clips[@]}" "${moves[@]}" "${frames[@]}" "${@:3}" | tr '\r\n' '  ' | sed 's/ $//'
}

"$gemlet" camera "${clips[@]}" "${moves[@]}" --folder "$work/frames" --clip 3 --clip-interval 0.4 --stats >"$work/lines" 2>"$work/messages"
for last in 2 3 4; do
    printf '%s\t0\t%s\n' "$last.pgm" "$(clip_of $((last - 2)) $last --clip-interval 0.4)"
done >"$work/expected"
sed 's/\t[^\t]*$//' "$work/lines" >"$work/found"
same expected found "clips of a folder"
grep -q '3 answered, 0 lost, 0 skipped' "$work/messages" || complain "stats of clips: $(cat "$work/messages")"
grep -q 'as planned' "$work/messages" || complain "the arena of clips: $(cat "$work/messages")"
[ "$(clip_of 2 4 --clip-interval 60)" != "$(clip_of 2 4 --clip-interval 0.4)" ] || complain "times say nothing"

# Frames of which each has the bytes of the one before it, unless they are copied; the first four, two by two.
for i in 0 1 2 3; do tail -c 6144 "$work/frames/$i.pgm"; done >"$work/stream"
"$gemlet" camera "${clips[@]}" "${moves[@]}" --raw-frames grey --size 96x64 --clip 2 <"$work/stream" | cut -f1,3 >"$work/found"
for last in 1 2 3; do printf '%s\t%s\n' $last "$(clip_of $((last - 1)) $last)"; done >"$work/expected"
same expected found "clips of a stream"

# A live stream: frames are at least an interval apart, and what came in between was skipped.
mkfifo "$work/pipe"
"$gemlet" camera "${clips[@]}" "${moves[@]}" --raw-frames grey --size 96x64 --clip 2 --clip-interval 0.3 --frames 2 <"$work/pipe" >"$work/lines" &
camera=$!
exec 8>"$work/pipe"
trap '' PIPE
for ((i = 0; i < 3000; i++)); do
    head -c 6144 "$work/stream" >&8 2>"$work/messages" || break
    sleep 0.01
done
exec 8>&-
wait $camera || complain "a live stream ends with $?"
awk -F'\t' '{ if ($2 < 2) bad = 1 } END { exit bad || NR != 2 }' "$work/lines" || complain "frames of a live clip are not apart: $(cat "$work/lines")"

expect 1 'positions, those of 12 frames of a clip included, and there is room for 900 of 900' camera "${clips[@]}" -p x --folder "$work/frames" --clip 12
expect 1 'those of 12 frames of a clip included' run "${clips[@]}" -p x $(for i in $(seq 12); do echo --clip "$work/none"; done)
expect 1 'clip: models of this family take no clips' camera -m "$work/squares.gguf" -p x --folder "$work/frames" --clip 2
expect 1 'clip: models of this family take no clips' run -m "$work/squares.gguf" -p x --clip "$work/frames/0.pgm"
expect 2 'option --clip: expected a whole number from 1 to 32, found "33"' camera "${clips[@]}" -p x --folder "$work/frames" --clip 33
exit $failed
