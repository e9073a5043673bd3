#!/usr/bin/env bash
# usage: manners.sh GEMLET GEMLET_PACK
# What a user's shell, disk and files may do to the programs: closed descriptors, full disks, pipes, links, signals, texts that are none,
# pictures that don't match.  Nothing here writes to a real device but to /dev/full and /dev/null, and never names one as an output
# that could be replaced.
set -euo pipefail
gemlet=$1 packer=$2
text=tests/data/tiny/text-q4_0.gguf projector=tests/data/tiny/mm-f16.gguf
work=$(mktemp -d)
trap 'code=$?; rm -rf "$work"; [ $code = 0 ] || echo "manners.sh ends with $code"' EXIT
failed=0

complain() {
    printf '%s\n' "$*"
    failed=1
}

# ends CODE PATTERN COMMAND...: it ends with CODE, and what it says on standard error matches PATTERN.  Standard output goes to $output.
ends() {
    local code=$1 pattern=$2 found=0
    shift 2
    "$@" >"${output:-$work/output}" 2>"$work/messages" </dev/null || found=$?
    [ "$found" = "$code" ] || complain "$*: expected exit code $code, found $found: $(head -c 400 "$work/messages")"
    [ -z "$pattern" ] || grep -qE -- "$pattern" "$work/messages" || complain "$*: expected \"$pattern\", found: $(head -c 400 "$work/messages")"
}

model=$work/tiny.gguf
"$packer" --text $text --mmproj $projector -o "$model" --quiet >/dev/null
small=(-m "$model" --ctx 320 --image-size 64 -n 4)
printf 'P6 2 2 255\nabcdefghijkl' >"$work/picture.ppm"
printf 'P6 2 2 255\nlkjihgfedcba' >"$work/other.ppm"
seq 1 400 | tr '\n' ' ' >"$work/numbers"
printf '2 5 7 8' >"$work/ids"

# --- Standard output that can't be written is told, by every command ---------------------------------------------------------------
full='standard output can.t be written'
output=/dev/full
ends 1 "$full" "$gemlet" --help
ends 1 "$full" "$gemlet" --version
ends 1 "$full" "$gemlet" run --help
ends 1 "$full" "$gemlet" run "${small[@]}" -p x
ends 1 "$full" "$gemlet" info -m "$model" --tensors
ends 1 "$full" "$gemlet" perplexity -m "$model" --file "$work/numbers" --ctx 32
ends 1 "$full" "$gemlet" camera "${small[@]}" -p x --folder "$work"
ends 1 "$full" "$packer" --help
ends 1 "$full" "$packer" --version
ends 1 "$full" "$packer" --text $text --list
output=
echo x | "$gemlet" chat "${small[@]}" >/dev/full 2>"$work/messages" && complain "chat does not notice a full disk"
grep -q "$full" "$work/messages" || complain "chat on a full disk: $(cat "$work/messages")"

# --- Descriptors that are closed when the program starts ----------------------------------------------------------------------------
"$packer" --text $text --mmproj $projector -o "$work/closed.gguf" >&- 2>"$work/messages" && complain "a report that nobody gets is no failure"
cmp -s "$model" "$work/closed.gguf" || complain "the packed file differs where standard output is closed"
grep -q "$full" "$work/messages" || complain "gemlet-pack >&-: $(cat "$work/messages")"
"$packer" --text $text --mmproj $projector -o "$work/closed2.gguf" --quiet <&- >&- 2>&- || true
cmp -s "$model" "$work/closed2.gguf" || complain "the packed file differs where all three are closed"
"$gemlet" run "${small[@]}" -p x >&- 2>"$work/messages" && complain "an answer that nobody gets is no failure"
"$gemlet" dump -m "$model" --tokens "$work/ids" --logits "$work/logits" >/dev/null
"$gemlet" dump -m "$model" --tokens "$work/ids" --logits "$work/logits2" --stats <&- >&- 2>&-
cmp -s "$work/logits" "$work/logits2" || complain "the logits differ where all three are closed"
"$gemlet" run "${small[@]}" -p - <&- >/dev/null 2>"$work/messages" && complain "a prompt from a closed descriptor is answered"
grep -q 'standard input' "$work/messages" || complain "gemlet run -p - <&-: $(cat "$work/messages")"

