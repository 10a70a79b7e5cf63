"""The same merges by sd-mecha: `with_sd_mecha.py METHOD OUT FILE...`; ties and dare-ties take the base first."""

import sys

import sd_mecha
import torch

# The package's own wrappers for TIES compare the merge space of a recipe that has none yet, so their parts are joined here.
from sd_mecha.extensions.builtin.merge_methods.linear import add_difference, subtract
from sd_mecha.extensions.builtin.merge_methods.ties import dropout, ties_sum, ties_sum_with_dropout


def linear(a, b):
    return sd_mecha.weighted_sum(a, b, alpha=0.5)


def slerp(a, b):
    return sd_mecha.slerp(a, b, alpha=0.5)


def dare(a, b):
    return add_difference(a, dropout(subtract(b, a), probability=0.9, seed=42), alpha=1.0)


def ties(base, *tuned):
    return add_difference(base, ties_sum(*(subtract(x, base) for x in tuned), k=0.2), alpha=1.0)


def dare_ties(base, *tuned):
    deltas = (subtract(x, base) for x in tuned)
    # k: nothing is trimmed. apply_stock: in this version `False` scales the sum as Model Stock does, and `True` does not.
    kept = ties_sum_with_dropout(*deltas, probability=0.9, k=1.0, apply_stock=True, seed=42)
    return add_difference(base, kept, alpha=1.0)


METHODS = {"linear": linear, "slerp": slerp, "dare": dare, "ties": ties, "dare-ties": dare_ties}


def main():
    method, out, *paths = sys.argv[1:]
    recipe = METHODS[method](*(sd_mecha.model(path) for path in paths))
    sd_mecha.merge(recipe, merge_device="cpu", merge_dtype=torch.float32, output_dtype=torch.float16, output=out)


main()
