"""Runs sd-mecha's merge methods tensor by tensor in float32: `with_sd_mecha.py JOBS.json`, a list of {expression, files, dtype, out}."""

import json
import sys

import torch
from safetensors.torch import load_file, save_file
from sd_mecha.extensions import merge_methods

DTYPES = {"f16": torch.float16, "bf16": torch.bfloat16, "f32": torch.float32}


class Methods:
    """Each merge method by its name, as a function of tensors."""

    def __getattr__(self, name):
        method = merge_methods.resolve(name)

        def call(*args, **kwargs):
            # Numbers before the tensors' keywords are tensors of no dimension there.
            args = [torch.tensor(x) if isinstance(x, float) else x for x in args]
            return method.merge_key(args, kwargs, "tensor", None, {}, method.instantiate(), False)

        return call


def main():
    for job in json.load(open(sys.argv[1])):
        models = {name: load_file(path) for name, path in job["files"].items()}
        result = {}
        try:
            for key in next(iter(models.values())):
                tensors = {name: file[key].float() for name, file in models.items()}
                result[key] = eval(job["expression"], {"m": Methods(), "torch": torch}, tensors).to(DTYPES[job["dtype"]])
            save_file({key: x.contiguous() for key, x in result.items()}, job["out"] + "/model.safetensors")
        except Exception as error:
            print(f"{job['expression']}: {type(error).__name__}: {error}", file=sys.stderr)


main()