"$gemlet" chat "${small[@]}" <&- >/dev/null 2>"$work/messages" && complain "a chat without input is no failure"
grep -q "standard input can't be read: Bad file descriptor" "$work/messages" || complain "gemlet chat <&-: $(cat "$work/messages")"
"$gemlet" camera "${small[@]}" -p x --raw-frames rgb --size 8x6 <&- >/dev/null 2>"$work/messages" && complain "a closed stream is no failure"
grep -q "stream of frames can't be read: Bad file descriptor" "$work/messages" || complain "gemlet camera <&-: $(cat "$work/messages")"

# --- Files that can't be opened: why --------------------------------------------------------------------------------------------------
mkfifo "$work/fifo"
ends 1 'none.gguf: can.t be opened: No such file or directory' "$gemlet" info -m "$work/none.gguf"
ends 1 'can.t be opened: Is a directory' "$gemlet" run -m "$work" -p x
ends 1 'fifo: can.t be opened: Not a regular file' "$gemlet" run -m "$work/fifo" -p x
ends 1 'none.ppm: No such file' "$gemlet" run "${small[@]}" -p x --image "$work/none.ppm"
ends 1 'Is a directory' "$gemlet" run "${small[@]}" -p x --image "$work"
ends 1 'none: can.t be opened: No such file' "$packer" --text "$work/none" -o "$work/x.gguf"
ends 1 'none/x.gguf.*No such file' "$packer" --text $text -o "$work/none/x.gguf" --quiet
if [ "$(id -u)" != 0 ]; then
    chmod 000 "$work/ids"
    ends 1 'Permission denied' "$gemlet" run -m "$work/ids" -p x
    chmod 600 "$work/ids"
fi

repository=$PWD
ends 1 "$work/none.gguf: no such file" env -C "$work" MODEL=none.gguf bash "$repository/examples/demo.sh" # a name in the caller's folder

# --- The packer's output: links lead, what is no file is left alone ------------------------------------------------------------------
pack=("$packer" --text $text --mmproj $projector --quiet -o)
mkdir "$work/far"
echo old >"$work/far/target.gguf"
ln -s far/target.gguf "$work/link.gguf"
ln -s link.gguf "$work/second.gguf"
ln -s "$work/far/new.gguf" "$work/dangling.gguf"
ln -s loop.gguf "$work/loop.gguf"
for link in second:target dangling:new; do
    ends 0 '' "${pack[@]}" "$work/${link%:*}.gguf"
    [ -L "$work/${link%:*}.gguf" ] || complain "the link ${link%:*}.gguf was replaced"
    cmp -s "$model" "$work/far/${link#*:}.gguf" || complain "the link ${link%:*}.gguf does not lead to the packed file"
done
ends 1 'too many symbolic links' "${pack[@]}" "$work/loop.gguf"
ends 1 'found a pipe' "${pack[@]}" "$work/fifo"
[ -p "$work/fifo" ] || complain "the pipe was replaced"
ends 1 'found a folder' "${pack[@]}" "$work/far"
ln -s /dev/null "$work/device.gguf" # refused before anything is created beside it
ends 1 'found a device' "${pack[@]}" "$work/device.gguf"
[ -L "$work/device.gguf" ] || complain "the link to a device was replaced"
cp $text "$work/source.gguf"
ends 1 'would replace what is packed' "$packer" --text "$work/source.gguf" -o "$work/source.gguf" --quiet
cmp -s $text "$work/source.gguf" || complain "the source was replaced"

