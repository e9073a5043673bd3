#!/usr/bin/env bash
# usage: packages.sh BUILD_DIRECTORY ARCHITECTURE GEMLET GEMLET_PACK
# Makes the Debian packages of a build, looks at what is in them and what they depend on, unpacks them into a root of their own and runs
# the program and the packer from there; and holds manual pages and completion against what the programs say of themselves.
set -euo pipefail
build=$1 architecture=$2 gemlet=$3 packer=$4
source=$PWD
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0
complain() {
    echo "$1"
    failed=1
}

if [ "$EMULATOR" = "" ]; then
    python3 packaging/manual.py --check "$gemlet" "$packer" packaging || failed=1
fi
for page in gemlet gemlet-pack; do
    warnings=$(groff -man -Tutf8 -ww "packaging/$page.1" 2>&1 >/dev/null) || true
    [ -z "$warnings" ] || complain "packaging/$page.1: $warnings"
done

# what a completion offers: complete WORD...: for the last word
complete_words() {
    bash -c 'source "$0"/packaging/gemlet.bash; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); if [ "$1" = gemlet ]; then _gemlet; else _gemlet_pack; fi; echo "${COMPREPLY[*]}"' "$source" "$@"
}
[ "$(complete_words gemlet per)" = perplexity ] || complain "completion does not know the commands"
[ "$(complete_words gemlet run --top)" = "--top-k --top-p" ] || complain "completion does not know run's options"
[ "$(complete_words gemlet chat --kv i)" = int8 ] || complain "completion does not know the values of --kv"
[ "$(complete_words gemlet-pack --hea)" = --header-only ] || complain "completion does not know gemlet-pack's options"

[ "$(cd packaging && complete_words gemlet run -m manual)" = manual.py ] || complain "completion does not know that -m wants a file"
[ "$(complete_words gemlet run --choices A)$(complete_words gemlet camera --clip R)" = "" ] || complain "completion offers what is no value"
[ "$(complete_words gemlet run --clip READ)" = README.md ] || complain "completion does not know that a frame of a clip is a file"
[ "$(complete_words gemlet transcribe READ)" = README.md ] || complain "completion does not know that transcribe wants a file"
[ "$(complete_words gemlet transcribe --lang)" = --language ] || complain "completion does not know transcribe's options"

(cd "$build" && cpack -B "$work/made" >"$work/cpack.log" 2>&1) || { cat "$work/cpack.log"; exit 1; }
version=$(sed -n 's/^#define GEMLET_VERSION_[A-Z]* \([0-9]*\)$/\1/p' include/gemlet/version.h | paste -sd.)
has() { # PACKAGE PATH...
    local list
    list=$(dpkg-deb -c "$work/made/$1_${version}_$architecture.deb" | awk '{ print $6 }')
    for path in "${@:2}"; do
        grep -qxF "./usr/$path" <<<"$list" || complain "$1 lacks /usr/$path"
    done
    grep -qxF "./usr/share/doc/$1/copyright" <<<"$list" || complain "$1 has no copyright"
    grep -vE '^\./usr/' <<<"$list" | grep -vx './' && complain "$1 has files outside /usr"
    dpkg-deb -x "$work/made/$1_${version}_$architecture.deb" "$work/root"
}
needs() { # PACKAGE LIBRARY...
    local depends
    depends=$(dpkg-deb -f "$work/made/$1_${version}_$architecture.deb" Depends)
    for library in "${@:2}"; do
        [[ $depends == *"$library "* ]] || complain "$1 does not depend on $library but on: $depends"
    done
}
has gemlet bin/gemlet share/man/man1/gemlet.1.gz share/bash-completion/completions/gemlet
has gemlet-pack bin/gemlet-pack share/man/man1/gemlet-pack.1.gz share/bash-completion/completions/gemlet-pack
has libgemlet-dev lib/libgemlet.a lib/libgemlet-posix.a lib/pkgconfig/gemlet.pc lib/cmake/gemlet/gemlet-config.cmake include/gemlet/gemlet.h
needs gemlet libc6 libjpeg62-turbo libpng16-16 libwebp7 libsndfile1 libsamplerate0 libmicrohttpd12 libcjson1
needs gemlet-pack libc6 libcjson1
[ "$(ls "$work/made" | grep -c '\.deb$')" = 3 ] || complain "three packages expected: $(ls "$work/made")"

read -ra run <<<"$EMULATOR"
cd "$work"
"${run[@]}" root/usr/bin/gemlet-pack --hf "$source/tests/data/gemma3-small/hf" -o small.gguf --quiet
"${run[@]}" root/usr/bin/gemlet info -m small.gguf --verify >info.txt || failed=1
answer=$("${run[@]}" root/usr/bin/gemlet run -m "$source/examples/demo/demo.gguf" --image "$source/examples/demo/one.jpg" -p "Where is the star?" --temp 0)
[ "$answer" = "The star is at the bottom right." ] || complain "the packaged program answers: $answer"
IFS=$'\t' read -r picture sound _ right <"$source/examples/demo/spoken.tsv"
answer=$("${run[@]}" root/usr/bin/gemlet run -m "$source/examples/demo/demo.gguf" --image "$source/examples/demo/$picture" \
    --sound "$source/examples/demo/$sound" -p "<image><sound>" --temp 0)
[ "$answer" = "$right" ] || complain "the packaged program answers a voice: $answer"
exit $failed
