"""Makes the routers of a mixture of experts from the hidden states of prompts, for model.moe of smelt.

    python gates.py recipe.yaml

Reads the step of the recipe that is a `model.moe` with `routers`: the base model, the `positive` and `negative` prompts
of each expert, the layout, and the file of `routers`, which is written. --base names the folder of the base model
where the recipe makes it in a step.

For each layer, the states that enter it are taken at the last token of each prompt (or averaged over all tokens, with
--average), and averaged over the prompts. Those of the negative prompts are subtracted, and the difference is brought
to length 1. This is what mergekit-moe does for `gate_mode: hidden`; --average is its `hidden_avg`.
"""

import argparse
from pathlib import Path

import torch
import transformers
import yaml
from safetensors.torch import save_file

SHARED = "mlp.shared_expert_gate.weight"


def parse_arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("recipe", type=Path)
    parser.add_argument("--step", help="the step, where the recipe has several mixtures")
    parser.add_argument("--base", type=Path, help="the folder of the base model")
    parser.add_argument("--average", action="store_true", help="average over all tokens of a prompt")
    parser.add_argument("--dtype", default="bfloat16", help="that the model computes in")
    parser.add_argument("--device", default="cpu")
    return parser.parse_args()


def find_step(recipe, name):
    steps = {
        key: step
        for key, step in recipe.get("steps", {}).items()
        if step.get("op") == "model.moe" and "routers" in step and name in (None, key)
    }
    if len(steps) != 1:
        found = ", ".join(steps) or "none"
        raise SystemExit(f"one step `op: model.moe` with `routers` is needed, and there is: {found}; see --step")
    return next(iter(steps.values()))


def path_of(recipe, name, folder, more=""):
    value = recipe.get("models", {}).get(name)
    path = value.get("path") if isinstance(value, dict) else value
    if not isinstance(path, str):
        raise SystemExit(f"`{name}` is not a model with a path{more}")
    return folder / Path(path).expanduser()


def router_name(layout, config):
    if layout in (None, "auto"):
        layout = "mixtral" if config.model_type in ("llama", "mistral") else config.model_type
    return "block_sparse_moe.gate.weight" if layout == "mixtral" else "mlp.gate.weight"


def to_ids(tokenizer, prompt):
    """The tokens of a prompt, which may be a list of them already."""
    text = prompt if isinstance(prompt, str) else None
    if text is None:
        return torch.tensor([prompt])
    return tokenizer((tokenizer.bos_token or "") + text, add_special_tokens=False, return_tensors="pt")["input_ids"]


def hidden_states(model, tokenizer, prompts, average):
    """The states that enter each layer, [layers, hidden], averaged over prompts."""
    sums = 0
    for prompt in prompts:
        # One at a time, so that no padding takes part.
        ids = to_ids(tokenizer, prompt)
        with torch.no_grad():
            states = model(input_ids=ids.to(model.device), output_hidden_states=True).hidden_states[:-1]
        taken = [(s.float().mean(dim=1) if average else s[:, -1, :].float())[0] for s in states]
        sums = sums + torch.stack(taken)
    return sums / len(prompts)


def to_length_one(x):
    return x / x.norm(dim=-1, keepdim=True).clamp(min=1e-8)


def main():
    arguments = parse_arguments()
    recipe = yaml.safe_load(arguments.recipe.read_text(encoding="utf-8"))
    step = find_step(recipe, arguments.step)
    folder = arguments.recipe.parent
    base = arguments.base or path_of(recipe, step["base"], folder, "; name its folder with --base")
    file = path_of(recipe, step["routers"], folder)
    experts = [e if isinstance(e, dict) else {"model": e} for e in step["experts"]]
    for expert in experts:
        if not expert.get("positive"):
            raise SystemExit(f"expert `{expert.get('model')}` has no `positive` prompts")

    tokenizer = transformers.AutoTokenizer.from_pretrained(base)
    model = transformers.AutoModelForCausalLM.from_pretrained(base, dtype=getattr(torch, arguments.dtype))
    model.to(arguments.device).eval()

    def gate(positive, negative):
        states = hidden_states(model, tokenizer, positive, arguments.average)
        if negative:
            states = states - hidden_states(model, tokenizer, negative, arguments.average)
        return to_length_one(states)

    gates = torch.stack([gate(e["positive"], e.get("negative")) for e in experts], dim=1)
    name = router_name(step.get("layout"), model.config)
    tensors = {f"model.layers.{layer}.{name}": rows.contiguous() for layer, rows in enumerate(gates)}
    if step.get("shared_positive"):
        for layer, row in enumerate(gate(step["shared_positive"], step.get("shared_negative"))):
            tensors[f"model.layers.{layer}.{SHARED}"] = row.reshape(1, -1).contiguous()
    if not all(torch.isfinite(t).all() for t in tensors.values()):
        raise SystemExit("the hidden states are not all finite: try --dtype float32")
    file.parent.mkdir(parents=True, exist_ok=True)
    save_file(tensors, file)
    print(f"{file}: {len(tensors)} routers of {len(experts)} experts")


main()
