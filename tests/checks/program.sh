#!/usr/bin/env bash
# usage: program.sh GEMLET GEMLET_PACK CPU...
# The program on a tiny model: what it prints, writes and answers, on each CPU (of the emulator in $EMULATOR, or "native", or "sanitized"
# for a native build with sanitizers).  Emulation is slow: what does not depend on the CPU is mostly left to the native run.  So are
# sanitizers: that the same bytes come out on every way is not theirs to say.
set -euo pipefail
gemlet=$1 packer=$2
shift 2
cpus=("$@")
data=tests/data/tiny/text-q4_0.gguf
work=$(mktemp -d)
trap 'code=$?; rm -rf "$work"; [ $code = 0 ] || echo "program.sh ends with $code"' EXIT
failed=0
read -ra emulator <<<"${EMULATOR:-}"

complain() {
    printf '%s\n' "$*"
    failed=1
}

# on CPU PROGRAM ARGUMENT...
on() {
    local cpu=$1
    shift
    if [ "$cpu" = native ] || [ "$cpu" = sanitized ]; then "$@"; else "${emulator[@]}" -cpu "$cpu" "$@"; fi
}

# The program on the first CPU.
run() {
    on "${cpus[0]}" "$gemlet" "$@"
}

# expect CODE PATTERN ARGUMENT...: the program ends with CODE and prints a line that matches PATTERN.
expect() {
    local code=$1 pattern=$2 found=0
    shift 2
    run "$@" >"$work/output" 2>&1 </dev/null || found=$?
    [ "$found" = "$code" ] || complain "gemlet $*: expected exit code $code, found $found: $(head -c 500 "$work/output")"
    grep -qE -- "$pattern" "$work/output" || complain "gemlet $*: expected \"$pattern\", found: $(head -c 500 "$work/output")"
}

# same A B WHAT
same() {
    cmp -s "$1" "$2" || complain "$3"
}

on "${cpus[0]}" "$packer" --text $data -o "$work/tiny.gguf" --quiet >"$work/output" 2>&1 || { cat "$work/output"; exit 1; }

model=(-m "$work/tiny.gguf")
[ "${cpus[0]}" != sanitized ] || model+=(--level scalar) # seven times as fast there; the kernels have tests of their own

# --- The same input gives the same bytes: on every CPU and level, for any number of threads -----------------------------------------
echo '2 246 265 388 487 25 80 422 486 133 7 99 100 101 300 17 42' >"$work/ids"
greedy=(run "${model[@]}" -p "The cat sat" --raw -n 12 --temp 0)
sampled=(run "${model[@]}" -p "The cat sat" -n 24 --seed 7 --repeat-penalty 1.1)
logits=(dump "${model[@]}" --tokens "$work/ids" --logits)
case ${cpus[0]} in
native) counts='1 2 4' levels='scalar neon dotprod' ;;
sanitized) counts=2 levels=neon ;;
*) counts='1 2' levels=scalar ;;
esac
for kv in f16 int8; do
    threads=$counts
    for cpu in "${cpus[@]}"; do
        for count in $threads; do
            with=(--kv $kv --threads "$count")
            on "$cpu" "$gemlet" "${greedy[@]}" "${with[@]}" >"$work/greedy"
            on "$cpu" "$gemlet" "${sampled[@]}" "${with[@]}" >"$work/sampled"
            on "$cpu" "$gemlet" "${logits[@]}" "$work/logits" "${with[@]}"
            for what in greedy sampled logits; do
                [ -e "$work/$what-$kv" ] || cp "$work/$what" "$work/$what-$kv"
                same "$work/$what" "$work/$what-$kv" "$what on $cpu with ${with[*]} differs from ${cpus[0]} with one thread"
            done
        done
        threads=4
    done
    for level in $levels; do
        run "${logits[@]}" "$work/logits" --kv $kv --level "$level" --chunk 5
        same "$work/logits" "$work/logits-$kv" "logits at level $level and --kv $kv differ"
    done
done
[ "$(wc -c <"$work/sampled")" -gt 12 ] || complain "24 tokens are hardly any text"
cmp -s "$work/logits-f16" "$work/logits-int8" && complain "--kv int8 changes nothing"
run "${sampled[@]}" --seed 8 >"$work/output"
cmp -s "$work/output" "$work/sampled-f16" && complain "--seed 8 gives the text of --seed 7"
iconv -f UTF-8 -t UTF-8 "$work/sampled-f16" >/dev/null || complain "the answer is no UTF-8"

