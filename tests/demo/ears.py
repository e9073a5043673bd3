"""Gemma 3n's sound encoder and its embedder in plain PyTorch, with transformers' parameter names (test_ears.py compares them).

Frames enter padded with zeros behind each clip's own; nothing looks behind a clip's end but the two convolutions, which see those zeros.
"""
import math

import torch
import torch.nn as nn
import torch.nn.functional as F

from sizes import HIDDEN, N_AUDIO, SOUND, SOUND_POSITIONS

WIDTH, LAYERS, HEADS = SOUND["hidden_size"], SOUND["conf_num_hidden_layers"], SOUND["conf_num_attention_heads"]
CHANNELS, BINS = SOUND["sscp_conv_channel_size"], 128
PAST, CAP, KERNEL, SUBSAMPLING, REDUCTION = 12, 50., 5, 4, 4


class Norm(nn.Module):
    def __init__(self, width, scaled=True):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width)) if scaled else None

    def forward(self, x):
        n = x * torch.rsqrt(x.square().mean(-1, keepdim=True) + 1e-6)
        return n if self.weight is None else n * self.weight


class GroupNorm(nn.Module):
    """Over all channels and frequencies of a frame and of those before it."""
    def __init__(self, channels):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))

    def forward(self, x):       # [B, T, frequencies, channels]
        count = torch.arange(1, x.shape[1] + 1, device=x.device).view(1, -1, 1, 1) * (x.shape[2] * x.shape[3])
        mean = x.sum((2, 3), keepdim=True).cumsum(1) / count
        variance = (x - mean).square().sum((2, 3), keepdim=True).cumsum(1) / count
        return (x - mean) * torch.rsqrt(variance + 1e-3) * self.weight


class Convolution(nn.Module):
    def __init__(self, before, after):
        super().__init__()
        self.conv = nn.Conv2d(before, after, 3, 2, bias=False)
        self.norm = GroupNorm(after)

    def forward(self, x):
        x = self.conv(F.pad(x, (1, 1, 0, 2)))
        return F.relu(self.norm(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2))


