#!/usr/bin/env bash
# usage: sources_of_models.sh GEMLET GEMLET_PACK
# What a source may be: a GGUF in several files, a head that is a copy of the embedding, one that is not; and what it may not be.
set -euo pipefail
gemlet=$1 packer=$2
text=tests/data/tiny/text-q4_0.gguf
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0
complain() {
    echo "$1"
    failed=1
}
change() {
    python3 tests/container/change_gguf.py "$text" "$@"
}
pack() { # SOURCE: to $work/NAME.packed
    "$packer" --text "$1" -o "${1%.gguf}.packed" --quiet
}
refused() { # WORDS SOURCE
    local message
    message=$("$packer" --text "$2" -o "$work/none" --quiet 2>&1) && complain "$2 is packed"
    [[ $message == *$1* ]] || complain "expected \"$1\", found \"$message\""
    [ ! -e "$work/none" ] || complain "something is left of $2"
}

"$packer" --text "$text" -o "$work/whole.packed" --quiet

# --- In several files --------------------------------------------------------------------------------------------------------------
for count in 2 5; do
    change "$work/parts" split $count
    pack "$work/parts-00001-of-0000$count.gguf"
    cmp "$work/whole.packed" "$work/parts-00001-of-0000$count.packed" || complain "a model in $count files is packed otherwise than whole"
done
refused "is part 2 of a model that is split into 2 files: give the first one" "$work/parts-00002-of-00002.gguf"
cp "$work/parts-00001-of-00002.gguf" "$work/other.gguf"
refused "must be called NAME-00001-of-00002.gguf" "$work/other.gguf"
cp "$work/parts-00003-of-00005.gguf" "$work/parts-00002-of-00002.gguf"
refused "must be part 2 of 2 of a split model, but is part 3 of 5" "$work/parts-00001-of-00002.gguf"
rm "$work/parts-00002-of-00002.gguf"
refused "part 2 of 2 of a split model: $work/parts-00002-of-00002.gguf: can't be opened" "$work/parts-00001-of-00002.gguf"

# --- A head of its own: rows of the embedding moved up by one give the logits moved up by one ----------------------------------------
change "$work/copied.gguf" head-copied
pack "$work/copied.gguf"
cmp "$work/whole.packed" "$work/copied.packed" || complain "a head that is the embedding is packed once more"
change "$work/rotated.gguf" head-rotated
pack "$work/rotated.gguf"
echo "2 10 20 30" >"$work/ids"
for name in whole rotated; do
    "$gemlet" dump -m "$work/$name.packed" --tokens "$work/ids" --logits "$work/$name.npy"
done
python3 - "$work/whole.npy" "$work/rotated.npy" <<'PYTHON' || failed=1
import struct, sys
def rows(path):
    data = open(path, "rb").read()
    start = 10 + struct.unpack_from("<H", data, 8)[0]
    numbers = struct.unpack(f"<{(len(data) - start) // 4}f", data[start:])
    return [numbers[i:i + 528] for i in range(0, len(numbers), 528)]
whole, rotated = map(rows, sys.argv[1:])
same = len(whole) == 4 and all(b == a[1:] + a[:1] for a, b in zip(whole, rotated))
sys.exit(0 if same else "the logits of a head of its own are not those of its rows")
PYTHON

# --- What no part of the model takes -------------------------------------------------------------------------------------------------
change "$work/biased.gguf" bias
refused 'tensor "blk.0.attn_q.bias" has no place in a gemma3n model' "$work/biased.gguf"
cp -r tests/data/gemma3-small/hf "$work/folder"
python3 tests/container/add_tensor.py "$work/folder/model.safetensors" model.layers.0.self_attn.q_proj.bias
message=$("$packer" --hf "$work/folder" -o "$work/none" --quiet 2>&1) && complain "a folder with a bias is packed"
[[ $message == *'tensor "model.layers.0.self_attn.q_proj.bias" has no place in a gemma3 model'* ]] || complain "a bias: $message"
cp tests/data/gemma3-small/hf/model.safetensors "$work/folder"
python3 tests/container/add_tensor.py "$work/folder/model.safetensors" vision_tower.vision_model.post_layernorm.weight
"$packer" --hf "$work/folder" -o "$work/with" --quiet && "$packer" --hf tests/data/gemma3-small/hf -o "$work/without" --quiet
cmp <(tail -c 4096 "$work/with") <(tail -c 4096 "$work/without") || complain "an encoder that is left out changes the text model"

# --- Switches: tests/container/test_switches.c has them all ----------------------------------------------------------------------------
switched() { # WORDS NAME TYPE VALUE: a key of the text GGUF
    change "$work/switched.gguf" key "${@:2}"
    refused "$1" "$work/switched.gguf"
}
switched '"gemma3n.rope.scaling.type" is "yarn", which is not supported in a gemma3n model: "linear" expected' gemma3n.rope.scaling.type text yarn
switched '"gemma3n.attn_logit_softcapping" is 50' gemma3n.attn_logit_softcapping real 50
switched '"gemma3n.attention.causal" is false' gemma3n.attention.causal bool false
switched '"gemma3n.expert_count" is 8' gemma3n.expert_count number 8
change "$work/same.gguf" key gemma3n.attention.causal bool true
pack "$work/same.gguf"
cmp "$work/whole.packed" "$work/same.packed" || complain "a key that changes nothing changes the packed model"

