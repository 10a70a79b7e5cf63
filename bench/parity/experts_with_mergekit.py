"""Runs configurations in mergekit-moe, in the folder of their models: `experts_with_mergekit.py JOBS.json`, a list of {config, out}."""

import json
import sys

import yaml
from mergekit.moe.config import MoEMergeConfig
from mergekit.options import MergeOptions
from mergekit.scripts.moe import build


def main():
    for job in json.load(open(sys.argv[1])):
        try:
            config = MoEMergeConfig.model_validate(yaml.safe_load(open(job["config"])))
            build(config, job["out"], MergeOptions(copy_tokenizer=False, quiet=True), device="cpu", allow_all_same=True)
        except BaseException as error:
            print(f"{job['config']}: {type(error).__name__}: {error}", file=sys.stderr)


main()
