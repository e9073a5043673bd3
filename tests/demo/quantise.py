"""What packing does to the numbers, in float arithmetic: Q4_0 text matrices, int8 encoder, int8 activations."""
import torch
import torch.nn as nn

BLOCK = 32


def q4_0(w):
    """To Q4_0's grid and back: blocks of 32 along the last dimension; the largest value of a block is -8 times its f16 scale."""
    b = w.reshape(-1, BLOCK)
    largest = b.gather(1, b.abs().argmax(1, keepdim=True))
    scale = largest / -8
    inverse = torch.where(scale == 0, 0., 1 / scale)
    q = (b * inverse + 8.5).trunc().clamp(0, 15) - 8
    return (q * scale.half().float()).reshape(w.shape)


def q8_0(w):
    b = w.reshape(-1, BLOCK)
    scale = b.abs().amax(1, keepdim=True) / 127
    q = (b * torch.where(scale == 0, 0., 1 / scale)).round()
    return (q * scale.half().float()).reshape(w.shape)


def straight_through(w, rounded=q4_0):
    """The rounded weights, with the gradient of the weights themselves."""
    with torch.no_grad():
        error = rounded(w) - w
    return w + error


def int8_channels(w):
    """One scale for each output channel."""
    f = w.reshape(len(w), -1)
    scale = f.abs().amax(1, keepdim=True).clamp_min(1e-12) / 127
    return ((f / scale).round() * scale).reshape(w.shape)


def is_text_matrix(name, w):
    return ".language_model." in name and w.ndim == 2 and w.shape[1] % BLOCK == 0 and "modality_router" not in name


def is_encoder_matrix(name, w):
    return w.ndim == 4 and w.shape[1] > 1 or ".embed_vision.embedding_projection." in name


@torch.no_grad()
def round_weights(m):
    """Every weight of a Gemma3nForConditionalGeneration as the packed file will hold it."""
    for name, p in m.named_parameters():
        if is_text_matrix(name, p):
            p.copy_(q4_0(p))
        elif is_encoder_matrix(name, p):
            p.copy_(int8_channels(p))


def round_activations(m):
    """Hooks that round activations to int8: blocks of 32 before text matrices, one scale a pixel before the encoder's."""
    def rounded(x, largest):
        scale = largest.clamp_min(1e-12) / 127
        return (x / scale).round() * scale

    def text(_, args):
        b = args[0].reshape(*args[0].shape[:-1], -1, BLOCK)
        return (rounded(b, b.abs().amax(-1, keepdim=True)).reshape(args[0].shape),)

    def pixels(_, args):
        return (rounded(args[0], args[0].abs().amax(1, keepdim=True)),)

    for name, part in m.named_modules():
        if isinstance(part, nn.Linear) and (is_text_matrix(name + ".", part.weight) or "lm_head" in name or "embed_vision.embedding_projection" in name):
            part.register_forward_pre_hook(text)
        elif isinstance(part, nn.Conv2d) and part.groups == 1 and "conv_stem" not in name:
            part.register_forward_pre_hook(pixels)
