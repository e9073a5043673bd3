# bash completion of gemlet and gemlet-pack, made by packaging/manual.py of what they say of themselves

_gemlet() {
    local word=${COMP_WORDS[COMP_CWORD]} options
    COMPREPLY=()
    if [ "$COMP_CWORD" = 1 ]; then
        mapfile -t COMPREPLY < <(compgen -W "run chat camera dump perplexity info --help --version" -- "$word")
        return
    fi
    case ${COMP_WORDS[COMP_CWORD-1]} in
        --chunk) return ;;
        --color-matrix) mapfile -t COMPREPLY < <(compgen -W "bt601 bt709" -- "$word"); return ;;
        --color-range) mapfile -t COMPREPLY < <(compgen -W "limited full" -- "$word"); return ;;
        --ctx) return ;;
        --device) mapfile -t COMPREPLY < <(compgen -f -- "$word"); return ;;
        --file) mapfile -t COMPREPLY < <(compgen -f -- "$word"); return ;;
        --folder) mapfile -t COMPREPLY < <(compgen -f -- "$word"); return ;;
        --frames) return ;;
        --image) mapfile -t COMPREPLY < <(compgen -f -- "$word"); return ;;
        --image-memory) return ;;
        --image-size) return ;;
        --kv) mapfile -t COMPREPLY < <(compgen -W "f16 int8" -- "$word"); return ;;
        --last) return ;;
        --level) mapfile -t COMPREPLY < <(compgen -W "scalar neon dotprod i8mm" -- "$word"); return ;;
        --logits) mapfile -t COMPREPLY < <(compgen -f -- "$word"); return ;;
        --min-p) return ;;
        --rate) return ;;
        --raw-frames) mapfile -t COMPREPLY < <(compgen -W "rgb bgr rgba grey yuyv nv12 i420 mjpeg" -- "$word"); return ;;
        --raw-sound) mapfile -t COMPREPLY < <(compgen -W "s16 f32" -- "$word"); return ;;
        --repeat-penalty) return ;;
        --repeat-window) return ;;
        --seed) return ;;
        --size) return ;;
        --soft-tokens) mapfile -t COMPREPLY < <(compgen -f -- "$word"); return ;;
        --sound) mapfile -t COMPREPLY < <(compgen -f -- "$word"); return ;;
        --stride) return ;;
        --system) return ;;
        --temp) return ;;
        --threads) return ;;
        --tokens) mapfile -t COMPREPLY < <(compgen -f -- "$word"); return ;;
        --top-k) return ;;
        --top-p) return ;;
        -m) mapfile -t COMPREPLY < <(compgen -f -- "$word"); return ;;
        -n) return ;;
        -p) return ;;
    esac
    case ${COMP_WORDS[1]} in
        run) options="-m -p --image --sound --raw-sound --rate --cut-sound --image-memory --image-size --system --raw --think --show-thoughts -n --slide --temp --top-k --top-p --min-p --repeat-penalty --repeat-window --seed --ctx --chunk --threads --kv --level --stats --help" ;;
        chat) options="-m --image-memory --image-size --system --think --show-thoughts -n --slide --temp --top-k --top-p --min-p --repeat-penalty --repeat-window --seed --ctx --chunk --threads --kv --level --no-images --stats --help" ;;
        camera) options="-m -p --image-memory --image-size --device --folder --raw-frames --stride --every-frame --color-matrix --color-range --size --frames --wait --system --think --show-thoughts -n --slide --temp --top-k --top-p --min-p --repeat-penalty --repeat-window --seed --ctx --chunk --threads --kv --level --stats --help" ;;
        dump) options="-m --tokens --logits --image --sound --raw-sound --rate --cut-sound --image-memory --soft-tokens --image-size --last --ctx --chunk --threads --kv --level --stats --help" ;;
        perplexity) options="-m --file --ctx --chunk --threads --kv --level --stats --help" ;;
        info) options="-m --image-size --ctx --chunk --threads --kv --level --no-images --no-sounds --verify --tensors --help" ;;
        *) return ;;
    esac
    mapfile -t COMPREPLY < <(compgen -W "$options" -- "$word")
}

_gemlet_pack() {
    local word=${COMP_WORDS[COMP_CWORD]}
    COMPREPLY=()
    case ${COMP_WORDS[COMP_CWORD-1]} in
        --hf) mapfile -t COMPREPLY < <(compgen -f -- "$word"); return ;;
        --mmproj) mapfile -t COMPREPLY < <(compgen -f -- "$word"); return ;;
        --text) mapfile -t COMPREPLY < <(compgen -f -- "$word"); return ;;
        --type) mapfile -t COMPREPLY < <(compgen -W "q4_0 q8_0" -- "$word"); return ;;
        -o) mapfile -t COMPREPLY < <(compgen -f -- "$word"); return ;;
    esac
    mapfile -t COMPREPLY < <(compgen -W "--header-only --help --hf --list --mmproj --no-sound --quiet --text --type --version -o" -- "$word")
}

complete -F _gemlet gemlet
complete -F _gemlet_pack gemlet-pack
