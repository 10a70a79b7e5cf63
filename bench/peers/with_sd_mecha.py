"""The same merges by sd-mecha: `with_sd_mecha.py METHOD OUT FILE...`; ties takes the base first."""

import sys

import sd_mecha
import torch

# The package's own wrapper for TIES compares the merge space of a recipe that has none yet, so its parts are joined here.
from sd_mecha.extensions.builtin.merge_methods.linear import add_difference, subtract
from sd_mecha.extensions.builtin.merge_methods.ties import ties_sum


def main():
    method, out, *paths = sys.argv[1:]
    models = [sd_mecha.model(path) for path in paths]
    if method == "linear":
        recipe = sd_mecha.weighted_sum(*models, alpha=0.5)
    else:
        base, *tuned = models
        recipe = add_difference(base, ties_sum(*(subtract(x, base) for x in tuned), k=0.2), alpha=1.0)
    sd_mecha.merge(recipe, merge_device="cpu", merge_dtype=torch.float32, output_dtype=torch.float16, output=out)


main()
