"""Runs sd-mecha's merge methods tensor by tensor in float32: `with_sd_mecha.py JOBS.json`, a list of {expression, files, dtype, out, seed}."""

import json
import sys

import torch
from safetensors.torch import load_file, save_file
from sd_mecha.extensions import merge_methods
from sd_mecha.extensions.merge_methods import StateDict

DTYPES = {"f16": torch.float16, "bf16": torch.bfloat16, "f32": torch.float32}

KEY = "tensor"


def as_declared(value, kind):
    """An argument in the form that a method declares: a number, a tensor of no dimension, or a model of one tensor."""
    if kind is torch.Tensor and isinstance(value, float):
        return torch.tensor(value)
    return {KEY: value} if getattr(kind, "__origin__", None) is StateDict else value


class Methods:
    """Each merge method by its name, as a function of tensors."""

    def __getattr__(self, name):
        method = merge_methods.resolve(name)

        def call(*args, **kwargs):
            types = method.get_input_types().args_varargs(len(args))
            args = [as_declared(value, kind) for value, kind in zip(args, types)]
            return method.merge_key(args, kwargs, KEY, None, {KEY: {}}, method.instantiate(), False)

        return call


def main():
    for job in json.load(open(sys.argv[1])):
        models = {name: load_file(path) for name, path in job["files"].items()}
        result = {}
        names = {"m": Methods(), "torch": torch, "seed": job.get("seed", 0)}
        torch.manual_seed(names["seed"])
        try:
            for key in next(iter(models.values())):
                tensors = {name: file[key].float() for name, file in models.items()}
                value = eval(job["expression"], {**names, "key": key}, tensors)
                if value is not None:
                    result[key] = value.to(DTYPES[job["dtype"]])
            save_file({key: x.contiguous() for key, x in result.items()}, job["out"] + "/model.safetensors")
        except Exception as error:
            print(f"{job['expression']}: {type(error).__name__}: {error}", file=sys.stderr)


main()
