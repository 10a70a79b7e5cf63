"""Formulas of papers and tools that are no package: `formulas.py METHOD OUT FILE...`, tensor by tensor in float32.

The files are those that the method's recipe names, in the order of bench/methods.mjs: the base first where there is one.
"""

import re
import sys

import torch
from safetensors import safe_open
from safetensors.torch import save_file


def multiply_difference(name, base, a, b, keep=0.5, side=0.5):
    """sd-meh: on the side of the base where the blend of both is."""
    ofA, ofB = a - base, b - base
    mean = ofA.abs().pow(keep) * ofB.abs().pow(1 - keep)
    return base + torch.copysign(mean, side * ofA + (1 - side) * ofB)


def similarity_add_difference(name, base, a, b, strength=0.5, similarity=0.5):
    """sd-meh."""
    greatest = torch.maximum(a.abs(), b.abs())
    alike = torch.nan_to_num((a * b / greatest**2 + 1) / 2 * similarity, nan=similarity)
    return torch.lerp(a + strength * (b - base), (1 - strength / 2) * a + strength / 2 * b, alike)


def fisher(name, a, b, fisher_a, fisher_b, least=1e-6):
    """MergeLM: an average weighted by the diagonals of the Fisher information."""
    fisher_a, fisher_b = fisher_a + least, fisher_b + least
    return (fisher_a * a + fisher_b * b) / (fisher_a + fisher_b)


def scaled(gram, alpha=0.9):
    return alpha * gram + (1 - alpha) * torch.diag(torch.diag(gram))


def regmean(name, a, b, gram_a=None, gram_b=None):
    """MergeLM: the least squares of what layers put out; others are averaged."""
    if gram_a is None:
        return (a + b) / 2
    gram_a, gram_b = scaled(gram_a), scaled(gram_b)
    return (torch.inverse(gram_a + gram_b) @ (gram_a @ a.T + gram_b @ b.T)).T


def is_attention(name, tensor):
    return tensor.dim() == 2 and re.search(r"\.attn1\..*\.weight$", name)


def tsv(name, base, *tuned):
    """The authors' code of TSV-Merge."""
    if not is_attention(name, base):
        return base
    each = min(base.shape) // len(tuned)
    parts = [torch.linalg.svd(x - base, full_matrices=False) for x in tuned]
    u = torch.cat([u[:, :each] for u, _, _ in parts], 1)
    s = torch.cat([s[:each] for _, s, _ in parts])
    v = torch.cat([v[:each] for _, _, v in parts])
    u_u, _, v_u = torch.linalg.svd(u, full_matrices=False)
    u_v, _, v_v = torch.linalg.svd(v, full_matrices=False)
    return base + torch.linalg.multi_dot((u_u, v_u, torch.diag(s), u_v, v_v))


def isotropic(name, base, *tuned):
    """The authors' code of Iso-C."""
    if not is_attention(name, base):
        return base
    u, s, v = torch.linalg.svd(sum(x - base for x in tuned), full_matrices=False)
    return base + torch.linalg.multi_dot((u, torch.diag(torch.ones_like(s) * s.mean()), v))


def emr(name, base, *tuned):
    """The authors' code of EMR-Merging: the elected sign and the greatest magnitude that has it."""
    deltas = torch.stack([x - base for x in tuned])
    sign = torch.sign(deltas.sum(0))
    greatest = torch.where(deltas.sign() == sign, deltas.abs(), 0).amax(0)
    return base + sign * greatest


def tall(name, base, a, merged, share=0.4):
    """The authors' code of TALL masks: where the difference of a task stands out from what all others have."""
    mask = (a - base).abs() > (merged - a).abs() * share
    return torch.where(mask, a, base)


METHODS = (multiply_difference, similarity_add_difference, fisher, regmean, tsv, isotropic, emr, tall)


def main():
    method, out, *paths = sys.argv[1:]
    merge = {function.__name__: function for function in METHODS}[method]
    files = [safe_open(path, framework="pt") for path in paths]
    names = [set(file.keys()) for file in files]
    merged = {}
    for name in files[0].keys():
        tensors = [file.get_tensor(name).float() for file, known in zip(files, names) if name in known]
        merged[name] = merge(name, *tensors).to(torch.float16).contiguous()
    save_file(merged, out)


main()