# --- Larger models of a family ------------------------------------------------------------------------------------------------------
gemma4=tests/data/gemma4-tiny/text-q4_0.gguf
larger() { # WORDS NAME TYPE VALUE: of Gemma 4
    python3 tests/container/change_gguf.py $gemma4 "$work/larger.gguf" key "${@:2}"
    refused "$1" "$work/larger.gguf"
}
larger 'has no per-layer inputs: of Gemma 4, E2B and E4B are supported, not the larger models' gemma4.embedding_length_per_layer_input number 0
larger '"gemma4.expert_count" is 128, which is not supported in a gemma4 model' gemma4.expert_count number 128
larger '"gemma4.attention.head_count_kv" must be the same for all layers, but is 1 and 2' gemma4.attention.head_count_kv numbers 1,1,1,1,2,1,1,1,1,2
python3 tests/container/change_gguf.py $gemma4 "$work/alike.gguf" key gemma4.attention.head_count_kv numbers 1,1,1,1,1,1,1,1,1,1
pack "$work/alike.gguf"

projector=tests/data/tiny/mm-f16.gguf
python3 tests/container/change_gguf.py $projector "$work/projector.gguf" key clip.vision.attention.layer_norm_epsilon real 0.001
message=$("$packer" --text $text --mmproj "$work/projector.gguf" -o "$work/none" --quiet 2>&1) && complain "a projector with another epsilon is packed"
[[ $message == *'"clip.vision.attention.layer_norm_epsilon" is 0.001, which is not supported in a gemma3n model: 1e-06 expected'* ]] || complain "epsilon: $message"

# --- Older mmproj files of Gemma 3, whose converter exchanged the feed-forward's matrices, with their biases ------------------------------
squares=tests/data/vision/gemma3
"$packer" --text $squares/text-q4_0.gguf --mmproj $squares/mm-f16.gguf -o "$work/squares" --quiet
python3 tests/container/change_gguf.py $squares/mm-f16.gguf "$work/older.gguf" exchanged .ffn_up. .ffn_down.
cmp -s $squares/mm-f16.gguf "$work/older.gguf" && complain "nothing is exchanged"
"$packer" --text $squares/text-q4_0.gguf --mmproj "$work/older.gguf" -o "$work/older" --quiet
cmp "$work/squares" "$work/older" || complain "an older mmproj file is packed otherwise"

folder() { # MEMBER VALUE...: the folder of Gemma 3 with other members of config.json, as JSON
    rm -rf "$work/copy"
    mkdir "$work/copy"
    cp -r tests/data/gemma3-small/hf "$work/copy"
    python3 - "$work/copy/hf/config.json" "$@" <<'PYTHON'
import json, sys
config = json.load(open(sys.argv[1]))
config.update((name, json.loads(value)) for name, value in zip(sys.argv[2::2], sys.argv[3::2]))
json.dump(config, open(sys.argv[1], "w"))
PYTHON
}
folder_refused() { # WORDS MEMBER VALUE...
    local message
    folder "${@:2}"
    message=$("$packer" --hf "$work/copy/hf" -o "$work/none" --quiet 2>&1) && complain "a folder with $2 = $3 is packed"
    [[ $message == *$1* ]] || complain "expected \"$1\", found \"$message\""
    [ ! -e "$work/none" ] || complain "something is left of a folder with $2 = $3"
}
folder_refused '"hidden_activation" is "silu", which is not supported in a gemma3 model: "gelu_pytorch_tanh" expected' hidden_activation '"silu"'
folder_refused '"residual_multiplier" is 0.5' residual_multiplier 0.5
folder_refused 'RoPE scaling "yarn" is not supported' rope_parameters '{"full_attention": {"rope_type": "yarn", "factor": 4}}'
folder_refused 'both speak of global layers: keep one' rope_scaling '{"rope_type": "linear", "factor": 8}'
folder_refused '"layer_types" must be 1, one a layer, but are 2' layer_types '["full_attention", "sliding_attention"]'
folder_refused 'lacks the tensor "lm_head.weight"' tie_word_embeddings false
folder attention_bias false attn_logit_softcapping null torch_dtype '"bfloat16"' num_experts 0
"$packer" --hf "$work/copy/hf" -o "$work/same" --quiet
cmp "$work/without" "$work/same" || complain "members that change nothing change the packed model"

# --- Types of tensors ------------------------------------------------------------------------------------------------------------------
change "$work/typed.gguf" type blk.3.attn_q.weight 16
refused 'tensor "blk.3.attn_q.weight" has type IQ2_XXS (ggml number 16), which can'"'"'t be converted' "$work/typed.gguf"
change "$work/typed.gguf" type blk.3.attn_q.weight 5
refused 'tensor "blk.3.attn_q.weight" has type unknown (ggml number 5)' "$work/typed.gguf"
change "$work/typed.gguf" type blk.3.attn_q.weight 20
pack "$work/typed.gguf"
exit $failed
