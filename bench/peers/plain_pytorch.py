"""What people write by hand: `plain_pytorch.py METHOD OUT FILE...` merges safetensors files tensor by tensor in float32.

linear, slerp and dare take two files; mask, ties and dare-ties take the base first, then the fine-tunes; lora takes a
model and an adapter with kohya's names; extract takes a fine-tune and its base, and makes an adapter of the difference
of their attention.
"""

import re
import sys

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file


def linear(a, b):
    return torch.lerp(a, b, 0.5)


def slerp(a, b, t=0.5):
    cos = torch.dot((a / a.norm()).flatten(), (b / b.norm()).flatten())
    # Without an angle to speak of (or with a tensor of zeros) the sphere is a line.
    if a.dim() < 2 or not cos.abs() <= 0.9995:
        return torch.lerp(a, b, t)
    angle = torch.acos(cos)
    return (torch.sin((1 - t) * angle) * a + torch.sin(t * angle) * b) / torch.sin(angle)


def drop(delta, density=0.1):
    return delta * torch.bernoulli(torch.full_like(delta, density)) / density


def dare(a, b):
    return a + drop(b - a)


def mask(base, a, b):
    """Moves `a` toward `b` where `a` moved most."""
    moved = (a - base).abs()
    threshold = moved.flatten().kthvalue(int(0.8 * (moved.numel() - 1)) + 1).values
    return torch.where(moved >= threshold, torch.lerp(a, b, 0.7), a)


def trim(delta, density):
    """Keeps the `density` largest magnitudes, exactly."""
    flat = delta.abs().flatten()
    dropped = flat.numel() - int(density * flat.numel())
    if dropped == 0:
        return delta
    return torch.where(delta.abs() > flat.kthvalue(dropped).values, delta, 0)


def agreeing(deltas):
    elected = torch.where(deltas.sum(0) < 0, -1.0, 1.0)
    return torch.where(deltas.sign() == elected, deltas, 0)


def ties(base, *tuned):
    kept = agreeing(torch.stack([trim(x - base, 0.2) for x in tuned]))
    return base + kept.sum(0) / (kept != 0).sum(0).clamp(min=1)


def dare_ties(base, *tuned):
    return base + agreeing(torch.stack([drop(x - base) for x in tuned])).sum(0)


METHODS = {"linear": linear, "slerp": slerp, "dare": dare, "mask": mask, "ties": ties, "dare-ties": dare_ties}


def merge(method, paths):
    merge_tensor = METHODS[method]
    # More than two whole models beside the merged one would not fit a common machine.
    if len(paths) > 2:
        files = [safe_open(path, framework="pt") for path in paths]
        names, read = files[0].keys(), lambda name: [file.get_tensor(name) for file in files]
    else:
        models = [load_file(path) for path in paths]
        names, read = models[0].keys(), lambda name: [model[name] for model in models]
    merged = {}
    for name in names:
        tensors = read(name)
        first = tensors[0]
        is_float = first.is_floating_point()
        merged[name] = merge_tensor(*(t.float() for t in tensors)).to(first.dtype) if is_float else first
    return merged


def kohya_module(name):
    """What kohya's scripts call the UNet module of an SD1.5 tensor."""
    name = name.removeprefix("model.diffusion_model.").removesuffix(".weight")
    name = re.sub(r"^input_blocks\.(\d+)\.1\.", lambda m: "down_blocks.%d.attentions.%d." % divmod(int(m[1]) - 1, 3), name)
    name = re.sub(r"^output_blocks\.(\d+)\.1\.", lambda m: "up_blocks.%d.attentions.%d." % divmod(int(m[1]), 3), name)
    name = re.sub(r"^middle_block\.1\.", "mid_block.attentions.0.", name)
    return "lora_unet_" + name.replace(".", "_")


def bake(model, adapter, strength=0.8):
    for name, tensor in model.items():
        module = kohya_module(name)
        if f"{module}.lora_up.weight" not in adapter or not name.endswith(".weight"):
            continue
        up, down, alpha = (adapter[f"{module}.{part}"].float() for part in ("lora_up.weight", "lora_down.weight", "alpha"))
        model[name] = (tensor.float() + strength * alpha / len(down) * (up @ down)).to(tensor.dtype)
    return model


def extract(tuned, base, rank=32, quantile=0.99):
    """kohya's formula: a whole decomposition of each difference, its factors clamped at a quantile."""
    adapter = {}
    for name, tensor in tuned.items():
        if not re.search(r"^model\.diffusion_model\..*\.attn[12]\.to_.*\.weight$", name):
            continue
        u, s, vh = torch.linalg.svd(tensor.float() - base[name].float())
        up, down = u[:, :rank] @ torch.diag(s[:rank]), vh[:rank]
        high = torch.quantile(torch.cat([up.flatten(), down.flatten()]), quantile)
        module = kohya_module(name)
        adapter[f"{module}.lora_up.weight"] = up.clamp(-high, high).to(tensor.dtype).contiguous()
        adapter[f"{module}.lora_down.weight"] = down.clamp(-high, high).to(tensor.dtype).contiguous()
        adapter[f"{module}.alpha"] = torch.tensor(float(rank))
    return adapter


WHOLE = {"lora": bake, "extract": extract}


def main():
    method, out, *paths = sys.argv[1:]
    torch.manual_seed(42)
    save_file(WHOLE[method](*map(load_file, paths)) if method in WHOLE else merge(method, paths), out)


main()
