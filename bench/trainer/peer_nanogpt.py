"""nanoGPT's model and step as a plain PyTorch loop, in our words: the peer of floe-bench-trainer.

    peer_nanogpt.py <threads> <steps> <layers> <heads> <width> <length> <batch> <vocab> <f32 or bf16>

A GPT-2 without biases and dropout, eager float32 (bf16: by autocast, as nanoGPT does), AdamW (decay on matrices), clipping at 1, causal attention
by scaled_dot_product_attention where the version has it. Prints {name, build, tokens_per_second}; exit code
3: PyTorch is not there.
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

THREADS, STEPS, LAYERS, HEADS, WIDTH, LENGTH, BATCH, VOCAB = (int(word) for word in sys.argv[1:9])
BF16 = sys.argv[9] == 'bf16'


class Norm(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(WIDTH))

    def forward(self, x):
        return F.layer_norm(x, (WIDTH,), self.weight, None, 1e-5)


def gelu(x):
    return 0.5 * x * (1.0 + torch.tanh(math.sqrt(2.0 / math.pi) * (x + 0.044715 * x ** 3)))


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm1, self.norm2 = Norm(), Norm()
        self.qkv = nn.Linear(WIDTH, 3 * WIDTH, bias=False)
        self.out = nn.Linear(WIDTH, WIDTH, bias=False)
        self.up = nn.Linear(WIDTH, 4 * WIDTH, bias=False)
        self.down = nn.Linear(4 * WIDTH, WIDTH, bias=False)
        self.register_buffer('mask', torch.ones(LENGTH, LENGTH).tril().view(1, 1, LENGTH, LENGTH))

    def attention(self, q, k, v):
        if hasattr(F, 'scaled_dot_product_attention'):
            return F.scaled_dot_product_attention(q, k, v, is_causal=True)
        scores = (q @ k.transpose(-2, -1)) / math.sqrt(q.size(-1))
        return scores.masked_fill(self.mask == 0, float('-inf')).softmax(-1) @ v

    def forward(self, x):
        b, t, _ = x.shape
        q, k, v = (z.view(b, t, HEADS, WIDTH // HEADS).transpose(1, 2)
                   for z in self.qkv(self.norm1(x)).split(WIDTH, dim=2))
        x = x + self.out(self.attention(q, k, v).transpose(1, 2).reshape(b, t, WIDTH))
        return x + self.down(gelu(self.up(self.norm2(x))))


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.tokens, self.places = nn.Embedding(VOCAB, WIDTH), nn.Embedding(LENGTH, WIDTH)
        self.blocks, self.norm = nn.ModuleList(Block() for _ in range(LAYERS)), Norm()
        for parameter in self.parameters():
            if parameter.dim() > 1:
                nn.init.normal_(parameter, std=0.02)

    def forward(self, ids, targets):
        x = self.tokens(ids) + self.places(torch.arange(ids.size(1)))
        for block in self.blocks:
            x = block(x)
        logits = F.linear(self.norm(x), self.tokens.weight)
        return F.cross_entropy(logits.view(-1, VOCAB), targets.reshape(-1))


def blas():
    line = [line.strip() for line in torch.__config__.show().split('\n') if 'BLAS_INFO' in line]
    found = line[0].split('BLAS_INFO=')[1].split(',')[0] if line else 'unknown'
    with open('/proc/self/maps', encoding='utf-8') as file:
        libraries = {path.split('/')[-1] for path in (entry.split()[-1] for entry in file) if 'blas' in path}
    return f'BLAS {found} {" ".join(sorted(libraries))}'.strip()


def main():
    torch.set_num_threads(THREADS)
    torch.manual_seed(1)
    model = Model()
    groups = [{'params': [p for p in model.parameters() if p.dim() > 1], 'weight_decay': 0.1},
              {'params': [p for p in model.parameters() if p.dim() < 2], 'weight_decay': 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=1e-3, betas=(0.9, 0.99))
    data = torch.randint(VOCAB, (200000,))

    def step():
        starts = torch.randint(len(data) - LENGTH - 1, (BATCH,))
        ids = torch.stack([data[s:s + LENGTH] for s in starts])
        targets = torch.stack([data[s + 1:s + LENGTH + 1] for s in starts])
        with torch.autocast('cpu', torch.bfloat16, enabled=BF16):
            loss = model(ids, targets)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        return loss.item()

    first = step()
    assert abs(first - math.log(VOCAB)) < 0.5, first
    start = time.perf_counter()
    for _ in range(STEPS):
        step()
    seconds = time.perf_counter() - start
    print(json.dumps({'name': f'PyTorch {torch.__version__}',
                      'build': f'PyTorch {torch.__version__}, {torch.get_num_threads()} threads, {blas()}{", bf16" if BF16 else ""}',
                      'tokens_per_second': STEPS * BATCH * LENGTH / seconds}))


main()
