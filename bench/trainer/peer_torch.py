"""The peer of floe-bench-trainer: the same model and step as a plain PyTorch loop.

    peer_torch.py <threads> <steps> [the demo's dials, which stand below too]

Eager mode, float32, AdamW fused where the version has it, clipping, causal attention by
scaled_dot_product_attention. Prints {name, build, tokens_per_second}. Exit code 3: PyTorch is not there.
"""
import json
import math
import sys
import time

try:
    import torch
    from torch import nn
    from torch.nn import functional as F
except ImportError:
    sys.exit(3)

VOCAB, WIDTH, LAYERS, HEADS, KV, HEAD, FFN, BATCH, LENGTH = 4096, 256, 3, 4, 2, 64, 640, 4, 256


class RmsNorm(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x):
        if hasattr(F, 'rms_norm'):
            return F.rms_norm(x, self.weight.shape, self.weight, 1e-6)
        return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6) * self.weight


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm1, self.norm2 = RmsNorm(WIDTH), RmsNorm(WIDTH)
        self.q_norm, self.k_norm = RmsNorm(HEAD), RmsNorm(HEAD)
        self.qkv = nn.Linear(WIDTH, (HEADS + 2 * KV) * HEAD, bias=False)
        self.out = nn.Linear(HEADS * HEAD, WIDTH, bias=False)
        self.gate_up = nn.Linear(WIDTH, 2 * FFN, bias=False)
        self.down = nn.Linear(FFN, WIDTH, bias=False)

    def forward(self, x, cos, sin):
        b, t, _ = x.shape
        q, k, v = self.qkv(self.norm1(x)).split([HEADS * HEAD, KV * HEAD, KV * HEAD], dim=-1)
        q = turn(self.q_norm(q.view(b, t, HEADS, HEAD)).transpose(1, 2), cos, sin)
        k = turn(self.k_norm(k.view(b, t, KV, HEAD)).transpose(1, 2), cos, sin)
        v = v.view(b, t, KV, HEAD).transpose(1, 2)
        k, v = (z.repeat_interleave(HEADS // KV, dim=1) for z in (k, v))
        y = attention(q, k, v)
        x = x + self.out(y.transpose(1, 2).reshape(b, t, HEADS * HEAD))
        gate, up = self.gate_up(self.norm2(x)).chunk(2, dim=-1)
        return x + self.down(F.silu(gate) * up)


def attention(q, k, v):
    if hasattr(F, 'scaled_dot_product_attention'):
        return F.scaled_dot_product_attention(q, k, v, is_causal=True)
    scores = (q @ k.transpose(-2, -1)) / math.sqrt(q.size(-1))
    future = torch.ones(LENGTH, LENGTH, dtype=torch.bool).triu(1)
    return scores.masked_fill(future, float('-inf')).softmax(-1) @ v


def turn(x, cos, sin):
    a, b = x.chunk(2, dim=-1)
    return torch.cat([a * cos - b * sin, b * cos + a * sin], dim=-1)


def main():
    threads, steps = int(sys.argv[1]), int(sys.argv[2])
    torch.set_num_threads(threads)
    torch.manual_seed(1)
    embed = nn.Embedding(VOCAB, WIDTH)
    nn.init.normal_(embed.weight, std=0.02)
    blocks, norm = nn.ModuleList(Block() for _ in range(LAYERS)), RmsNorm(WIDTH)
    angle = torch.outer(torch.arange(LENGTH), 1e6 ** (-torch.arange(HEAD // 2) / (HEAD // 2)))
    cos, sin = angle.cos(), angle.sin()
    parameters = [*embed.parameters(), *blocks.parameters(), *norm.parameters()]
    try:
        optimizer = torch.optim.AdamW(parameters, lr=1e-3, betas=(0.9, 0.95), fused=True)
    except (RuntimeError, TypeError):
        optimizer = torch.optim.AdamW(parameters, lr=1e-3, betas=(0.9, 0.95))

    def step():
        ids = torch.randint(VOCAB, (BATCH, LENGTH + 1))
        x = embed(ids[:, :-1])
        for block in blocks:
            x = block(x, cos, sin)
        logits = norm(x) @ embed.weight.t()
        loss = F.cross_entropy(logits.view(-1, VOCAB), ids[:, 1:].reshape(-1))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        return loss.item()

    first = step()
    assert abs(first - math.log(VOCAB)) < 0.5, first
    start = time.perf_counter()
    for _ in range(steps):
        step()
    seconds = time.perf_counter() - start
    print(json.dumps({'name': f'PyTorch {torch.__version__}', 'build': f'PyTorch {torch.__version__}, {threads} threads', 'tokens_per_second': steps * BATCH * LENGTH / seconds}))


main()
