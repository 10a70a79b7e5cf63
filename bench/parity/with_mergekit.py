"""Runs merges in mergekit: `with_mergekit.py JOBS.json`, a list of {config, out, seed}; configs as mergekit-pytorch takes them."""

import json
import sys

from mergekit.graph import Executor
from mergekit.options import MergeOptions
from mergekit.scripts.merge_raw_pytorch import RawPyTorchMergeConfig, plan_flat_merge


def main():
    for job in json.load(open(sys.argv[1])):
        try:
            options = MergeOptions(random_seed=job.get("seed"), quiet=True)
            options.apply_global_options()
            config = RawPyTorchMergeConfig.model_validate(job["config"])
            Executor(plan_flat_merge(config, job["out"], False, False, options)).execute()
        except Exception as error:
            print(f"{job['out']}: {type(error).__name__}: {error}", file=sys.stderr)


main()
