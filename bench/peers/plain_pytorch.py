"""What people write by hand: `plain_pytorch.py METHOD OUT FILE...` merges safetensors files tensor by tensor in float32.

linear and dare take two files; ties takes the base first, then the fine-tunes.
"""

import sys

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file


def linear(a, b):
    return torch.lerp(a, b, 0.5)


def dare(a, b):
    kept = torch.bernoulli(torch.full_like(a, 0.1))
    return a + kept * (b - a) / 0.1


def trim(delta, density):
    """Keeps the `density` largest magnitudes, exactly."""
    flat = delta.abs().flatten()
    dropped = flat.numel() - int(density * flat.numel())
    if dropped == 0:
        return delta
    return torch.where(delta.abs() > flat.kthvalue(dropped).values, delta, 0)


def ties(base, *tuned):
    deltas = torch.stack([trim(x - base, 0.2) for x in tuned])
    elected = torch.where(deltas.sum(0) < 0, -1.0, 1.0)
    agreeing = torch.where(deltas.sign() == elected, deltas, 0)
    return base + agreeing.sum(0) / (agreeing != 0).sum(0).clamp(min=1)


METHODS = {"linear": linear, "dare": dare, "ties": ties}


def main():
    method, out, *paths = sys.argv[1:]
    merge = METHODS[method]
    torch.manual_seed(42)
    # Four whole models beside the merged one would not fit a common machine.
    if method == "ties":
        files = [safe_open(path, framework="pt") for path in paths]
        names, read = files[0].keys(), lambda name: [file.get_tensor(name) for file in files]
    else:
        models = [load_file(path) for path in paths]
        names, read = models[0].keys(), lambda name: [model[name] for model in models]
    merged = {}
    for name in names:
        tensors = read(name)
        first = tensors[0]
        merged[name] = merge(*(t.float() for t in tensors)).to(first.dtype) if first.is_floating_point() else first
    save_file(merged, out)


main()