# --- What a model's file says is shown, and speaks to no terminal ---------------------------------------------------------------------
change=(python3 tests/container/change_packed.py "$model")
ends 0 '' "$gemlet" info -m "$model" --tensors
[ "$(head -1 "$work/output")" = 'gemma3n, Hf' ] || complain "the first line of info: $(head -1 "$work/output")"
sed -n 's/^token_embd.weight/token_?[2J.weight/p' "$work/output" >"$work/expected"
"${change[@]}" "$work/escapes.gguf" text token_embd.weight $'token_\e[2J.weight'
"$gemlet" info -m "$work/escapes.gguf" --tensors 2>/dev/null | grep '^token_' >"$work/found" || true # what needs the tensor fails
cmp -s "$work/expected" "$work/found" || complain "a tensor's name with an escape: expected $(cat "$work/expected"), found $(cat "$work/found")"
"${change[@]}" "$work/escapes.gguf" text Hf $'\e['
ends 0 '' "$gemlet" info -m "$work/escapes.gguf"
[ "$(head -1 "$work/output")" = 'gemma3n, ?[' ] || complain "a model's name with an escape: $(head -1 "$work/output")"
for layers in 0 129 4294967295; do
    "${change[@]}" "$work/layers.gguf" number gemma3n.block_count $layers
    ends 1 "layers.gguf: key .gemma3n.block_count. must be 1 to 128 but is $layers\$" timeout 20 "$gemlet" info -m "$work/layers.gguf"
done

