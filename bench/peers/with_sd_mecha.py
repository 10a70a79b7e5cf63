"""The same merges by sd-mecha: `with_sd_mecha.py METHOD OUT FILE...`; ties takes the base first."""

import sys

import sd_mecha
import torch


def main():
    method, out, *paths = sys.argv[1:]
    models = [sd_mecha.model(path) for path in paths]
    if method == "linear":
        recipe = sd_mecha.weighted_sum(*models, alpha=0.5)
    else:
        recipe = sd_mecha.add_difference_ties(*models, alpha=1.0, k=0.2)
    sd_mecha.merge(recipe, merge_device="cpu", merge_dtype=torch.float32, output_dtype=torch.float16, output=out)


main()