# --- Everywhere: pipes, and what is wrong is named -----------------------------------------------------------------------------------
printf 'The cat sat' | run run "${model[@]}" -p - --raw -n 12 --temp 0 >"$work/output"
same "$work/output" "$work/greedy-f16" "a prompt on standard input is answered otherwise"
expect 0 'arena +[0-9]+ bytes at most: as planned' run "${model[@]}" -p x -n 3 --stats
expect 2 'unknown option "--nonsense"' run "${model[@]}" --nonsense
expect 1 'none.gguf: .*No such file' run -m "$work/none.gguf" -p x
expect 1 "$data.*pack" run -m $data -p x
[ "${cpus[0]}" = native ] || [ "${cpus[0]}" = sanitized ] || exit $failed

# --- run ---------------------------------------------------------------------------------------------------------------------------
run run "${model[@]}" -p x -n 400 | head -c 1 >/dev/null || true # the reader goes away: no hang
expect 0 'out +3 tokens' run "${model[@]}" -p x -n 3 --stats
expect 0 '(room for 0 of 40|the context is full)' run "${model[@]}" -p "one two" --ctx 40 --temp 0 --raw
expect 1 'the context is full' run "${model[@]}" -p "$(printf 'word %.0s' {1..60})" --ctx 40
expect 0 'out +90 tokens' run "${model[@]}" -p "one two" --ctx 40 --raw --temp 0 -n 90 --slide --stats
expect 0 '^[a-z ]+	0\.[0-9]{6}$' run "${model[@]}" -p "one two" --raw --choices "one|two|one two"
expect 1 'option --choices: expected 2 to 32 texts with \| between them, found one$' run "${model[@]}" -p "one" --choices "one"
expect 1 'option --choices: expected texts with \| between them, found an empty one$' run "${model[@]}" -p "one" --choices "one|"
expect 1 'option --choices: .* found more$' run "${model[@]}" -p "one" --choices "$(seq -s '|' 33)"
expect 2 'option --choices: expected no --think' run "${model[@]}" -p "one" --choices "one|two" --think
if run run "${model[@]}" -p x -n 3 >/dev/full 2>"$work/output"; then
    complain "a full device goes unnoticed"
fi
grep -q 'standard output' "$work/output" || complain "a full device: $(cat "$work/output")"

# --- chat --------------------------------------------------------------------------------------------------------------------------
settings=("${model[@]}" -n 12 --seed 3)
run run "${settings[@]}" -p "hello you" --system "be kind" >"$work/once"
printf '  hello you  \n' | run chat "${settings[@]}" --system "be kind" >"$work/output"
same "$work/output" "$work/once" "the first answer of a chat is not that of run"
printf 'hello you\nand then\n\n/reset\nhello you\nand then\n/quit\nnever\n' | run chat "${settings[@]}" --system "be kind" >"$work/twice"
printf 'hello you\nand then' | run chat "${settings[@]}" --system "be kind" >"$work/output"
cat "$work/output" "$work/output" | cmp -s - "$work/twice" || complain "/reset does not begin anew, or /quit does not end"
printf 'hello\0you\nhello you\n' >"$work/input"
if run chat "${settings[@]}" --system "be kind" <"$work/input" >"$work/output" 2>"$work/messages"; then
    complain "a chat with a line that is no text ends with 0"
fi
same "$work/output" "$work/once" "a line that is no text spoils the chat"
grep -q 'a zero byte' "$work/messages" || complain "a line that is no text: $(cat "$work/messages")"
printf 'hello you\n%s\n/reset\nhello you\n' "$(printf 'word %.0s' {1..60})" >"$work/input"
if run chat "${settings[@]}" --system "be kind" --ctx 64 <"$work/input" >"$work/output" 2>"$work/messages"; then
    complain "a chat with a failed turn ends with 0"
fi
cat "$work/once" "$work/once" | cmp -s - "$work/output" || complain "a turn that does not fit spoils the chat"
grep -q '/reset begins anew' "$work/messages" || complain "a turn that does not fit: $(cat "$work/messages")"