# --- Signals leave no unfinished file ---------------------------------------------------------------------------------------------------
# stopped SIGNAL COMMAND...: a signal that comes while a file is written.  A short writing may be over before: some attempts.
stopped() {
    local signal=$1 pid code left
    shift
    for attempt in {1..40}; do
        rm -rf "$work/out"
        mkdir "$work/out"
        "$@" >/dev/null 2>&1 </dev/null &
        pid=$!
        while [ -z "$(ls "$work/out")" ] && kill -0 $pid 2>/dev/null; do :; done
        kill -"$signal" $pid 2>/dev/null || true
        code=0
        { wait $pid; } 2>/dev/null || code=$? # the shell would tell how it died
        left=$(ls "$work/out")
        [ $code = 0 ] || break
    done
    [ $code != 0 ] || { complain "$signal comes too late each time: $*"; return; }
    [ -z "$left" ] || complain "$signal leaves $left: $*"
    stopped_with=$code
}
set +e # `wait` answers what the signal made of it
for signal in INT TERM HUP; do
    # A job of a script ignores SIGINT, and keeps to that: the default is put back.
    restore=(python3 -c 'import os, signal, sys
signal.signal(signal.SIGINT, signal.SIG_DFL)
os.execv(sys.argv[1], sys.argv[1:])')
    stopped $signal "${restore[@]}" "${pack[@]}" "$work/out/x.gguf"
    [ "${stopped_with:-0}" = $((128 + $(kill -l $signal))) ] || complain "the packer stopped by $signal ends with ${stopped_with:-0}"
    stopped $signal "${restore[@]}" "$gemlet" dump -m "$model" --tokens "$work/numbers" --ctx 1024 --chunk 1 --threads 1 --logits "$work/out/x.npy"
done
set -e

# --- What gemlet dump writes: links lead, a failure changes nothing ---------------------------------------------------------------------
ends 1 'would replace the model' "$gemlet" dump -m "$model" --tokens "$work/ids" --logits "$model"
ends 1 'would replace the tokens' "$gemlet" dump -m "$model" --tokens "$work/ids" --logits "$work/ids"
ends 1 'would replace the image' "$gemlet" dump "${small[@]:0:6}" --image "$work/picture.ppm" --soft-tokens "$work/picture.ppm"
[ "$(cat "$work/ids")" = '2 5 7 8' ] || complain "gemlet dump replaced its tokens"
mkdir "$work/far2"
echo old >"$work/far2/old"
ln -s far2/old "$work/link.npy"
ln -s far2/new "$work/dangling.npy"
echo '2 5 99999999' >"$work/bad"
for link in link:old dangling:new; do
    ends 1 '99999999' "$gemlet" dump -m "$model" --tokens "$work/bad" --logits "$work/${link%:*}.npy"
    [ "$(cat "$work"/far2/*)" = old ] || complain "a dump that failed changed what ${link%:*}.npy leads to"
done
[ "$(ls "$work/far2")" = old ] || complain "a dump that failed leaves $(ls "$work/far2")"
for link in link:old dangling:new; do
    ends 0 '' "$gemlet" dump -m "$model" --tokens "$work/ids" --logits "$work/${link%:*}.npy"
    [ -L "$work/${link%:*}.npy" ] && cmp -s "$work/logits" "$work/far2/${link#*:}" || complain "the link ${link%:*}.npy does not lead to the logits"
done
"$gemlet" dump -m "$model" --tokens "$work/ids" --logits /dev/stdout | cmp -s - "$work/logits" || complain "logits in a pipe differ"
"$gemlet" dump -m "$model" --tokens "$work/ids" --logits /dev/stdout >"$work/found"
cmp -s "$work/found" "$work/logits" || complain "logits on standard output differ"

# --- Texts that are none -------------------------------------------------------------------------------------------------------------------
printf 'Where?\0Here.' >"$work/zero"
printf 'Where?' | iconv -t UTF-16LE >"$work/utf16"
printf 'Where?' | iconv -t UTF-16 >"$work/utf16-mark"
printf '\xEF\xBB\xBFWhere is it?' >"$work/utf8-mark"
printf 'Where is it?' >"$work/utf8"
for name in zero utf16 utf16-mark; do
    "$gemlet" run "${small[@]}" -p - <"$work/$name" >/dev/null 2>"$work/messages" && complain "a prompt of $name is answered"
    grep -qE 'standard input: expected text.*(zero byte|UTF-16)' "$work/messages" || complain "a prompt of $name: $(cat "$work/messages")"
    ends 1 "$name: expected text" "$gemlet" perplexity -m "$model" --file "$work/$name" --ctx 16
    ends 1 "$name: expected text" "$gemlet" dump -m "$model" --tokens "$work/$name" --logits "$work/x"
done
for name in utf8 utf8-mark; do
    "$gemlet" run "${small[@]}" -p - --seed 4 <"$work/$name" >"$work/$name.answer"
done
cmp -s "$work/utf8.answer" "$work/utf8-mark.answer" || complain "a byte order mark changes the answer"

# --- Pictures and their places ---------------------------------------------------------------------------------------------------------
picture=(--image "$work/picture.ppm")
ends 1 'says <image> 1 time, but there are 0 pictures' "$gemlet" run "${small[@]}" -p '<image>What?'
ends 1 'says <image> 2 times, but there is 1 picture$' "$gemlet" run "${small[@]}" -p '<image>What<image>?' "${picture[@]}"
ends 1 'says <image> 1 time, but there are 2 pictures' "$gemlet" run "${small[@]}" -p '<image>What?' "${picture[@]}" "${picture[@]}"
ends 1 'a system prompt has no place for pictures' "$gemlet" run "${small[@]}" -p 'What?' --system '<image>' "${picture[@]}"
ends 1 'says <image> 2 times' "$gemlet" camera "${small[@]}" -p '<image>What<image>?' --folder "$work"
ends 0 '' "$gemlet" run "${small[@]}" -p '<image>What<image>?' "${picture[@]}" "${picture[@]}" --ctx 640
"$gemlet" run "${small[@]}" --seed 2 -p 'What?' "${picture[@]}" >"$work/expected"
"$gemlet" run "${small[@]}" --seed 2 -p 'What?' --image - <"$work/picture.ppm" >"$work/found"
cmp -s "$work/expected" "$work/found" || complain "a picture on standard input is seen otherwise"
"$gemlet" run "${small[@]}" --seed 2 -p 'What?' --image <(cat "$work/picture.ppm") >"$work/found"
cmp -s "$work/expected" "$work/found" || complain "a picture from a pipe is seen otherwise"
"$gemlet" --version >"$work/version" # not through a pipe: a reader that has seen enough closes it, and the writer would fail
if grep -q PNG "$work/version"; then
    python3 - "$work/picture.png" <<'PYTHON'
import struct, sys, zlib
def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
rows = b"\0abcdef\0ghijkl"
open(sys.argv[1], "wb").write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 2, 2, 8, 2, 0, 0, 0)) +
                              chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))
