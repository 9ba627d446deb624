#!/usr/bin/env python3
"""Makes the small checkpoints beside this script, and what Hugging Face transformers says to them.

    pip install torch transformers safetensors
    tests/trainer/families/make_goldens.py [FAMILY...]

Without names all of them, and inverse_frequencies.json: config.json of models with scaled RoPE, and what transformers
makes of it. A folder a family: config.json, random weights (qwen3 in two F32 shards, llama in F16, qwen2 in BF16,
gpt2 in F32 without the trunk's prefix, as it is published) and golden.json: two sequences of ids and
the logits at every position, computed in F32 from the weights as they are stored.
"""
import json
import pathlib
import shutil
import sys

import torch
import transformers
from safetensors.torch import save_file

HERE = pathlib.Path(__file__).resolve().parent
SIZES = dict(vocab_size=48, hidden_size=16, intermediate_size=24, num_hidden_layers=2,
             num_attention_heads=4, max_position_embeddings=32)
FAMILIES = {
    'qwen3': transformers.Qwen3Config(**SIZES, num_key_value_heads=2, head_dim=8,
                                      tie_word_embeddings=True, rope_theta=10000.0),
    'llama': transformers.LlamaConfig(**SIZES, num_key_value_heads=2, tie_word_embeddings=False,
                                      rope_theta=500.0, rms_norm_eps=1e-5),
    'qwen2': transformers.Qwen2Config(**SIZES, num_key_value_heads=1, tie_word_embeddings=True,
                                      rope_theta=10000.0),
    'gpt2': transformers.GPT2Config(vocab_size=48, n_embd=16, n_layer=2, n_head=4, n_positions=32,
                                    n_inner=40, bos_token_id=None, eos_token_id=None),
    # Of the 8 wavelengths (6, 14, 30, 65, … tokens) the first is below 16 / 2, two lie between, five above 16 / 0.5.
    'llama3_scaled': transformers.LlamaConfig(
        **SIZES, num_key_value_heads=2, head_dim=16, tie_word_embeddings=False, rope_theta=500.0,
        rope_scaling={'rope_type': 'llama3', 'factor': 8.0, 'low_freq_factor': 0.5, 'high_freq_factor': 2.0,
                      'original_max_position_embeddings': 16}),
    # The oldest spelling.
    'linear_scaled': transformers.Qwen3Config(
        **SIZES, num_key_value_heads=2, head_dim=8, tie_word_embeddings=True, rope_theta=500.0,
        rope_scaling={'type': 'linear', 'factor': 4.0}),
}
LLAMA_3 = dict(vocab_size=128256, num_attention_heads=32, num_key_value_heads=8, max_position_embeddings=131072,
               rope_theta=500000.0, rms_norm_eps=1e-5)
LLAMA_3_SCALING = {'rope_type': 'llama3', 'low_freq_factor': 1.0, 'high_freq_factor': 4.0,
                   'original_max_position_embeddings': 8192}
# As they are published.
SCALED = {
    'llama-3.1-8b': transformers.LlamaConfig(
        **LLAMA_3, hidden_size=4096, intermediate_size=14336, num_hidden_layers=32,
        rope_scaling={'factor': 8.0, **LLAMA_3_SCALING}),
    'llama-3.2-1b': transformers.LlamaConfig(
        **LLAMA_3, hidden_size=2048, intermediate_size=8192, num_hidden_layers=16, head_dim=64,
        tie_word_embeddings=True, rope_scaling={'factor': 32.0, **LLAMA_3_SCALING}),
}
TYPES = {'llama': torch.float16, 'qwen2': torch.bfloat16}
UNNAMED = ('.attn.bias', '.attn.masked_bias', 'rotary_emb.inv_freq')


def randomise(model, stored):
    generator = torch.Generator().manual_seed(7)
    for name, parameter in sorted(model.named_parameters()):
        noise = torch.randn(parameter.shape, generator=generator)
        matrix = parameter.dim() == 2
        # Norms around 1 and biases around 0, all of them at work.
        centre = 1.0 if not matrix and 'bias' not in name else 0.0
        value = centre + noise * (0.25 if matrix else 0.1)
        parameter.data = value.to(stored).float()  # the model itself computes in F32


def save(family, model, folder):
    stored = TYPES.get(family, torch.float32)
    weights = {name: value.to(stored).contiguous() for name, value in model.state_dict().items()
               if not name.endswith(UNNAMED) and not (name == 'lm_head.weight' and model.config.tie_word_embeddings)}
    if family == 'gpt2':
        weights = {name.removeprefix('transformer.'): value for name, value in weights.items()}
    if family != 'qwen3':
        save_file(weights, folder / 'model.safetensors', {'format': 'pt'})
        return
    names = sorted(weights)
    shards = {f'model-0000{i + 1}-of-00002.safetensors': names[i::2] for i in range(2)}
    for file, held in shards.items():
        save_file({name: weights[name] for name in held}, folder / file, {'format': 'pt'})
    (folder / 'model.safetensors.index.json').write_text(json.dumps(
        {'metadata': {'total_size': sum(w.nbytes for w in weights.values())},
         'weight_map': {name: file for file, held in shards.items() for name in held}}, indent=1))


def save_frequencies():
    models = {}
    for name, config in (SCALED | {name: FAMILIES[name] for name in FAMILIES if name.endswith('_scaled')}).items():
        rope = transformers.models.llama.modeling_llama.LlamaRotaryEmbedding(config)
        models[name] = {'config': json.loads(config.to_json_string(use_diff=True)),
                        'inverse_frequencies': [float(f'{x:.9g}') for x in rope.inv_freq.tolist()]}
    (HERE / 'inverse_frequencies.json').write_text(json.dumps(
        {'by': f'transformers {transformers.__version__}, torch {torch.__version__}', 'models': models}, indent=1))


def main():
    names = sys.argv[1:]
    if not names:
        save_frequencies()
    ids = torch.randint(48, (2, 20), generator=torch.Generator().manual_seed(3))
    for family, config in FAMILIES.items():
        if names and family not in names:
            continue
        folder = HERE / family
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        config._attn_implementation = 'eager'
        model = transformers.AutoModelForCausalLM.from_config(config).float().eval()
        randomise(model, TYPES.get(family, torch.float32))
        model.tie_weights()
        save(family, model, folder)
        config.save_pretrained(folder)
        with torch.no_grad():
            logits = model(ids).logits
        (folder / 'golden.json').write_text(json.dumps({
            'by': f'transformers {transformers.__version__}, torch {torch.__version__}',
            'ids': ids.tolist(),
            'logits': [[[float(f'{x:.7g}') for x in row] for row in one] for one in logits.tolist()],
        }))


if __name__ == '__main__':
    main()