printf '\357\273\277/reset\nhello\ryou\r\n' | run chat "${settings[@]}" >"$work/output"
run run "${settings[@]}" -p $'hello\ryou' >"$work/found"
same "$work/output" "$work/found" "a chat takes a byte order mark for text, or ends a line at a CR in its middle"

# Ctrl-C cancels the answer and not the program.  A short answer may be over before the signal comes: some attempts.
interrupt() {
    : >"$work/output"
    mkfifo "$work/pipe"
    "$gemlet" chat "${model[@]}" --temp 0 --threads 1 <"$work/pipe" >"$work/output" 2>"$work/messages" &
    local chat=$! waited=0
    exec 7>"$work/pipe"
    printf 'go on\n' >&7
    until [ -s "$work/output" ] || [ $((waited++)) -gt 3000 ]; do sleep 0.02; done
    kill -INT $chat
    printf '/quit\n' >&7
    exec 7>&-
    local code=0
    wait $chat || code=$?
    rm "$work/pipe"
    [ $code = 0 ] || complain "an interrupted chat ends with $code: $(cat "$work/messages")"
    grep -q '(cancelled)' "$work/messages"
}
interrupt || interrupt || interrupt || complain "Ctrl-C does not cancel an answer: $(cat "$work/messages")"

# --- Sound -------------------------------------------------------------------------------------------------------------------------
on "${cpus[0]}" "$packer" --text $data --mmproj tests/data/tiny/mm-f16.gguf -o "$work/whole.gguf" --quiet >"$work/output" 2>&1 || complain "$(cat "$work/output")"
clip=tests/data/sound/gemma3n/short.pcm.s16
hears=("${model[@]}" -m "$work/whole.gguf" --raw-sound s16)
for threads in 1 3; do
    run dump "${hears[@]}" --sound $clip --threads $threads --soft-tokens "$work/sound$threads.npy" || complain "dump --sound fails"
done
same "$work/sound1.npy" "$work/sound3.npy" "a sound's soft tokens depend on the threads"
[ "$(stat -c %s "$work/sound1.npy")" = $((128 + 188 * 128 * 4)) ] || complain "dump --sound wrote $(stat -c %s "$work/sound1.npy") bytes"
run dump "${hears[@]}" --sound - --soft-tokens "$work/sound2.npy" <$clip || complain "dump --sound - fails"
same "$work/sound1.npy" "$work/sound2.npy" "standard input is another sound than the file"
run run "${hears[@]}" --sound $clip -p 'before <sound> behind' -n 3 --temp 0 >"$work/a" || complain "run --sound fails"
# Live: pieces that are written one by one, each when the one before it has been read, are encoded as they come, and the answer is the
# same; what is left when the last has come is that piece.
cat >"$work/recorder.py" <<'EOF_RECORDER'
import array, fcntl, os, sys, termios, time
samples = open(sys.argv[1], "rb").read()
for first in range(0, len(samples), 8000):
    waiting = array.array("i", [1])
    while waiting[0] > 0:
        fcntl.ioctl(1, termios.FIONREAD, waiting)
        time.sleep(0)
    os.write(1, samples[first:first + 8000])
EOF_RECORDER
python3 "$work/recorder.py" $clip | run run "${hears[@]}" --sound - -p 'before <sound> behind' -n 3 --temp 0 --stats >"$work/b" 2>"$work/output" || complain "a live sound fails: $(cat "$work/output")"
same "$work/a" "$work/b" "a live sound has another answer than the file"
samples=$(($(stat -c %s $clip) / 2))
last=$((samples % 4000))
grep -qE "^live sound +$samples samples in $(((samples + 3999) / 4000)) pieces, the last of $last\$" "$work/output" || complain "a sound is not read as it is written: $(cat "$work/output")"
expect 1 'the text says <sound> 2 times, but there is 1 sound' run "${hears[@]}" --sound $clip -p '<sound> <sound>'
expect 1 'takes no sounds' run "${model[@]}" --raw-sound s16 --sound $clip -p a
expect 1 'none: No such file' run "${hears[@]}" --sound "$work/none" -p a
head -c 2 $clip >"$work/one.s16"
: >"$work/empty.s16"
expect 1 'at least 513 samples but has 1$' run "${hears[@]}" --sound "$work/one.s16" -p a
expect 1 'at least 513 samples but has 0$' run "${hears[@]}" --sound "$work/empty.s16" -p a
head -c 1000000 /dev/zero >"$work/long.s16"
expect 1 'longer than the model hears' run "${hears[@]}" --sound "$work/long.s16" -p a
printf '\0\0\300\177' >"$work/nan.f32"
expect 1 'no finite number at sample 0' run "${model[@]}" -m "$work/whole.gguf" --raw-sound f32 --sound "$work/nan.f32" -p a
expect 2 'expected --raw-sound too' run "${model[@]}" --sound $clip --rate 8000 -p a
expect 2 'expected --sound too' run "${model[@]}" --raw-sound s16 -p a

