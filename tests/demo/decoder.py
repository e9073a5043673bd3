"""Gemma 3n's decoder again, lean enough to be trained on a CPU; equal to transformers' (test_decoder.py).

What makes it lean:
- Several turns about one picture share its prefix: a turn attends to the prefix and to itself, never to another turn, so each
  is exactly the single-turn prompt that a user sends.
- The last five layers have no K and V of their own, so the prefix stops at layer 19.
- All tokens of a batch, without padding, go through the token-wise operations as one [tokens, HIDDEN] matrix.
- While AltUp's coefficients and the per-layer inputs' norms are zero (`full=False`), all four streams receive the same updates:
  one stream is computed and the others follow from it at the end.
- Layers outside `AWAKE` start with gains of zero, so that they only rescale the stream; until a phase wakes them, that is all
  that is computed for them.
- Logits are computed only where there is a loss.
"""
import math

import torch
import torch.nn as nn
import torch.nn.functional as F

from quantise import straight_through
from sizes import HEAD_DIM, HEADS, HIDDEN, INTER, KV_HEADS, N_AUDIO, N_TEXT, N_VISION

LAYERS, OWN_KV, STREAMS, PLE, LAUREL = 25, 20, 4, 256, 64
SPARSE_LAYERS, CUTOFF = 10, 1.6448536269514722      # Phi^-1(0.95)
EPS = 1e-6
AWAKE = frozenset([0, 2, 4, 7, 9, 11, 14, 16, 18, 19, 22, 24])
MATCHING = [4, 9, 14]            # global layers whose attention starts as a comparison of names
THETA = {"local": 1e4, "global": 1e6}

# parameter -> (layers that have it, shape, name in transformers' layer)
PER_LAYER = {
    "input_norm": (LAYERS, (HIDDEN,), "input_layernorm"),
    "attention_norm": (LAYERS, (HIDDEN,), "post_attention_layernorm"),
    "ffn_in_norm": (LAYERS, (HIDDEN,), "pre_feedforward_layernorm"),
    "ffn_norm": (LAYERS, (HIDDEN,), "post_feedforward_layernorm"),
    "laurel_norm": (LAYERS, (HIDDEN,), "laurel.post_laurel_norm"),
    "ple_out_norm": (LAYERS, (HIDDEN,), "post_per_layer_input_norm"),
    "q_norm": (LAYERS, (HEAD_DIM,), "self_attn.q_norm"),
    "k_norm": (OWN_KV, (HEAD_DIM,), "self_attn.k_norm"),
    "q": (LAYERS, (HEADS * HEAD_DIM, HIDDEN), "self_attn.q_proj"),
    "k": (OWN_KV, (KV_HEADS * HEAD_DIM, HIDDEN), "self_attn.k_proj"),
    "v": (OWN_KV, (KV_HEADS * HEAD_DIM, HIDDEN), "self_attn.v_proj"),
    "o": (LAYERS, (HIDDEN, HEADS * HEAD_DIM), "self_attn.o_proj"),
    "laurel_left": (LAYERS, (LAUREL, HIDDEN), "laurel.linear_left"),
    "laurel_right": (LAYERS, (HIDDEN, LAUREL), "laurel.linear_right"),
    "gate": (LAYERS, (INTER, HIDDEN), "mlp.gate_proj"),
    "up": (LAYERS, (INTER, HIDDEN), "mlp.up_proj"),
    "down": (LAYERS, (HIDDEN, INTER), "mlp.down_proj"),
    "router_norm": (LAYERS, (HIDDEN,), "altup.router_norm"),
    "router": (LAYERS, (STREAMS, HIDDEN), "altup.modality_router"),
    "predict": (LAYERS, (STREAMS * STREAMS, STREAMS), "altup.prediction_coefs"),
    "correct": (LAYERS, (STREAMS, STREAMS), "altup.correction_coefs"),
    "correct_scale": (LAYERS, (HIDDEN,), "altup.correct_output_scale"),
    "ple_gate": (LAYERS, (PLE, HIDDEN), "per_layer_input_gate"),
    "ple_out": (LAYERS, (HIDDEN, PLE), "per_layer_projection"),
}
SINGLE = {
    "embedding": ((N_TEXT + N_VISION + N_AUDIO, HIDDEN), "embed_tokens.weight"),
    "ple_table": ((N_TEXT, LAYERS * PLE), "embed_tokens_per_layer.weight"),
    "ple_project": ((LAYERS * PLE, HIDDEN), "per_layer_model_projection.weight"),
    "ple_norm": ((PLE,), "per_layer_projection_norm.weight"),
    "final_norm": ((HIDDEN,), "norm.weight"),
}
STREAM_MATRICES = {"altup_in": "altup_projections", "altup_out": "altup_unembed_projections"}
MATRICES = ["q", "k", "v", "o", "laurel_left", "laurel_right", "gate", "up", "down", "ple_gate", "ple_out"]
STORED_Q4_0 = MATRICES + ["embedding", "ple_table", "ple_project", "altup_in", "altup_out"]
# Parameters without influence while `full` is False.
FULL_ONLY = ["ple_out_norm", "router_norm", "router", "predict", "correct", "correct_scale", "ple_gate", "ple_out", "ple_table",
             "ple_project", "ple_norm"]