PYTHON
    "$gemlet" run "${small[@]}" --seed 2 -p 'What?' --image - <"$work/picture.png" >"$work/found"
    cmp -s "$work/expected" "$work/found" || complain "a PNG picture is seen otherwise"
fi
if grep -q JPEG "$work/version"; then # some of the middle is missing
    { head -c 3000 examples/demo/one.jpg; tail -c +3201 examples/demo/one.jpg; } >"$work/damaged.jpg"
    ends 0 'damaged.jpg: shown, but damaged: ' "$gemlet" run "${small[@]}" -p x --image "$work/damaged.jpg"
    head -c 3000 examples/demo/one.jpg >"$work/cut.jpg"
    ends 1 'cut.jpg: the JPEG file is cut' "$gemlet" run "${small[@]}" -p x --image "$work/cut.jpg"
fi
ends 1 'standard input: expected a picture as .*, found nothing' "$gemlet" run "${small[@]}" -p x --image -
ends 2 'option --image-memory: expected a whole number' "$gemlet" run "${small[@]}" -p x --image-memory 0

# In a chat, a picture stands with the next line, once.
printf '/image %s\nWhat?\n' "$work/picture.ppm" | "$gemlet" chat "${small[@]}" --seed 2 >"$work/found"
cmp -s "$work/expected" "$work/found" || complain "a chat sees a picture otherwise: $(cat "$work/found")"
"$gemlet" run "${small[@]}" --seed 2 -p 'What?' "${picture[@]}" --image "$work/other.ppm" --ctx 640 >"$work/expected"
printf '/image %s\n/image %s\nWhat?\n' "$work/picture.ppm" "$work/other.ppm" | "$gemlet" chat "${small[@]}" --seed 2 --ctx 640 >"$work/found"
cmp -s "$work/expected" "$work/found" || complain "a chat sees two pictures otherwise: $(cat "$work/found")"
chat_says() { # PATTERN LINE...
    local pattern=$1
    shift
    printf '%s\n' "$@" | "$gemlet" chat "${small[@]}" >/dev/null 2>"$work/messages" && complain "a chat of \"$*\" ends with 0"
    grep -qE "$pattern" "$work/messages" || complain "a chat of \"$*\": $(cat "$work/messages")"
}
chat_says 'none: No such file' "/image $work/none"
chat_says '/image: expected the name of a file' '/image'
chat_says '/image: expected the name of a file' '/image -'
chat_says '/image: expected the name of a file' "/image $work/fifo" # it would be read twice
chat_says 'but there are 0 pictures' '<image>What?'
small+=(--no-images)
chat_says 'no-images left it out' "/image $work/picture.ppm"
unset 'small[-1]'

demo=examples/demo/demo.gguf

# A sound likewise, where the program reads sound files.
"$gemlet" run -m $demo --sound examples/demo/one.wav -p x -n 1 >/dev/null 2>"$work/messages" || true
if ! grep -q 'lacks libsndfile' "$work/messages"; then
    "$gemlet" run -m $demo --ctx 768 --temp 0 --image examples/demo/one.jpg --sound examples/demo/one.wav -p '<image><sound>' >"$work/expected"
    printf '/sound %s\n/image %s\n<image><sound>\n' examples/demo/one.wav examples/demo/one.jpg |
        "$gemlet" chat -m $demo --ctx 768 --temp 0 >"$work/found"
    cmp -s "$work/expected" "$work/found" || complain "a chat hears otherwise: $(cat "$work/found")"
    before=("${small[@]}")
    small=(-m $demo --ctx 768)
    chat_says 'none: ' "/sound $work/none"
    chat_says '/sound: expected the name of a file' '/sound'
    small+=(--no-sounds)
    chat_says 'no-sounds left it out' '/sound examples/demo/one.wav'
    small=("${before[@]}")