# A line that is refused leaves the conversation as it was: before it is asked (marks without pictures), and where a part of it was read
# (a sound that is too short, behind a text).  The sound goes, so that the next line is heard.
python3 -c 'import sys, wave; w = wave.open(sys.argv[1], "wb"); w.setparams((1, 2, 16000, 1, "NONE", "")); w.writeframes(b"ab")' "$work/one.wav"
keeps=("${model[@]}" -m "$work/whole.gguf" -n 12 --seed 3 --repeat-penalty 1.3)
printf 'hello you\nand then\nonce more\n' | run chat "${keeps[@]}" >"$work/expected"
if printf 'hello you\n<image> what\nand then\n/sound %s\nso <sound> what\nonce more\n' "$work/one.wav" |
    run chat "${keeps[@]}" >"$work/output" 2>"$work/messages"; then
    complain "a chat with refused lines ends with 0"
fi
same "$work/output" "$work/expected" "refused lines spoil the chat: expected $(cat "$work/expected"), found $(cat "$work/output")"
grep -q 'the text says <image> 1 time' "$work/messages" || complain "a line with a mark without its picture: $(cat "$work/messages")"
grep -q 'lacks libsndfile' "$work/messages" || [ "$(grep -c 'at least 513 samples but has 1$' "$work/messages")" = 1 ] || complain "a line with a sound that is too short: $(cat "$work/messages")"

# --- transcribe --------------------------------------------------------------------------------------------------------------------
# A clip is one line, and its text is what run says to the same prompt.
hears=("${model[@]}" -m "$work/whole.gguf" --raw-sound s16 -n 4)
prompt='Transcribe the following speech segment in English into English text.

Follow these specific instructions for formatting the answer:
* Only output the transcription, with no newlines.
* When transcribing numbers, write the digits, i.e. write 1.7 and not one point seven, and write 3 instead of three.<sound>'
run run "${hears[@]}" --sound $clip --temp 0 -p "$prompt" | tr '\r\n' '  ' | sed 's/ $//' >"$work/a" || complain "run with the prompt of transcribe fails"
run transcribe "${hears[@]}" --language English $clip >"$work/output" || complain "transcribe fails"
[ "$(cat "$work/output")" = "[00:00:00.0 - 00:00:01.3] $(cat "$work/a")" ] || complain "transcribe: expected what run says, \"$(cat "$work/a")\", found: $(cat "$work/output")"
# A long one is cut in its pauses; live it gives the same.
samples=$(($(stat -c %s $clip) / 2))
head -c 25600 /dev/zero >"$work/pause.s16" # 0.8 s
cat $clip $clip "$work/pause.s16" $clip "$work/pause.s16" $clip >"$work/long.s16"
run transcribe "${hears[@]}" --piece 3 --sound "$work/long.s16" >"$work/a" || complain "transcribe of a long recording fails"
[ "$(sed 's/\].*/]/' "$work/a" | tr '\n' ' ')" = '[00:00:00.0 - 00:00:02.8] [00:00:02.8 - 00:00:05.2] [00:00:05.2 - 00:00:06.8] ' ] || complain "transcribe cuts a recording of $((4 * samples + 25600)) samples into $(cat "$work/a")"
python3 "$work/recorder.py" "$work/long.s16" | run transcribe "${hears[@]}" --piece 3 - >"$work/b" || complain "transcribe of standard input fails"
same "$work/a" "$work/b" "a live recording has another transcript than the file"
run transcribe "${hears[@]}" "$work/pause.s16" >"$work/output" 2>&1 && [ ! -s "$work/output" ] || complain "silence says: $(cat "$work/output")"
expect 1 'tiny.gguf: the model has no sound encoder' transcribe "${model[@]}" --raw-sound s16 $clip
expect 1 'none: No such file' transcribe "${hears[@]}" "$work/none"
expect 1 'at least 513 samples but has 0$' transcribe "${hears[@]}" "$work/empty.s16"
expect 1 'no finite number at sample 0' transcribe "${hears[@]}" --raw-sound f32 "$work/nan.f32"
expect 2 'option --sound FILE is missing' transcribe "${hears[@]}"
expect 2 'unknown option "b"' transcribe "${hears[@]}" a b

