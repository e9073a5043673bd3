# bash completion of gemlet and gemlet-pack, made by packaging/manual.py of what they say of themselves

_gemlet() {
    local word=${COMP_WORDS[COMP_CWORD]} options
    COMPREPLY=()
    if [ "$COMP_CWORD" = 1 ]; then
        mapfile -t COMPREPLY < <(compgen -W "run chat transcribe camera serve dump perplexity info --help --version" -- "$word")
        return
    fi
    case "${COMP_WORDS[1]} ${COMP_WORDS[COMP_CWORD-1]}" in
        "camera --clip") return ;;
        "run --clip") compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- "$word"); return ;;
        *" --answer-seconds") return ;;
        *" --api-key-file") compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- "$word"); return ;;
        *" --camera") return ;;
        *" --choices") return ;;
        *" --chunk") return ;;
        *" --clip-interval") return ;;
        *" --color-matrix") mapfile -t COMPREPLY < <(compgen -W "bt601 bt709" -- "$word"); return ;;
        *" --color-range") mapfile -t COMPREPLY < <(compgen -W "limited full" -- "$word"); return ;;
        *" --connections") return ;;
        *" --ctx") return ;;
        *" --device") compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- "$word"); return ;;
        *" --file") compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- "$word"); return ;;
        *" --folder") compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- "$word"); return ;;
        *" --form-memory") return ;;
        *" --frames") return ;;
        *" --host") return ;;
        *" --image") compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- "$word"); return ;;
        *" --image-memory") return ;;
        *" --image-size") return ;;
        *" --image-tokens") return ;;
        *" --kv") mapfile -t COMPREPLY < <(compgen -W "f16 int8" -- "$word"); return ;;
        *" --language") return ;;
        *" --last") return ;;
        *" --level") mapfile -t COMPREPLY < <(compgen -W "scalar neon dotprod i8mm" -- "$word"); return ;;
        *" --logits") compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- "$word"); return ;;
        *" --min-p") return ;;
        *" --pattern") return ;;
        *" --piece") return ;;
        *" --port") return ;;
        *" --rate") return ;;
        *" --raw-frames") mapfile -t COMPREPLY < <(compgen -W "rgb bgr rgba grey yuyv nv12 i420 mjpeg" -- "$word"); return ;;
        *" --raw-sound") mapfile -t COMPREPLY < <(compgen -W "s16 f32" -- "$word"); return ;;
        *" --repeat-penalty") return ;;
        *" --repeat-window") return ;;
        *" --request-memory") return ;;
        *" --request-seconds") return ;;
        *" --schema") compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- "$word"); return ;;
        *" --seed") return ;;
        *" --session") compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- "$word"); return ;;
        *" --size") return ;;
        *" --slots") return ;;
        *" --soft-tokens") compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- "$word"); return ;;
        *" --sound") compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- "$word"); return ;;
        *" --stride") return ;;
        *" --system") return ;;
        *" --temp") return ;;
        *" --threads") return ;;
        *" --tokens") compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- "$word"); return ;;
        *" --tools") compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- "$word"); return ;;
        *" --top-k") return ;;
        *" --top-p") return ;;
        *" -m") compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- "$word"); return ;;
        *" -n") return ;;
        *" -p") return ;;
    esac
    case ${COMP_WORDS[1]} in
        run) options="-m -p --image --pan-and-scan --clip --clip-interval --sound --raw-sound --rate --cut-sound --image-memory --image-size --image-tokens --system --session --choices --schema --json --pattern --raw --think --show-thoughts -n --slide --temp --top-k --top-p --min-p --repeat-penalty --repeat-window --seed --ctx --chunk --threads --kv --level --no-images --no-sounds --stats --help" ;;
        chat) options="-m --pan-and-scan --image-memory --image-size --image-tokens --system --tools --think --show-thoughts -n --slide --temp --top-k --top-p --min-p --repeat-penalty --repeat-window --seed --ctx --chunk --threads --kv --level --no-images --no-sounds --stats --help" ;;
        transcribe) [[ $word == -* ]] || { compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- "$word"); return; }; options="-m --sound --language --piece --raw-sound --rate -n --temp --top-k --top-p --min-p --repeat-penalty --repeat-window --seed --ctx --chunk --threads --kv --level --stats --help" ;;
        camera) options="-m -p --clip --clip-interval --image-memory --image-size --image-tokens --device --folder --raw-frames --stride --every-frame --color-matrix --color-range --size --frames --wait --system --choices --schema --json --pattern --think --show-thoughts -n --slide --temp --top-k --top-p --min-p --repeat-penalty --repeat-window --seed --ctx --chunk --threads --kv --level --stats --help" ;;
        serve) options="-m --image-memory --image-size --image-tokens --size -n --temp --top-k --top-p --min-p --repeat-penalty --repeat-window --ctx --chunk --threads --kv --level --no-images --no-sounds --host --port --slots --api-key-file --camera --connections --request-memory --form-memory --request-seconds --answer-seconds --log-requests --help" ;;
        dump) options="-m --tokens --logits --image --sound --raw-sound --rate --cut-sound --image-memory --soft-tokens --image-size --image-tokens --last --ctx --chunk --threads --kv --level --stats --help" ;;
        perplexity) options="-m --file --ctx --chunk --threads --kv --level --stats --help" ;;
        info) options="-m --image-size --image-tokens --ctx --chunk --threads --kv --level --no-images --no-sounds --verify --tensors --help" ;;
        *) return ;;
    esac
    mapfile -t COMPREPLY < <(compgen -W "$options" -- "$word")
}

_gemlet_pack() {
    local word=${COMP_WORDS[COMP_CWORD]}
    COMPREPLY=()
    case " ${COMP_WORDS[COMP_CWORD-1]}" in
        *" --hf") compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- "$word"); return ;;
        *" --mmproj") compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- "$word"); return ;;
        *" --slice") return ;;
        *" --text") compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- "$word"); return ;;
        *" --type") mapfile -t COMPREPLY < <(compgen -W "q4_0 q8_0" -- "$word"); return ;;
        *" -o") compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- "$word"); return ;;
    esac
    mapfile -t COMPREPLY < <(compgen -W "--header-only --help --hf --list --mmproj --no-sound --quiet --slice --text --type --version -o" -- "$word")
}

complete -F _gemlet gemlet
complete -F _gemlet_pack gemlet-pack