class _Rms(torch.autograd.Function):
    """RMSNorm over the last dimension in fewer passes than autograd's own."""
    @staticmethod
    def forward(ctx, x, w):
        inv = torch.rsqrt(torch.linalg.vector_norm(x, dim=-1, keepdim=True).square_().div_(x.shape[-1]).add_(EPS))
        n = x * inv
        ctx.save_for_backward(n, inv, w)
        return n if w is None else n * w

    @staticmethod
    def backward(ctx, g):
        n, inv, w = ctx.saved_tensors
        gw = None if w is None else (g * n).flatten(0, -2).sum(0)
        gn = g if w is None else g * w
        dot = torch.linalg.vecdot(gn, n).unsqueeze(-1).div_(-n.shape[-1])
        return torch.addcmul(gn, n, dot).mul_(inv), gw


def rms(x, w=None):
    return _Rms.apply(x, w)


def magnitude_as(x, like):
    """x with the root mean square of `like`."""
    return x * (like.square().mean(-1, keepdim=True).sqrt() / x.square().mean(-1, keepdim=True).clamp(min=1e-5).sqrt())


def rotate(x, rope):
    """x [tokens, heads, HEAD_DIM]; rope: cosine and signed sine, [tokens, 1, HEAD_DIM]."""
    cos, sin = rope
    half = torch.cat([x[..., HEAD_DIM // 2:], x[..., :HEAD_DIM // 2]], -1)
    return x * cos + half * sin


def rope_table(positions, theta):
    freq = 1 / theta ** (torch.arange(0, HEAD_DIM, 2, device=positions.device) / HEAD_DIM)
    angle = positions[:, None, None].float() * freq
    cos, sin = angle.cos(), angle.sin()
    return torch.cat([cos, cos], -1), torch.cat([-sin, sin], -1)


def spread(x, valid, n):
    """Turn tokens without padding -> their places among n padded ones."""
    return x.new_zeros(n, *x.shape[1:]).index_copy(0, valid, x)


def attend(q, k, v, kp, vp, turns):
    """Attention of turns to their prefix and to themselves.

    q [turn tokens, heads, d]; k, v [turn tokens, kv_heads, d]; kp, vp [B, kv_heads, P, d] the prefix's.
    """
    B, T, L = turns.shape
    G = HEADS // KV_HEADS
    q, k, v = (spread(x, turns.valid, B * T * L) for x in (q, k, v))
    q = q.view(B, T, L, KV_HEADS, G, HEAD_DIM)
    far = torch.matmul(q.permute(0, 3, 4, 1, 2, 5).reshape(B, KV_HEADS, G * T * L, HEAD_DIM), kp.transpose(2, 3))
    far = far.view(B, KV_HEADS, G, T, L, -1)
    qt = q.permute(0, 1, 3, 4, 2, 5).reshape(B * T, KV_HEADS, G * L, HEAD_DIM)
    kt, vt = (x.view(B * T, L, KV_HEADS, HEAD_DIM).transpose(1, 2) for x in (k, v))
    near = torch.matmul(qt, kt.transpose(2, 3)).view(B, T, KV_HEADS, G, L, L).permute(0, 2, 3, 1, 4, 5) + turns.mask
    P = far.shape[-1]
    p = torch.softmax(torch.cat([far, near], -1), -1)
    out = torch.matmul(p[..., :P].reshape(B, KV_HEADS, G * T * L, P), vp).view(B, KV_HEADS, G, T, L, HEAD_DIM).permute(0, 3, 4, 1, 2, 5)
    pn = p[..., P:].permute(0, 3, 1, 2, 4, 5).reshape(B * T, KV_HEADS, G * L, L)
    own = torch.matmul(pn, vt).view(B, T, KV_HEADS, G, L, HEAD_DIM).permute(0, 1, 4, 2, 3, 5)
    return (out + own).reshape(B * T * L, HEADS * HEAD_DIM)[turns.valid]


def attend_prefix(q, k, v):
    """Causal attention inside the prefix; q [B, heads, P, d], k, v [B, kv_heads, P, d]."""
    out = F.scaled_dot_product_attention(q, k, v, is_causal=True, scale=1.0, enable_gqa=True)
    return out.transpose(1, 2).reshape(-1, HEADS * HEAD_DIM)


def attention(w, x, shared, turns, rope, prefix_goes_on):
    """x [prefix tokens + turn tokens, HIDDEN], or only the turns' once the prefix has stopped.

    shared: (k, v, kp, vp) of an earlier layer, or None.  Returns (output, keys and values for later layers).
    """
    B, n_prefix = turns.shape[0], turns.n_prefix
    cut = x.shape[0] - turns.valid.shape[0]
    heads = lambda y, n: y.view(-1, n, HEAD_DIM)
    grid = lambda y: y.view(B, -1, y.shape[1], HEAD_DIM).transpose(1, 2)
    own = rope[0][n_prefix:], rope[1][n_prefix:]
    if shared is None:
        k = rotate(rms(heads(F.linear(x, w["k"]), KV_HEADS), w["k_norm"]), rope)
        v = rms(heads(F.linear(x, w["v"]), KV_HEADS))
        shared = k[cut:], v[cut:], grid(k[:cut]), grid(v[:cut])
    skip = 0 if prefix_goes_on else cut
    q = rotate(rms(heads(F.linear(x[skip:], w["q"]), HEADS), w["q_norm"]), rope if prefix_goes_on else own)
    k, v, kp, vp = shared
    out = attend(q[cut - skip:], k, v, kp, vp, turns)
    if prefix_goes_on:
        out = torch.cat([attend_prefix(grid(q[:cut]), kp, vp), out])
    return F.linear(out, w["o"]), shared


def block(w, x, shared, turns, rope, prefix_goes_on, sparse):
    """One layer's work on its active stream: attention with LAuReL, then the FFN."""
    a = rms(x, w["input_norm"])
    out, shared = attention(w, a, shared, turns, rope, prefix_goes_on)
    if x.shape[0] > out.shape[0]:
        x, a = x[turns.n_prefix:], a[turns.n_prefix:]
    laurel = a + rms(F.linear(F.linear(a, w["laurel_left"]), w["laurel_right"]), w["laurel_norm"])
    x = (x + rms(out, w["attention_norm"]) + laurel) * (1 / math.sqrt(2))
    f = rms(x, w["ffn_in_norm"])
    g = F.linear(f, w["gate"])
    if sparse:
        mean = g.mean(-1, keepdim=True)
        g = F.relu(g - (mean + (g - mean).square().mean(-1, keepdim=True).sqrt() * CUTOFF))
    h = F.gelu(g, approximate="tanh") * F.linear(f, w["up"])
    return x + rms(F.linear(h, w["down"]), w["ffn_norm"]), shared


def rest(w, x):
    """`block` with the gains of attention, LAuReL and FFN at zero."""
    return (x + rms(x, w["input_norm"])) * (1 / math.sqrt(2))


def modalities(w, x):
    return torch.tanh(F.linear(rms(x, w["router_norm"]), w["router"]) * (1 / HIDDEN))


def layer(w, h, ple, shared, turns, rope, prefix_goes_on, sparse):
    """A whole layer: AltUp's prediction, the block, AltUp's correction, the per-layer input.  h [tokens, STREAMS, HIDDEN]."""
    coefs = F.linear(modalities(w, h[:, 0]), w["predict"]).view(-1, STREAMS, STREAMS)
    h = h + torch.bmm(coefs, h)
    y, shared = block(w, h[:, 0], shared, turns, rope, prefix_goes_on, sparse)
    h = h[h.shape[0] - y.shape[0]:]
    gains = F.linear(modalities(w, y), w["correct"]) + 1
    h = h + gains[..., None] * (y - h[:, 0])[:, None]
    z = F.gelu(F.linear(h[:, 0] * w["correct_scale"], w["ple_gate"]), approximate="tanh") * ple
    z = rms(F.linear(z, w["ple_out"]), w["ple_out_norm"])
    return torch.cat([h[:, :1], h[:, 1:] + z[:, None]], 1), shared


class Decoder(nn.Module):
    """Stacked parameters: one tensor for all layers of a kind, so that the optimizer works on few, large tensors."""

    def __init__(self):
        super().__init__()
        g = torch.Generator().manual_seed(1)
        new = lambda *shape, std: nn.Parameter(torch.randn(*shape, generator=g) * std)
        p = {name: nn.Parameter(torch.ones(n, *shape)) if name.endswith("norm") or name == "correct_scale"
             else new(n, *shape, std=shape[-1] ** -.5) for name, (n, shape, _) in PER_LAYER.items()}
        p.update({name: nn.Parameter(torch.ones(shape)) if name.endswith("norm") else new(*shape, std=shape[-1] ** -.5)
                  for name, (shape, _) in SINGLE.items()})
        p["altup_in"] = nn.Parameter(torch.stack([torch.linalg.qr(torch.randn(HIDDEN, HIDDEN, generator=g))[0] for _ in range(3)]))
        p["altup_out"] = nn.Parameter(torch.eye(HIDDEN).repeat(STREAMS - 1, 1, 1))
        for name in ("attention_norm", "ffn_norm", "laurel_norm"):
            p[name].data.zero_()
            p[name].data[sorted(AWAKE)] = 0.2      # near the identity: layers of unit updates would bury the embeddings
        for name in ("q_norm", "k_norm"):
            p[name].data.fill_(0.6)      # the attention's scale is 1: norms of 1 would saturate it from the start
        for name in ("predict", "correct", "ple_out_norm", "ple_table"):
            p[name].data.zero_()         # AltUp and the per-layer inputs wait for the phase that trains them
        p["router"].data.mul_(50)        # the router divides by HIDDEN
        self.p = nn.ParameterDict(p)

    def forward(self, batch, full, quantised=False, awake=range(LAYERS)):
        """batch: see text.Batch.  Returns logits at batch.at (indices into the turn tokens).

        quantised: with matrices as Q4_0 holds them; gradients pass through to the weights.
        """
        p = dict(self.p)
        if quantised:
            p.update({k: straight_through(p[k]) for k in STORED_Q4_0 if full or k not in FULL_ONLY})
        x = torch.where(batch.is_soft[:, None], batch.soft, F.embedding(batch.ids, p["embedding"]) * HIDDEN ** .5)
        rope = {kind: rope_table(batch.positions, theta) for kind, theta in THETA.items()}
        return self._logits(p, self._run_full(p, x, batch, rope) if full else self._run_core(p, x, batch, rope, awake))

    def _layers(self, p):
        """(index, weights, kind of attention, where K and V come from, whether the prefix goes on, sparse)"""
        # unbind, not indexing: the backward pass of an index fills a whole stack with zeros for each layer
        slices = {name: p[name].unbind(0) for name in PER_LAYER}
        for i in range(LAYERS):
            w = {name: t[i] for name, t in slices.items() if i < len(t)}
            kind = "global" if i % 5 == 4 else "local"
            yield i, w, kind, kind if i >= OWN_KV else None, i < OWN_KV - 1, i < SPARSE_LAYERS

    def _run_core(self, p, x, batch, rope, awake):
        first, kept = x, {}
        for i, w, kind, source, goes_on, sparse in self._layers(p):
            if i not in awake:
                x = rest(w, x)
                continue
            x, kept[kind] = block(w, x, kept[source] if source else None, batch.turns, rope[kind], goes_on, sparse)
        x, first = x[batch.at], first[batch.turns.n_prefix:][batch.at]
        change = x - first
        return [x] + [magnitude_as(F.linear(first, m), first) + change for m in p["altup_in"]]

    def _run_full(self, p, x, batch, rope):
        h = torch.stack([x] + [magnitude_as(F.linear(x, m), x) for m in p["altup_in"]], 1)
        ple, kept = self._per_layer_inputs(p, x, batch.ids, batch.turns.n_prefix), {}
        for i, w, kind, source, goes_on, sparse in self._layers(p):
            h, kept[kind] = layer(w, h, ple(i, goes_on), kept[source] if source else None, batch.turns, rope[kind], goes_on, sparse)
        return list(h[batch.at].unbind(1))

    @staticmethod
    def _per_layer_inputs(p, x, ids, n_prefix):
        """A function (layer, with prefix) -> [tokens, PLE].  Ids outside the table take row 0."""
        table, project = p["ple_table"].view(N_TEXT, LAYERS, PLE), p["ple_project"].view(LAYERS, PLE, HIDDEN)
        rows = torch.where(ids < N_TEXT, ids, 0)

        def inputs(i, with_prefix):
            skip = 0 if with_prefix else n_prefix
            projected = rms(F.linear(x[skip:], project[i]) * HIDDEN ** -.5, p["ple_norm"])
            return (projected + F.embedding(rows[skip:], table[:, i]) * PLE ** .5) * 2 ** -.5
        return inputs

    @staticmethod
    def _logits(p, streams):
        out = [streams[0]] + [magnitude_as(F.linear(s, m), streams[0]) for s, m in zip(streams[1:], p["altup_out"])]
        y = rms(sum(out) / STREAMS, p["final_norm"])
        return 30 * torch.tanh(F.linear(y, p["embedding"]) / 30)

    def start_with_names(self, directions, compared):
        """A start from which looking things up is learned in hundreds of steps instead of thousands.

        directions {token id: direction of the soft-token space}: the word starts where its meaning lies.  compared: for each
        K/V head, directions by which the layers in MATCHING compare tokens, in channels that RoPE hardly turns.
        """
        for token, d in directions.items():
            self.p["embedding"].data[token] = d * self.p["embedding"].data[token].norm()
        for i in MATCHING:
            self.p["q"].data[i] *= 0.2
            self.p["k"].data[i] *= 0.2
            q = self.p["q"].data[i].view(KV_HEADS, HEADS // KV_HEADS, HEAD_DIM, HIDDEN)
            k = self.p["k"].data[i].view(KV_HEADS, HEAD_DIM, HIDDEN)
            for head, rows in enumerate(compared):
                still = slice(HEAD_DIM // 2 - len(rows), HEAD_DIM // 2)
                q[head, :, still], k[head, still] = rows, rows

    # ---- exchange with transformers

    def to_hf(self, m):
        """Copy the parameters into a Gemma3nForConditionalGeneration."""
        lm, tensors = m.model.language_model, self.named_tensors()
        own = dict(lm.named_parameters())
        with torch.no_grad():
            for name, t in tensors.items():
                own[name].copy_(t)
        missing = set(own) - set(tensors)
        assert not missing, missing

    def named_tensors(self):
        """{name in transformers' language model: tensor}"""
        out = {}
        for name, (n, _, theirs) in PER_LAYER.items():
            suffix = "" if name == "correct_scale" else ".weight"
            out.update({f"layers.{i}.{theirs}{suffix}": self.p[name][i] for i in range(n)})
        out.update({theirs: self.p[name] for name, (_, theirs) in SINGLE.items()})
        for name, theirs in STREAM_MATRICES.items():
            out.update({f"{theirs}.{i}.weight": self.p[name][i] for i in range(STREAMS - 1)})
        return out