# --- run --session -----------------------------------------------------------------------------------------------------------------
# A picture of stripes; the second run goes on as one conversation would, and so does the third, with another picture (where its 256 soft
# tokens do not take a minute).
{ printf 'P6 96 64 255\n'; for i in {1..768}; do printf 'a lot of red. and a bit.'; done; } >"$work/stripes.ppm"
keeps=("${model[@]}" -m "$work/whole.gguf" -n 12 --repeat-penalty 1.1 --seed 3 --system "be kind")
again="/image $work/stripes.ppm\n" another=(--image "$work/stripes.ppm")
if [ "${cpus[0]}" = sanitized ]; then
    again='' another=()
    keeps+=(--image-size 64)
fi
printf '/image %s\nhello you\nand then\n%bonce more\n' "$work/stripes.ppm" "$again" | run chat "${keeps[@]}" >"$work/once"
talk() {
    run run "${keeps[@]}" --session "$work/talk" "$@" 2>>"$work/messages"
}
: >"$work/messages"
ln -s talk "$work/link"
{
    talk -p 'hello you' --image "$work/stripes.ppm"
    cp "$work/talk" "$work/talk1"
    talk -p 'and then' --session "$work/link"
    cp "$work/talk" "$work/talk2"
    talk -p 'once more' "${another[@]}"
} >"$work/output" || complain "run --session fails: $(cat "$work/messages")"
same "$work/output" "$work/once" "run --session does not go on as one conversation does"
[ -L "$work/link" ] && [ ! -e "$work/talk.unfinished" ] || complain "--session leaves a file, or takes a link away"
ln -s folder/next "$work/nowhere"
ln -s "$work/nowhere" "$work/far"
mkdir "$work/folder"
talk -p 'hello you' --session "$work/far" >/dev/null || complain "--session does not begin a conversation where a link leads"
[ -L "$work/far" ] && [ -L "$work/nowhere" ] && [ -f "$work/folder/next" ] || complain "--session takes a link away that leads to nothing yet"
ln -s round "$work/round"
expect 1 'round.unfinished|round: ' run "${keeps[@]}" -p x --session "$work/round"
[ "$(stat -c %a "$work/talk")" = 600 ] || complain "--session's file is readable for others"
cp "$work/talk1" "$work/talk"
talk -p 'and then' --seed 4 >/dev/null || complain "--session with another seed fails"
cmp -s "$work/talk" "$work/talk2" && complain "--session with another seed goes on with the old one's numbers"

# Refused: what is damaged or of another model, with other options, no file, in use; and the file stays.
refused() {
    local pattern=$1
    shift
    cp "$work/talk1" "$work/talk"
    expect 1 "$pattern" run "${keeps[@]}" -p x --session "$work/talk" "$@"
    cmp -s "$work/talk1" "$work/talk" || complain "a refused --session is written: $pattern"
}
refused 'talk: the saved session is of another model, other options' -m "$work/tiny.gguf"
refused 'talk: the saved session is of another model, other options' --ctx 512
refused 'talk: the saved session is of another model, other options' --kv int8
refused 'talk: the saved sampler is of another vocabulary, another window' --repeat-window 3
refused 'talk: the conversation was begun with another --system' --system "be cruel"
expect 1 'none/talk.unfinished: No such file' run "${keeps[@]}" -p x --session "$work/none/talk"
expect 1 'expected a file for the conversation' run "${keeps[@]}" -p x --session "$work"
expect 2 'option --session: expected turns' run "${keeps[@]}" -p x --session "$work/talk" --choices 'a|b'
exec 8>"$work/talk.unfinished"
flock 8
refused 'talk: another run goes on with this conversation'
exec 8>&-
size=$(stat -c %s "$work/talk1")
for at in 0 8 40 72 80 $((size / 2)) $((size - 1)); do
    cp "$work/talk1" "$work/damaged"
    byte=$(od -An -tu1 -j "$at" -N 1 "$work/damaged")
    # shellcheck disable=SC2059 # an octal escape
    printf "\\$(printf %o $((byte ^ 16)))" | dd of="$work/damaged" bs=1 seek="$at" conv=notrunc status=none
    expect 1 'damaged' run "${keeps[@]}" -p x --session "$work/damaged"
    head -c "$at" "$work/talk1" >"$work/damaged"
    expect 1 'damaged|not a conversation' run "${keeps[@]}" -p x --session "$work/damaged"
