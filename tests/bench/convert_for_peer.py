#!/usr/bin/env python3
"""Makes the pair of GGUF files that llama.cpp runs from a Gemma 3n folder of Hugging Face, with llama.cpp's own converter.

    convert_for_peer.py LLAMA_CPP FOLDER OUT      writes OUT/text.gguf and OUT/mmproj.gguf, both F16

LLAMA_CPP is vendor/llama.cpp of the source package llama-cpp-python 0.3.36, whose converter is mended here in two places: it has no
name for the norms of the sound encoder's sub-sampling, and it writes a layer scale as [channels], which its own runtime, that
multiplies it with [columns, rows, channels], stops at.
"""
import runpy
import sys

SOUND_NORM = "model.audio_tower.subsample_conv_projection.conv_{bid}.norm"


def mend(llama_cpp):
    sys.path[:0] = [llama_cpp + "/gguf-py", llama_cpp]
    import gguf
    from conversion import gemma

    names = gguf.tensor_mapping.TensorNameMap.block_mappings_cfg
    names[gguf.MODEL_TENSOR.A_ENC_CONV1D_NORM] += (SOUND_NORM,)
    encoder = gemma.Gemma3nVisionAudioModel
    convert = encoder.modify_tensors

    def convert_and_shape(self, data, name, block):
        for name, tensor in convert(self, data, name, block):
            is_layer_scale = name.endswith("layer_scale.gamma") and tensor.ndim == 1
            yield name, tensor.reshape(1, -1, 1, 1) if is_layer_scale else tensor

    encoder.modify_tensors = convert_and_shape


def main():
    llama_cpp, folder, out = sys.argv[1:]
    mend(llama_cpp)
    program = llama_cpp + "/convert_hf_to_gguf.py"
    for name, further in (("text", []), ("mmproj", ["--mmproj"])):
        sys.argv = [program, folder, "--outtype", "f16", "--outfile", f"{out}/{name}.gguf", *further]
        runpy.run_path(program, run_name="__main__")


main()
