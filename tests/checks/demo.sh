#!/usr/bin/env bash
# usage: demo.sh GEMLET MODEL
# The demo model gives the right answers about the pictures of examples/demo, to written questions, to recorded ones and among choices.
set -euo pipefail
gemlet=$1 model=$2 failed=0 asked=0

ask() { # PICTURE QUESTION RIGHT OPTION...: the options say how it is asked; standard input is theirs
    local answer
    answer=$("$gemlet" run -m "$model" --ctx 512 --temp 0 --image "examples/demo/$1" "${@:4}") || answer="(ends with $?)"
    asked=$((asked + 1))
    if [ "$answer" != "$3" ]; then
        printf '%s: %s\n  expected "%s"\n  found    "%s"\n' "$1" "$2" "$3" "$answer"
        failed=1
    fi
}

while IFS=$'\t' read -r picture question right; do
    ask "$picture" "$question" "$right" -p "$question" </dev/null
done <examples/demo/questions.tsv
[ "$asked" = 3 ] || { echo "examples/demo/questions.tsv: expected 3 questions, found $asked"; failed=1; }

# Each choice has a line, the likeliest comes first, and the order in which they are given does not matter.
question=(-p "What color is the circle?" --choices)
among=$("$1" run -m "$2" --ctx 512 --image examples/demo/three.jpg "${question[@]}" "The circle is red.|The circle is blue.|The|The square" </dev/null)
turned=$("$1" run -m "$2" --ctx 512 --image examples/demo/three.jpg "${question[@]}" "The square|The circle is blue.|The circle is red.|The" </dev/null)
if [ "$among" != "$turned" ]; then
    printf 'the order of choices matters:\n%s\n%s\n' "$among" "$turned"
    failed=1
fi
awk -F'\t' '{ p[$1] = $2; order = order $1 "|" } NR > 1 && $2 > last { bad = 1 } { last = $2 }
    END { exit !(NR == 4 && !bad && p["The"] >= p["The circle is blue."] && p["The circle is blue."] > 0.5 && p["The circle is red."] < 0.5 &&
          p["The circle is blue."] + p["The circle is red."] + p["The square"] <= 1 + 1e-5) }' <<<"$among" ||
    { printf 'probabilities of choices are wrong:\n%s\n' "$among"; failed=1; }
# A camera prints the likeliest alone.
watched=$("$1" camera -m "$2" --ctx 512 --folder examples/demo "${question[@]}" "The circle is red.|The circle is blue." </dev/null)
alone=$(grep -F 'The circle is blue.' <<<"$among" | cut -f 2)
grep -qE "three\.jpg"$'\t'"0"$'\t'"The circle is blue\."$'\t'"$alone"$'\t'"[0-9.]+ s$" <<<"$watched" && [ "$(wc -l <<<"$watched")" = 3 ] ||
    { printf 'camera --choices: expected three frames and %s for three.jpg, found\n%s\n' "$alone" "$watched"; failed=1; }

# A program without libsndfile hears the same samples without the 44 bytes of a WAV file's head.
ways=2
message=$("$gemlet" run -m "$model" --sound examples/demo/one.wav -p x -n 1 2>&1 >/dev/null || true)
[[ $message != *"lacks libsndfile"* ]] || ways=1
while IFS=$'\t' read -r picture sound question right; do
    size=$(stat -c %s "examples/demo/$sound")
    [ "$size" -le 100000 ] || { echo "examples/demo/$sound: expected at most 100000 bytes, found $size"; failed=1; }
    ask "$picture" "$sound, raw: $question" "$right" --raw-sound s16 --sound - -p "<image><sound>" < <(tail -c +45 "examples/demo/$sound")
    [ $ways = 1 ] || ask "$picture" "$sound: $question" "$right" --sound "examples/demo/$sound" -p "<image><sound>" </dev/null
done <examples/demo/spoken.tsv
[ "$asked" = $((3 + 3 * ways)) ] || { echo "examples/demo/spoken.tsv: expected 3 questions in $ways ways, found $((asked - 3)) askings"; failed=1; }
exit $failed