done
# Whole, but with an answer whose last token is none of the vocabulary: 2^32 - 1 and 2^32 - 2 are a prompt's places for pictures and sounds.
for last in 4294967295 4294967294 4000000000; do
    python3 - "$work/talk1" "$work/damaged" $last <<'END'
import struct, sys, zlib
whole = open(sys.argv[1], "rb").read()
fields = list(struct.unpack_from("<8s6QI4BII", whole))
head = struct.calcsize("<8s6QI4BII")
fields[7:9], fields[12] = [int(sys.argv[3]), 1], 0
crc = zlib.crc32(whole[head : len(whole) - fields[4]], zlib.crc32(struct.pack("<8s6QI4BII", *fields)))
fields[12] = crc
open(sys.argv[2], "wb").write(struct.pack("<8s6QI4BII", *fields) + whole[head:])
END
    expect 1 'damaged: no conversation, or a damaged one' run "${keeps[@]}" -p x --session "$work/damaged"
done

# A kill leaves the old file or the new one, and nothing for long.
cp "$work/talk1" "$work/talk"
for delay in 0.01 0.03 0.05 0.1 0.2; do
    "$gemlet" run "${keeps[@]}" --session "$work/talk" -p 'and then' >/dev/null 2>&1 &
    sleep $delay
    { kill -KILL $! && wait $!; } 2>/dev/null || true
    cmp -s "$work/talk" "$work/talk1" || cmp -s "$work/talk" "$work/talk2" || complain "a kill after $delay s leaves another file"
    cp "$work/talk1" "$work/talk"
done
head -c 100000 /dev/urandom >"$work/talk.unfinished" # of a kill in the midst of writing
talk -p 'and then' >/dev/null || complain "what a kill left stops --session"
same "$work/talk" "$work/talk2" "what a kill left gets into the conversation"
[ ! -e "$work/talk.unfinished" ] || complain "what a kill left stays"

# --- chat --tools ------------------------------------------------------------------------------------------------------------------
# A model that calls f by rote, and says "ok" behind what f answers (tests/serve/rote_model.py).
PYTHONPATH=tests/serve python3 -c 'import sys, rote_model; rote_model.write(sys.argv[1])' "$work/rote" || complain "rote_model.py fails"
on "${cpus[0]}" "$packer" --hf "$work/rote" -o "$work/rote.gguf" --quiet >"$work/output" 2>&1 || complain "$(cat "$work/output")"
rote=("${model[@]}" -m "$work/rote.gguf" -n 40)
echo '[{"type": "function", "function": {"name": "f", "description": "Counts.", "parameters": {"type": "object", "properties": {"n": {"type": "integer"}}}}}]' >"$work/tools"
if printf 'hello\nno JSON\n1,"more":2\n/image none\n{"sum": 5}\nagain\n7\n' | run chat "${rote[@]}" --tools "$work/tools" >"$work/output" 2>"$work/messages"; then
    complain "a chat with an answer that is no JSON ends with 0"
