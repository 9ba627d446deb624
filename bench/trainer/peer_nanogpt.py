"""nanoGPT's model and step as a plain PyTorch loop, in our words: the peer of floe-bench-trainer.

    peer_nanogpt.py <threads> <steps> <layers> <heads> <width> <length> <batch> <vocab> <f32 or bf16>
    peer_nanogpt.py <threads> <steps> <layers> <heads> <width> <length> <batch> <corpus> <seed>

A GPT-2 without biases and dropout, eager float32 (bf16: by autocast, as nanoGPT does), AdamW (decay on
matrices), clipping at 1, causal attention by scaled_dot_product_attention where the version has it.

The first tells how fast it is: {name, build, tokens_per_second}. The second is the peer of `./dev bench train`:
it learns the characters of nine tenths of a text with nanoGPT's rates, and tells the loss on the last tenth,
{name, build, parameters, seconds, loss, sampled_loss}: of the whole of it, and as nanoGPT measures it, on 20
batches of random windows; how it goes to standard error. Exit code 3: PyTorch is not there.
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

THREADS, STEPS, LAYERS, HEADS, WIDTH, LENGTH, BATCH = (int(word) for word in sys.argv[1:8])
LEARNS = sys.argv[9] not in ('f32', 'bf16')
BF16 = sys.argv[9] == 'bf16'


class Norm(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(WIDTH))

    def forward(self, x):
        return F.layer_norm(x, (WIDTH,), self.weight, None, 1e-5)


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
        return x + self.down(F.gelu(self.up(self.norm2(x))))


class Model(nn.Module):
    def __init__(self, vocab):
        super().__init__()
        self.tokens, self.places = nn.Embedding(vocab, WIDTH), nn.Embedding(LENGTH, WIDTH)
        self.blocks, self.norm = nn.ModuleList(Block() for _ in range(LAYERS)), Norm()
        for name, parameter in self.named_parameters():
            if parameter.dim() > 1:
                to_stream = name.endswith(('out.weight', 'down.weight'))
                nn.init.normal_(parameter, std=0.02 / math.sqrt(2 * LAYERS) if to_stream else 0.02)

    def forward(self, ids, targets):
        x = self.tokens(ids) + self.places(torch.arange(ids.size(1)))
        for block in self.blocks:
            x = block(x)
        logits = F.linear(self.norm(x), self.tokens.weight)
        return F.cross_entropy(logits.view(-1, logits.size(-1)), targets.reshape(-1))


def blas():
    line = [line.strip() for line in torch.__config__.show().split('\n') if 'BLAS_INFO' in line]
    found = line[0].split('BLAS_INFO=')[1].split(',')[0] if line else 'unknown'
    with open('/proc/self/maps', encoding='utf-8') as file:
        libraries = {path.split('/')[-1] for path in (entry.split()[-1] for entry in file) if 'blas' in path}
    return f'BLAS {found} {" ".join(sorted(libraries))}'.strip()


def windows(data, starts):
    return (torch.stack([data[s:s + LENGTH] for s in starts]), torch.stack([data[s + 1:s + LENGTH + 1] for s in starts]))


def random_windows(data):
    return windows(data, torch.randint(len(data) - LENGTH, (BATCH,)))


def make(vocab):
    model = Model(vocab)
    groups = [{'params': [p for p in model.parameters() if p.dim() > 1], 'weight_decay': 0.1},
              {'params': [p for p in model.parameters() if p.dim() < 2], 'weight_decay': 0.0}]
    return model, torch.optim.AdamW(groups, lr=1e-3, betas=(0.9, 0.99))


def step(model, optimizer, data):
    ids, targets = random_windows(data)
    with torch.autocast('cpu', torch.bfloat16, enabled=BF16):
        loss = model(ids, targets)
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    return loss.item()


def speed():
    vocab = int(sys.argv[8])
    torch.manual_seed(1)
    model, optimizer = make(vocab)
    data = torch.randint(vocab, (200000,))
    first = step(model, optimizer, data)
    assert abs(first - math.log(vocab)) < 0.5, first
    start = time.perf_counter()
    for _ in range(STEPS):
        step(model, optimizer, data)
    return {'tokens_per_second': STEPS * BATCH * LENGTH / (time.perf_counter() - start)}


def rate(at):
    """Warm-up over 100 steps, then a cosine from 1e-3 to 1e-4."""
    if at < 100:
        return 1e-3 * (at + 1) / 101
    return 1e-4 + 9e-4 * 0.5 * (1 + math.cos(math.pi * (at - 100) / (STEPS - 100)))


@torch.no_grad()
def whole_loss(model, data):
    starts = range(0, len(data) - LENGTH, LENGTH)
    losses = [model(*windows(data, starts[i:i + 64])).item() * len(starts[i:i + 64]) for i in range(0, len(starts), 64)]
    return sum(losses) / len(starts)


@torch.no_grad()
def sampled_loss(model, data):
    return sum(model(*random_windows(data)).item() for _ in range(20)) / 20


def learning():
    with open(sys.argv[8], 'rb') as file:
        text = file.read()
    ids = {byte: index for index, byte in enumerate(sorted(set(text)))}
    data = torch.tensor([ids[byte] for byte in text])
    train, held_out = data[:len(data) * 9 // 10], data[len(data) * 9 // 10:]
    torch.manual_seed(int(sys.argv[9]))
    model, optimizer = make(len(ids))
    start = time.perf_counter()
    for at in range(STEPS):
        for group in optimizer.param_groups:
            group['lr'] = rate(at)
        loss = step(model, optimizer, train)
        if (at + 1) % 250 == 0:
            print(f'PyTorch seed {sys.argv[9]}  step {at + 1}/{STEPS}  loss {loss:.4f}', file=sys.stderr)
    seconds = time.perf_counter() - start
    return {'parameters': sum(parameter.numel() for parameter in model.parameters()), 'seconds': seconds,
            'loss': whole_loss(model, held_out), 'sampled_loss': sampled_loss(model, held_out)}


def main():
    torch.set_num_threads(THREADS)
    result = learning() if LEARNS else speed()
    build = f'PyTorch {torch.__version__}, {torch.get_num_threads()} threads, {blas()}{", bf16" if BF16 else ""}'
    print(json.dumps({'name': f'PyTorch {torch.__version__}', 'build': build, **result}))


main()
