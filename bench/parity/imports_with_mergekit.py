"""Runs configurations in mergekit, in the folder of their models: `imports_with_mergekit.py JOBS.json`, a list of {config, out}."""

import json
import sys

import yaml
from mergekit.config import MergeConfiguration
from mergekit.merge import run_merge
from mergekit.options import MergeOptions


def main():
    for job in json.load(open(sys.argv[1])):
        try:
            config = MergeConfiguration.model_validate(yaml.safe_load(open(job["config"])))
            run_merge(config, job["out"], MergeOptions(allow_crimes=True, copy_tokenizer=False, write_model_card=False, quiet=True))
        except Exception as error:
            print(f"{job['config']}: {type(error).__name__}: {error}", file=sys.stderr)


main()