fi
printf '\ncall f {"n":4}\ncall f {"n":4}\ncall f {"n":4}\ncall f {"n":4}\nok\n\ncall f {"n":4}\nok\n' >"$work/expected"
same "$work/output" "$work/expected" "chat --tools: $(cat "$work/output")"
[ "$(grep -c 'what the function answers: expected JSON' "$work/messages")" = 3 ] || complain "chat --tools: $(cat "$work/messages")"
printf 'hello\n5},"x":{"y":2\n' | run chat "${rote[@]}" --tools "$work/tools" >"$work/output" 2>&1 && complain "an answer that is JSON only between others is taken"
printf 'hello\n/reset\nhello\n' | run chat "${rote[@]}" --tools "$work/tools" >"$work/output"
printf '\ncall f {"n":4}\n\ncall f {"n":4}\n' | cmp -s - "$work/output" || complain "/reset does not forget a call: $(cat "$work/output")"
# Whatever it would say, it calls as declared.
echo '[{"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {"n": {"enum": [7]}}, "required": ["n"]}}}]' >"$work/tools"
echo hello | run chat "${rote[@]}" --tools "$work/tools" >"$work/output"
grep -qx 'call f {"n":7}' "$work/output" || complain "a call that is not of its declaration: $(cat "$work/output")"
echo '[{"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {"n": {"not": {}}}}}}]' >"$work/tools"
echo hello | run chat "${rote[@]}" --tools "$work/tools" >"$work/output" 2>&1 && complain "a declaration that can't be held is taken"
grep -q 'tools: /0/function/parameters/properties/n/not: the keyword "not" is not held' "$work/output" || complain "a declaration that can't be held: $(cat "$work/output")"
echo '[{"type": "function"}]' >"$work/tools"
echo hello | run chat "${rote[@]}" --tools "$work/tools" >"$work/output" 2>&1 && complain "a wrong declaration is taken"
grep -q 'tools: /0: expected {"type": "function"' "$work/output" || complain "a wrong declaration: $(cat "$work/output")"
expect 1 '^gemlet: --tools: models of this family were not made to call functions$' chat "${model[@]}" --tools "$work/tools"
expect 1 'none: No such file' chat "${rote[@]}" --tools "$work/none"
expect 2 'option --tools: expected a file' chat "${rote[@]}" --tools -

# --- dump --------------------------------------------------------------------------------------------------------------------------
vocabulary=528 tokens=17
[ "$(wc -c <"$work/logits-f16")" = $((128 + tokens * vocabulary * 4)) ] || complain "the .npy file has not the size of its matrix"
header=$(head -c 128 "$work/logits-f16" | tail -c +11 | tr -d ' \n')
[ "$header" = "{'descr':'<f4','fortran_order':False,'shape':($tokens,$vocabulary),}" ] || complain "header of the .npy file: $header"
[ "$(head -c 10 "$work/logits-f16" | od -An -tx1 | tr -d ' \n')" = 934e554d505901007600 ] || complain "magic of the .npy file"
run "${logits[@]}" "$work/last" --last 3
[ "$(wc -c <"$work/last")" = $((128 + 3 * vocabulary * 4)) ] || complain "--last 3 does not write three rows"
tail -c $((3 * vocabulary * 4)) "$work/last" >"$work/last3"
tail -c $((3 * vocabulary * 4)) "$work/logits-f16" >"$work/all3"
same "$work/last3" "$work/all3" "--last 3 gives other logits"
bad_ids() {
    printf '%s' "$1" >"$work/bad"
    expect 1 "$2" dump "${model[@]}" --tokens "$work/bad" --logits "$work/none.npy"
    [ ! -e "$work/none.npy" ] || complain "a half .npy file stays after: $2"
}
bad_ids '2 5 x7 8' 'found "x7" after 2 ids'
bad_ids '2 -5' 'found "-5" after 1 ids'
bad_ids '2 4294967296' 'found "4294967296"'
bad_ids ' ' 'found none'
bad_ids '2 528' '528'
expect 1 '^gemlet: standard input: expected token ids, found none$' dump "${model[@]}" --tokens - --logits "$work/none.npy"
expect 1 'none/x: No such file' dump "${model[@]}" --tokens "$work/ids" --logits "$work/none/x"
expect 1 'none/ids: No such file' dump "${model[@]}" --tokens "$work/none/ids" --logits "$work/x"
expect 1 'No space left' dump "${model[@]}" --tokens "$work/ids" --logits /dev/full

# --- perplexity --------------------------------------------------------------------------------------------------------------------
for i in {1..12}; do echo "Line $i: the quick brown fox and its $i friends."; done >"$work/text"
for threads in 1 2; do
    run perplexity "${model[@]}" --file "$work/text" --ctx 64 --threads $threads >"$work/perplexity-$threads" 2>/dev/null