class Subsampling(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv_0, self.conv_1 = Convolution(1, CHANNELS[0]), Convolution(CHANNELS[0], CHANNELS[1])
        self.input_proj_linear = nn.Linear(CHANNELS[1] * BINS // 4, WIDTH, bias=False)

    def forward(self, frames):
        return self.input_proj_linear(self.conv_1(self.conv_0(frames[:, None])).permute(0, 2, 3, 1).flatten(2))


class RelativePosition(nn.Module):
    def __init__(self):
        super().__init__()
        self.pos_proj = nn.Linear(WIDTH, WIDTH, bias=False)

    def forward(self, device):      # [PAST + 1, heads, head width]: by how many frames a key lies behind its query
        n = WIDTH // 2
        rate = torch.exp(torch.arange(n, device=device) * -(math.log(1e4) / (n - 1)))
        angle = torch.arange(PAST + 1, device=device)[:, None] * rate
        return self.pos_proj(torch.cat([angle.sin(), angle.cos()], -1)).view(PAST + 1, HEADS, -1)


class InnerAttention(nn.Module):
    def __init__(self):
        super().__init__()
        self.relative_position_embedding = RelativePosition()
        self.per_dim_scale = nn.Parameter(torch.zeros(WIDTH // HEADS))
        self.q_proj, self.k_proj, self.v_proj = (nn.Linear(WIDTH, WIDTH, bias=False) for _ in range(3))

    def forward(self, x, valid):
        B, T, _ = x.shape
        q, k, v = (p(x).view(B, T, HEADS, -1).transpose(1, 2) for p in (self.q_proj, self.k_proj, self.v_proj))
        q = q * ((WIDTH // HEADS) ** -.5 / math.log(2)) * F.softplus(self.per_dim_scale)
        steps = torch.arange(T, device=x.device)
        behind = steps[:, None] - steps
        near = (behind >= 0) & (behind <= PAST)
        place = q @ self.relative_position_embedding(x.device).permute(1, 2, 0)         # [B, heads, T, PAST + 1]
        place = place.gather(3, behind.clamp(0, PAST).expand(B, HEADS, T, T))
        logits = torch.tanh((q @ k.transpose(2, 3) + place) / CAP) * CAP
        logits = logits.masked_fill(~(near & valid[:, None, None]), torch.finfo(logits.dtype).min)
        return (torch.softmax(logits, -1) @ v).transpose(1, 2).flatten(2)


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.pre_attn_norm, self.attn, self.post_norm = Norm(WIDTH), InnerAttention(), Norm(WIDTH)
        self.post = nn.Linear(WIDTH, WIDTH, bias=False)

    def forward(self, x, valid):
        return x + self.post_norm(self.post(self.attn(self.pre_attn_norm(x), valid)))


class FeedForward(nn.Module):
    def __init__(self):
        super().__init__()
        self.pre_layer_norm, self.post_layer_norm = Norm(WIDTH), Norm(WIDTH)
        self.ffw_layer_1, self.ffw_layer_2 = nn.Linear(WIDTH, 4 * WIDTH, bias=False), nn.Linear(4 * WIDTH, WIDTH, bias=False)

    def forward(self, x):
        return x + .5 * self.post_layer_norm(self.ffw_layer_2(F.silu(self.ffw_layer_1(self.pre_layer_norm(x)))))


class LightConvolution(nn.Module):
    def __init__(self):
        super().__init__()
        self.pre_layer_norm, self.conv_norm = Norm(WIDTH), Norm(WIDTH)
        self.linear_start, self.linear_end = nn.Linear(WIDTH, 2 * WIDTH, bias=False), nn.Linear(WIDTH, WIDTH, bias=False)
        self.depthwise_conv1d = nn.Conv1d(WIDTH, WIDTH, KERNEL, groups=WIDTH, bias=False)

    def forward(self, x):
        y = F.glu(self.linear_start(self.pre_layer_norm(x)), dim=-1).transpose(1, 2)
        y = self.depthwise_conv1d(F.pad(y, (KERNEL - 1, 0))).transpose(1, 2)
        return x + self.linear_end(F.silu(self.conv_norm(y)))


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.ffw_layer_start, self.attention, self.lconv1d, self.ffw_layer_end = FeedForward(), Attention(), LightConvolution(), FeedForward()
        self.norm = Norm(WIDTH)

    def forward(self, x, valid):
        x = self.attention(self.ffw_layer_start(x), valid) * valid[..., None]
        return self.norm(self.ffw_layer_end(self.lconv1d(x)))


class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.subsample_conv_projection = Subsampling()
        self.conformer = nn.ModuleList(Block() for _ in range(LAYERS))

    def forward(self, frames, lengths):
        """frames [B, T, BINS], zero behind each clip's length -> ([B, T / 4, WIDTH], which of them are sound)."""
        x = self.subsample_conv_projection(frames)
        valid = torch.arange(x.shape[1], device=x.device) * SUBSAMPLING < lengths[:, None]
        for block in self.conformer:
            x = block(x, valid)
        return x, valid


class Embedder(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(N_AUDIO, WIDTH)
        self.hard_embedding_norm, self.soft_embedding_norm = Norm(WIDTH), Norm(WIDTH)
        self.embedding_projection = nn.Linear(WIDTH, HIDDEN, bias=False)
        self.embedding_post_projection_norm = Norm(HIDDEN, scaled=False)

    def soft(self, x):
        return self.embedding_post_projection_norm(self.embedding_projection(self.soft_embedding_norm(x)))

    def hard(self, token):
        return self.embedding_post_projection_norm(self.embedding_projection(self.hard_embedding_norm(self.embedding.weight[token])))


class Ears(nn.Module):
    """Both, under the names of transformers' Gemma3nModel."""
    def __init__(self):
        super().__init__()
        self.audio_tower, self.embed_audio = Encoder(), Embedder()

    def forward(self, frames, lengths):
        """-> (encodings, valid, what stands in the prompt: [B, SOUND_POSITIONS, HIDDEN], the end's embedding [HIDDEN])"""
        x, valid = self.audio_tower(frames, lengths)
        soft, kept = self.embed_audio.soft(x[:, ::REDUCTION]), valid[:, ::REDUCTION]
        padding = self.embed_audio.hard(N_AUDIO - 1)
        soft = torch.where(kept[..., None], soft, padding)
        rest = padding.expand(len(soft), SOUND_POSITIONS - soft.shape[1], HIDDEN)
        return x, valid, torch.cat([soft, rest], 1), self.embed_audio.hard(0)
