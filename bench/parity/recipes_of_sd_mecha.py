"""Writes recipes with sd-mecha and merges them: `recipes_of_sd_mecha.py FOLDER [NAME…]`, in a folder with sd1 and xl models a, b and c."""

import json
import logging
import pathlib
import sys

import torch
import sd_mecha
from sd_mecha import model, serialize
from sd_mecha.extensions import merge_methods
from sd_mecha.recipe_nodes import LiteralRecipeNode

SD1_BLOCKS = ["BASE", *(f"IN{i:02}" for i in range(12)), "M00", *(f"OUT{i:02}" for i in range(12))]
XL_BLOCKS = ["BASE", *(f"IN{i:02}" for i in range(9)), "M00", *(f"OUT{i:02}" for i in range(9)), "VAE"]


def blocks(names, config, to):
    return sd_mecha.convert(LiteralRecipeNode({name: i / 32 for i, name in enumerate(names)}, config), to)


def add(a, delta, alpha=1.0):
    """What `add_difference` does; its own function in 1.1.5 fails for differences that another method makes."""
    return merge_methods.resolve("add_difference")(a, delta, alpha=alpha) | a


def recipes(family):
    config = {"sd1": "sd1-ldm", "xl": "sdxl-sgm"}[family]
    a, b, c = (model(f"{family}_{name}.safetensors", config, "weight") for name in "abc")
    names, kind = (SD1_BLOCKS, "sd1-supermerger_blocks") if family == "sd1" else (XL_BLOCKS, "sdxl-supermerger_blocks")
    m = sd_mecha
    delta_a, delta_b, delta_c = m.subtract(a, c), m.subtract(b, c), m.subtract(c, a)
    yield "weighted_sum", lambda: m.weighted_sum(a, b, alpha=0.3)
    yield "weighted_sum_blocks", lambda: m.weighted_sum(a, b, alpha=blocks(names, kind, a))
    yield "add_difference_blocks", lambda: m.add_difference(a, b, c, alpha=blocks(names, kind, a))
    yield "pick_component", lambda: m.omit_component(m.weighted_sum(a, b, alpha=0.5), "vae") | m.pick_component(b, "vae")
    if family == "xl":
        yield "pick_clip_g", lambda: m.pick_component(b, "clip_g") | a
        return
    # `rotate` and `model_stock` are compared by run.mjs, on the tensors for which they are defined there.
    yield "slerp", lambda: m.slerp(a, b, alpha=0.3)
    yield "geometric_sum", lambda: m.geometric_sum(a, b, alpha=0.3)
    yield "add_cosine_a", lambda: m.add_cosine_a(a, b, alpha=0.3)
    yield "add_cosine_b", lambda: m.add_cosine_b(a, b, alpha=0.3)
    yield "crossover", lambda: m.crossover(a, b, alpha=0.3, tilt=0.5)
    yield "tensor_sum", lambda: m.tensor_sum(a, b, width=0.5, offset=0.25)
    yield "top_k_tensor_sum", lambda: m.top_k_tensor_sum(a, b, width=0.5, offset=0.25)
    yield "n_average", lambda: m.n_average(a, b, c)
    yield "n_average_deltas", lambda: add(c, m.n_average(delta_a, delta_b), alpha=0.5)
    yield "weighted_sum_deltas", lambda: add(c, m.weighted_sum(delta_a, delta_b, alpha=0.25), alpha=0.5)
    yield "add_difference", lambda: m.add_difference(a, b, c, alpha=0.5)
    yield "add_differences", lambda: add(a, add(delta_b, delta_c, 0.5), 0.5)
    yield "subtract", lambda: delta_b
    yield "perpendicular_component", lambda: add(a, m.perpendicular_component(delta_a, delta_b), alpha=0.5)
    yield "add_perpendicular", lambda: m.add_perpendicular(a, b, c, alpha=0.5)
    yield "train_difference", lambda: add(a, delta_b, alpha=m.train_difference_mask(a, b, c, alpha=0.75))
    yield "add_opposite", lambda: add(a, delta_b, alpha=m.add_opposite_mask(a, b, c, alpha=0.75))
    yield "add_strict_opposite", lambda: add(a, delta_b, alpha=m.add_strict_opposite_mask(a, b, c, alpha=0.75))
    yield "multiply_quotient", lambda: m.multiply_quotient(a, b, c, alpha=0.25)
    yield "clamp", lambda: m.clamp(a, b, c, stiffness=0.0)
    yield "clamp_stiff", lambda: m.clamp(a, b, c, stiffness=0.5)
    yield "ties_sum", lambda: add(c, m.ties_sum(delta_a, delta_b, k=1.0, vote_sgn=False), alpha=0.5)
    yield "ties_sum_by_sums", lambda: add(c, m.ties_sum(delta_a, delta_b, k=1.0, vote_sgn=True), alpha=0.5)
    yield "ties_sum_with_dropout", lambda: add(
        c, m.ties_sum_with_dropout(delta_a, delta_b, probability=0.0, k=1.0, apply_stock=True), alpha=0.5
    )
    yield "add_ties_with_dare", lambda: m.add_ties_with_dare(c, a, b, probability=0.0, k=1.0, apply_stock=True, alpha=0.5)
    yield "geometric_median", lambda: m.geometric_median(a, b, c)
    yield "fallback", lambda: m.pick_component(a, "diffuser") | b
    yield "cast", lambda: m.weighted_sum(a, b, alpha=0.5).to(dtype=torch.float32)
    yield "nested", lambda: m.weighted_sum(add(a, delta_b, alpha=1.0), m.slerp(a, c, alpha=0.25), alpha=0.75)


def main():
    folder, only = pathlib.Path(sys.argv[1]).resolve(), sys.argv[2:]
    logging.disable(logging.WARNING)
    sd_mecha.extensions.model_dirs.add_path(folder)
    done, failed = [], {}
    for family in ("sd1", "xl"):
        for name, make in recipes(family):
            name = f"{family}_{name}"
            if only and name not in only:
                continue
            try:
                recipe = make()
                (folder / f"{name}.mecha").write_text(serialize(recipe))
                space = None if name == "sd1_subtract" else "weight"
                merged = sd_mecha.merge(
                    recipe, merge_dtype=torch.float32, output_dtype=torch.float32, output=str(folder / f"{name}.out.safetensors"),
                    strict_merge_space=space, check_extra_keys=False, threads=1,
                )
                done.append(name)
            except Exception as error:
                failed[name] = f"{type(error).__name__}: {error}"
    json.dump({"done": done, "failed": failed}, (folder / "merged.json").open("w"))


main()