done
same "$work/perplexity-1" "$work/perplexity-2" "two threads give another perplexity"
grep -qE '^perplexity [0-9]+\.[0-9]{4} \+/- [0-9]+\.[0-9]+ \([0-9]+ tokens of [0-9]+ chunks of 64\)$' "$work/perplexity-1" ||
    complain "perplexity: $(cat "$work/perplexity-1")"
expect 1 'expected at least two chunks, that is 4096 tokens' perplexity "${model[@]}" --file "$work/ids" --ctx 2048
expect 1 '^gemlet: standard input: expected at least two chunks' perplexity "${model[@]}" --file - --ctx 2048
expect 1 'at least 4' perplexity "${model[@]}" --file "$work/text" --ctx 3
expect 1 'none: No such file' perplexity "${model[@]}" --file "$work/none"

# --- info --------------------------------------------------------------------------------------------------------------------------
for with in "--ctx 300 --kv int8" "--ctx 300 --threads 3 --chunk 16"; do
    read -ra with <<<"$with"
    planned=$(run info "${model[@]}" --no-images "${with[@]}" | awk '$1 == "arena" { print $2 }')
    expect 0 "^arena +$planned bytes at most: as planned" run "${model[@]}" -p x -n 3 --stats "${with[@]}"
done
expect 0 '^all [0-9]+ tensors have the right CRC-32' info "${model[@]}" --verify
expect 0 '^token_embd.weight +q4_0 panels +528 x 128' info "${model[@]}" --tensors

# --- What is wrong is named --------------------------------------------------------------------------------------------------------
for command in run chat dump perplexity info; do
    expect 0 '-m FILE .*packed model' $command --help
    expect 2 'option -m FILE is missing' $command
    expect 2 'unknown option "--nonsense"' $command "${model[@]}" --nonsense
done
expect 2 'one reader of standard input' run "${model[@]}" -p - --image -
expect 2 'one reader of standard input' run "${model[@]}" -p - --clip -
expect 2 'one reader of standard input' run "${model[@]}" -p x --clip - --clip -
expect 2 'one reader of standard input' camera "${model[@]}" -p x --raw-frames rgb --size 8x6 --schema -
expect 2 'option --image: expected a file, up to 32 times, found nothing' run "${model[@]}" -p x --image
expect 2 'option --kv: expected f16\|int8, found "f16.int8"' run "${model[@]}" -p x --kv 'f16|int8'
expect 2 'option --kv: expected f16\|int8, found ""' run "${model[@]}" -p x --kv ''
expect 2 'option -p TEXT is missing' run "${model[@]}"
expect 2 'unknown option "--last"' run "${model[@]}" -p x --last 3
expect 2 'option --temp: expected a number from 0 to 1000, found "warm"' run "${model[@]}" -p x --temp warm
expect 2 'option --temp: .* found "nan"' run "${model[@]}" -p x --temp nan
expect 2 'option --top-p: .* found "1.5"' run "${model[@]}" -p x --top-p 1.5
expect 2 'option --top-k: expected a whole number .* found "-1"' run "${model[@]}" -p x --top-k -1
expect 2 'option -n: expected a whole number from 1 to 4294967295, found "99999999999"' run "${model[@]}" -p x -n 99999999999
expect 2 'option --threads: .* found "0"' run "${model[@]}" -p x --threads 0
expect 2 'option --seed: .*, or random, found "18446744073709551616"' run "${model[@]}" -p x --seed 18446744073709551616
expect 2 'option --kv: expected f16\|int8, found "f1"' run "${model[@]}" -p x --kv f1
expect 2 'option --kv: expected f16\|int8, found nothing' run "${model[@]}" -p x --kv
expect 2 'option --system: expected turns, found --raw' run "${model[@]}" -p x --raw --system y
expect 2 'expected one of --clip and --image, found both' run "${model[@]}" -p x --clip y --image z
expect 2 'option --clip: expected turns, found --raw' run "${model[@]}" -p x --raw --clip y
expect 1 'program.sh' run -m tests/checks/program.sh -p x
expect 1 'context' run "${model[@]}" -p x --ctx 1000000
exit $failed
