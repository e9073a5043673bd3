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
expect 1 'program.sh' run -m tests/checks/program.sh -p x
expect 1 'context' run "${model[@]}" -p x --ctx 1000000
exit $failed