fi

# --- What will not fit is refused before any computing ------------------------------------------------------------------------------
many=() # files that are not there: nobody looks
for i in 1 2 3 4 5 6 7 8; do many+=(--image "$work/none$i"); done
ends 1 'the context is full: the prompt takes [0-9]+ positions, those of 8 pictures included.* room for 2048 of 2048' \
    "$gemlet" run -m $demo -p x "${many[@]}"
ends 1 'none1: No such file' "$gemlet" run -m $demo -p x "${many[@]:0:14}"
ends 1 'the context holds 300 tokens .*, found 400' "$gemlet" dump -m "$model" --tokens "$work/numbers" --ctx 300 --last 10 --logits "$work/x.npy"

# --- Threads, version, seed ------------------------------------------------------------------------------------------------------------
if command -v taskset >/dev/null; then
    taskset -c 0 "$gemlet" run "${small[@]}" -p x --stats >/dev/null 2>"$work/messages"
    grep -q 'threads 1,' "$work/messages" || complain "more threads than cores that may be used"
fi
version=$(awk '/^#define GEMLET_VERSION_(MAJOR|MINOR|PATCH) / { printf "%s%s", dot, $3; dot = "." }' include/gemlet/version.h)
[ "$(head -n 1 "$work/version")" = "gemlet $version" ] || complain "version: $(cat "$work/version")"
[ "$("$packer" --version)" = "gemlet-pack $version" ] || complain "version: $("$packer" --version)"
for i in 1 2; do
    "$gemlet" run "${small[@]}" -p x --seed random --stats >"$work/answer$i" 2>"$work/messages"
    sed -n 's/.*seed \([0-9]*\)$/\1/p' "$work/messages" >"$work/seed$i"
done
cmp -s "$work/seed1" "$work/seed2" && complain "two random seeds are the same: $(cat "$work/seed1")"
"$gemlet" run "${small[@]}" -p x --seed "$(cat "$work/seed2")" | cmp -s - "$work/answer2" || complain "a random seed is not the one that --stats tells"

# --- Progress is shown on a terminal, and only there ---------------------------------------------------------------------------------
python3 - "$gemlet" $demo "$work/picture.ppm" <<'PYTHON' || complain "the line of progress"
import os, pty, re, subprocess, sys
gemlet, model, picture = sys.argv[1:]
command = [gemlet, "run", "-m", model, "--image", picture, "-p", "What do you see?", "--threads", "1", "--temp", "0", "--level", "scalar"]
problems = []


def on_terminal(command):
    master, slave = pty.openpty()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=slave, stdin=subprocess.DEVNULL)
    os.close(slave)
    shown = b""
    try:
        while piece := os.read(master, 4096):
            shown += piece
    except OSError:
        pass  # the other end is closed
    answer = process.stdout.read().decode()
    if process.wait() != 0:
        problems.append("%s ends with %d" % (command[:4], process.returncode))
    return answer, shown.decode()


quiet = subprocess.run(command, capture_output=True, text=True)
answer, shown = on_terminal(command)
if answer != quiet.stdout:
    problems.append("the answer differs")
if quiet.stderr:
    problems.append("progress without a terminal: %r" % quiet.stderr)
# A prompt that is long enough for any machine, a token at a time.
words, prompt = 200, ""
while "prompt" not in prompt and words < 1500:
    words *= 2
    long = command[:4] + ["-p", "one " * words, "--threads", "1", "--level", "scalar", "--chunk", "1", "-n", "1"]
    prompt = on_terminal(long)[1]
for what, text in ("picture", shown), ("prompt", prompt):
    lines = text.split("\r")
    if not any(re.fullmatch(what + r" +\[#* *\] +\d+ % +\d+:\d\d left ", l) for l in lines):
        problems.append("no progress of the %s: %r" % (what, text[:300]))
    if not re.search(r"\r +\r$", text):
        problems.append("the line of the %s stays: %r" % (what, text[-100:]))
sys.exit("; ".join(problems) or 0)
PYTHON
exit $failed
