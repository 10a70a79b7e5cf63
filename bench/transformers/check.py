"""Merges tiny models of eleven kinds with smelt, and checks the folders in transformers.

`bench/.venv/bin/python bench/transformers/check.py [NAME …]`: makes random models, builds recipes over them, loads what
comes out with `from_pretrained`, generates, and compares the logits with those of a merge made in PyTorch. Mixtures are
compared with mergekit-moe. Without names the table of README.md beside it is written anew.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from datetime import date
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TQDM_DISABLE"] = "1"

import torch
import transformers
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer
from tokenizers.decoders import ByteLevel as ByteLevelDecoder
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForMaskedLM, PreTrainedConfig

HERE = Path(__file__).parent
PROGRAM = HERE.parent.parent / "dist" / "bin" / "smelt.js"
SMALL = dict(hidden_size=32, intermediate_size=48, num_hidden_layers=4, num_attention_heads=4, vocab_size=96)
GROUPED = dict(SMALL, num_key_value_heads=2)
TOKENS = dict(bos_token_id=1, eos_token_id=2, pad_token_id=0)
WIDTH = dict(max_position_embeddings=64)
# Of each architecture: its type, its settings, and the tensors before the layers, for a stack.
ARCHITECTURES = {
    "Llama": ("llama", dict(GROUPED, **TOKENS, **WIDTH)),
    "Llama, tied": ("llama", dict(GROUPED, **TOKENS, **WIDTH, tie_word_embeddings=True)),
    "Mistral": ("mistral", dict(GROUPED, **TOKENS, **WIDTH, sliding_window=None)),
    "Qwen2": ("qwen2", dict(GROUPED, **TOKENS, **WIDTH, use_sliding_window=True, sliding_window=16, max_window_layers=2)),
    "Qwen3": ("qwen3", dict(GROUPED, **TOKENS, **WIDTH, head_dim=8)),
    "Gemma 2": ("gemma2", dict(GROUPED, **TOKENS, **WIDTH, head_dim=8, sliding_window=16)),
    "Phi-3": ("phi3", dict(GROUPED, **TOKENS, **WIDTH, rope_parameters=dict(rope_type="default", rope_theta=10000.0))),
    "GPT-2": ("gpt2", dict(n_embd=32, n_layer=4, n_head=4, vocab_size=96, n_positions=64, bos_token_id=1, eos_token_id=2)),
    "Pythia (GPT-NeoX)": ("gpt_neox", dict(SMALL, **TOKENS, **WIDTH)),
    "Mixtral": ("mixtral", dict(GROUPED, **TOKENS, **WIDTH, num_local_experts=4, num_experts_per_tok=2, sliding_window=None)),
    "BERT": ("bert", dict(SMALL, **WIDTH, pad_token_id=0)),
}
PATHS = {"gpt2": "transformer.h", "gpt_neox": "gpt_neox.layers", "bert": "bert.encoder.layer"}
LAYERS = [("one", 0, 3), ("two", 2, 4)]
DENSITY = 0.5
# Of each mixture: the dense type, the layout, and whether it has a shared expert.
MIXTURES = {
    "Mixtral of Llama": ("Llama", "mixtral", False),
    "Mixtral of tied Llama": ("Llama, tied", "mixtral", False),
    "Mixtral of Mistral": ("Mistral", "mixtral", False),
    "Qwen2-MoE of Qwen2": ("Qwen2", "qwen2", True),
    "Qwen2-MoE of Llama": ("Llama", "qwen2", True),
    "Qwen3-MoE of Qwen3": ("Qwen3", "qwen3", False),
    "DeepSeek of Llama": ("Llama", "deepseek", True),
    "DeepSeek of Mistral": ("Mistral", "deepseek", False),
}
PROMPTS = [([[1, 7, 9], [1, 30]], [[1, 60]]), ([[1, 40, 41]], None), ([[1, 50, 51, 52]], [[1, 9]]), ([[1, 77]], None)]
SHARED_PROMPTS = [[1, 3], [1, 5, 8]]


def model_class(kind):
    return AutoModelForMaskedLM if kind == "bert" else AutoModelForCausalLM


def make_models(folder, kind, settings, dtype):
    """A base and three relatives, as `save_pretrained` writes them; one of them in shards."""
    torch.manual_seed(7)
    config = AutoConfig.for_model(kind, **settings)
    config.dtype = dtype
    base = model_class(kind).from_config(config)
    state = {name: tensor.clone() for name, tensor in base.state_dict().items()}
    # Random models are near zero everywhere; the scale lets logits differ visibly.
    state = {name: (t * 6 if t.is_floating_point() and t.dim() > 1 else t) for name, t in state.items()}
    for name in ["base", "one", "two", "three"]:
        own = {
            key: t + 0.3 * t.abs().mean() * torch.randn_like(t) if name != "base" and t.is_floating_point() else t
            for key, t in state.items()
        }
        model = model_class(kind).from_config(config)
        model.load_state_dict(own)
        model.to(dtype).save_pretrained(folder / name, max_shard_size="40KB" if name == "two" else "5GB")


def tensors_of(folder):
    return {name: t for path in sorted(Path(folder).glob("*.safetensors")) for name, t in load_file(path).items()}


def build(folder, steps, dtype="same", models=("base", "one", "two", "three"), tokenizer=None):
    recipe = {
        "smelt": 1,
        "models": {name: name for name in models},
        **({} if tokenizer is None else {"tokenizer": tokenizer}),
        "steps": steps,
        "outputs": {"out": {"from": list(steps)[-1], "path": "out/", "files": "base", "dtype": dtype}},
    }
    (folder / "recipe.yaml").write_text(json.dumps(recipe))
    shutil.rmtree(folder / "out", ignore_errors=True)
    done = subprocess.run(
        ["node", str(PROGRAM), "build", "recipe.yaml", "--quiet"],
        cwd=folder,
        capture_output=True,
        text=True,
        env=os.environ | {"SMELT_CACHE": str(folder / "cache")},
    )
    if done.returncode != 0:
        raise RuntimeError(f"smelt build: {done.stdout}{done.stderr}")
    return folder / "out", done.stderr


def load(kind, folder, dtype=torch.float32):
    model, info = model_class(kind).from_pretrained(folder, output_loading_info=True, dtype=dtype)
    wrong = {key: sorted(value) for key, value in info.items() if len(value) > 0}
    return model.eval(), wrong


def logits_of(model, more=()):
    ids = torch.tensor([[1, 5, 17, 33, 80, 21, 64, 9, *more]])
    with torch.no_grad():
        return model(ids).logits


def generates(kind, model):
    if kind == "bert":
        return True
    ids = torch.tensor([[1, 5, 17]])
    made = model.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=5, min_new_tokens=5, do_sample=False)
    return made.shape == (1, 8)


def ties(base, others):
    """TIES of one tensor: the largest half of each difference, the elected sign, the mean of what has it."""
    deltas = []
    for other in others:
        delta = (other.float() - base.float()).flatten()
        keep = int(DENSITY * delta.numel() + 1e-9)
        order = torch.sort(delta.abs(), descending=True, stable=True).indices[:keep]
        trimmed = torch.zeros_like(delta)
        trimmed[order] = delta[order]
        deltas.append(trimmed)
    stacked = torch.stack(deltas)
    sign = torch.where(stacked.sum(0) < 0, -1.0, 1.0)
    agree = torch.where(stacked * sign > 0, 1.0, 0.0)
    total = (stacked * agree).sum(0) / agree.sum(0).clamp(min=1)
    return (base.float() + total.reshape(base.shape)).to(base.dtype)


def renumber(tensors, path, first, end, start):
    made = {}
    for name, t in tensors.items():
        if name.startswith(path + "."):
            number, below = name[len(path) + 1 :].split(".", 1)
            if first <= int(number) < end:
                made[f"{path}.{int(number) - first + start}.{below}"] = t
    return made


def torch_merges(kind, base, one, two):
    floats = lambda name: base[name].is_floating_point()
    path = PATHS.get(kind, "model.layers")
    stacked = {name: t for name, t in one.items() if not name.startswith(path + ".")}
    count = 0
    for model, first, end in LAYERS:
        stacked |= renumber(one if model == "one" else two, path, first, end, count)
        count += end - first
    return {
        "blend": {n: one[n] + 0.7 * (two[n] - one[n]) if floats(n) else one[n] for n in base},
        "TIES": {n: ties(base[n], [one[n], two[n]]) if floats(n) else base[n] for n in base},
        "stack": stacked,
    }


def steps_of(kind):
    return {
        "blend": {"m": {"op": "merge.blend", "a": "one", "b": "two", "keep": 0.3}},
        "TIES": {"m": {"op": "merge.ties", "base": "base", "models": [{"model": m, "density": DENSITY} for m in ["one", "two"]]}},
        "stack": {"m": {"op": "model.stack", "slices": [{"model": m, "layers": [f, e]} for m, f, e in LAYERS]}},
    }


def write_tokenizer(folder, tokens):
    """A byte-level tokenizer that knows each of some texts as one token, by their places in the list."""
    tokenizer = Tokenizer(BPE(vocab={text: i for i, text in enumerate(tokens)}, merges=[]))
    tokenizer.pre_tokenizer, tokenizer.decoder = ByteLevel(add_prefix_space=False), ByteLevelDecoder()
    tokenizer.add_special_tokens(tokens[:3])
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "PreTrainedTokenizerFast"}))


def vocabulary_names(kind, folder, tensors):
    """The tensors of a file with a row, or a number, for each token."""
    model = model_class(kind).from_pretrained(folder)
    ends = [model.get_input_embeddings().weight, model.get_output_embeddings().weight]
    biases = {"cls.predictions.bias", "cls.predictions.decoder.bias"}
    return {name for name, t in tensors.items() if name in biases or any(torch.equal(t, end) for end in ends)}


def check_union(folder, kind, base, one, two):
    """`two` has its tokens in another order, and some of its own: blended after the union of vocabularies."""
    special = ["<pad>", "<s>", "</s>"]
    shared = [f"w{i}" for i in range(3, 96)]
    tokens = {"base": special + shared, "one": special + shared, "two": special + shared[:40:-1] + [f"Ġx{i}" for i in range(41)]}
    for name, texts in tokens.items():
        write_tokenizer(folder / name, texts)
    out, told = build(folder, steps_of(kind)["blend"], models=list(tokens), tokenizer={"from": "union", "base": "base", "pad_to": 1})
    written = json.loads((out / "tokenizer.json").read_text())
    ids = dict(written["model"]["vocab"]) | {t["content"]: t["id"] for t in written["added_tokens"]}
    wanted = {text for texts in tokens.values() for text in texts}
    problems = [] if set(ids) == wanted and sorted(ids.values()) == list(range(len(wanted))) else ["tokens in tokenizer.json"]
    places = {name: {text: i for i, text in enumerate(texts)} for name, texts in tokens.items()}

    def row(own, name, tensors, text):
        # A model that lacks a token has the row of the only other that has it, or of the base.
        holders = [m for m in tokens if text in places[m]]
        holder = own if own in holders else "base" if "base" in holders else holders[0]
        return tensors[holder][name][places[holder][text]]

    order = sorted(ids, key=ids.get)
    tensors = {"base": base, "one": one, "two": two}
    names = vocabulary_names(kind, folder / "base", base)
    merged = {}
    for name in base:
        sides = [tensors[m][name] if name not in names else torch.stack([row(m, name, tensors, t) for t in order]) for m in ["one", "two"]]
        merged[name] = sides[0] + 0.7 * (sides[1] - sides[0]) if base[name].is_floating_point() else sides[0]
    model, wrong = load(kind, out)
    other, other_wrong = expected_model(kind, folder / "expected", merged, folder / "base", None, vocab_size=len(order))
    assert other_wrong == {}, other_wrong
    more = [96, len(order) - 1]
    problems += [f"{key}: {found}" for key, found in wrong.items()]
    problems += [] if generates(kind, model) else ["does not generate"]
    problems += [f"told: {told.strip()}"] if told.strip() else []
    return (logits_of(model, more) - logits_of(other, more)).abs().max().item(), problems


def expected_model(kind, folder, tensors, like, layers, **settings):
    """The same tensors in a folder that transformers alone has written the config of."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    config = AutoConfig.from_pretrained(like)
    for key, value in settings.items():
        setattr(config, key, value)
    if layers is not None:
        if hasattr(config, "layer_types") and config.layer_types is not None:
            types = config.layer_types
            config.layer_types = [types[i] for _, first, end in LAYERS for i in range(first, end)]
        config.num_hidden_layers = layers
    config.save_pretrained(folder)
    save_file({n: t.contiguous() for n, t in tensors.items()}, folder / "model.safetensors", metadata={"format": "pt"})
    return load(kind, folder)


def check_architecture(root, title):
    kind, settings = ARCHITECTURES[title]
    folder = root / title.replace(" ", "-")
    make_models(folder, kind, settings, torch.float32)
    base, one, two = (tensors_of(folder / name) for name in ["base", "one", "two"])
    wanted = torch_merges(kind, base, one, two)
    rows = {}
    for merge, steps in steps_of(kind).items():
        try:
            out, told = build(folder, steps)
            model, wrong = load(kind, out)
            layers = sum(end - first for _, first, end in LAYERS) if merge == "stack" else None
            other, other_wrong = expected_model(kind, folder / "expected", wanted[merge], folder / "base", layers)
            assert other_wrong == {}, other_wrong
            difference = (logits_of(model) - logits_of(other)).abs().max().item()
            config = json.loads((out / "config.json").read_text())
            problems = [
                *(f"{key}: {names}" for key, names in wrong.items()),
                *([] if generates(kind, model) else ["does not generate"]),
                *([] if config.get("dtype", config.get("torch_dtype")) == "float32" else ["dtype in config.json"]),
                *([f"told: {told.strip()}"] if told.strip() else []),
            ]
            rows[merge] = (difference, problems)
        except Exception as error:
            rows[merge] = (float("nan"), [f"{type(error).__name__}: {error}"])
    try:
        rows["union"] = check_union(folder, kind, base, one, two)
    except Exception as error:
        rows["union"] = (float("nan"), [f"{type(error).__name__}: {error}"])
    # Written in another dtype, the folder says so.
    out, _ = build(folder, steps_of(kind)["blend"], dtype="bf16")
    config = json.loads((out / "config.json").read_text())
    if config.get("dtype", config.get("torch_dtype")) != "bfloat16":
        rows["blend"][1].append("dtype in config.json after dtype: bf16")
    return rows


def mergekit_mixture(folder, layout, shared, routers, shared_routers):
    from mergekit.moe import ALL_OUTPUT_ARCHITECTURES
    from mergekit.moe.config import MoEMergeConfig
    from mergekit.options import MergeOptions

    names = {"mixtral": "Mixtral", "qwen2": "Qwen MoE", "qwen3": "Qwen3 MoE", "deepseek": "DeepSeek MoE"}
    arch = next(a for a in ALL_OUTPUT_ARCHITECTURES if a.name() == names[layout])
    experts = [{"source_model": str(folder / name), "positive_prompts": ["p"]} for name in ["base", "one", "two", "three"]]
    experts[3]["residual_scale"] = 0.5
    config = MoEMergeConfig.model_validate(
        {
            "base_model": str(folder / "base"),
            "experts": experts,
            "experts_per_token": 2,
            "gate_mode": "cheap_embed",
            **({"shared_experts": [{"source_model": str(folder / "one"), **({"positive_prompts": ["p"]} if layout == "qwen2" else {})}]} if shared else {}),
        }
    )
    assert arch.supports_config(config, explain=True)
    out = folder / "theirs"
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir()
    arch.write_model(str(out), config, MergeOptions(quiet=True), routers, shared_routers)
    return out


def mergekit_gates(folder, vocab, layers):
    """Routers of the prompts, by mergekit’s own function: [layers, experts, hidden]."""
    from mergekit.moe.router import get_cheap_embedding

    embed = tensors_of(folder / "base")["model.embed_tokens.weight"]

    def direction(prompts):
        width = max(len(p) for p in prompts)
        ids = torch.tensor([[1] * (width - len(p)) + p for p in prompts])
        mask = torch.tensor([[0] * (width - len(p)) + [1] * len(p) for p in prompts])
        return get_cheap_embedding(embed, {"input_ids": ids, "attention_mask": mask}, layers, vocab)

    def gate(positive, negative):
        made = direction(positive)
        if negative:
            made = made - direction(negative)
        return made / made.norm(p=2, dim=-1, keepdim=True).clamp(min=1e-8)

    experts = torch.stack([gate(*prompts) for prompts in PROMPTS], dim=0).permute(1, 0, 2)
    shared = gate(SHARED_PROMPTS, None).unsqueeze(1)
    return [experts[i] for i in range(layers)], [shared[i] for i in range(layers)]


def split_experts(tensors):
    """Experts that mergekit 0.1.5 has put into one tensor, by themselves, under the names of Qwen3-MoE."""
    made = {}
    for name, t in tensors.items():
        stem = name.rsplit(".", 1)[0]
        if name.endswith(".experts.gate_up_proj"):
            for i, both in enumerate(t):
                gate, up = both.chunk(2, dim=0)
                made[f"{stem}.{i}.gate_proj.weight"], made[f"{stem}.{i}.up_proj.weight"] = gate, up
        elif name.endswith(".experts.down_proj"):
            for i, down in enumerate(t):
                made[f"{stem}.{i}.down_proj.weight"] = down
        else:
            made[name] = t
    return made


def plain_names(tensors):
    words = [("block_sparse_moe", "mlp"), ("w1.weight", "gate_proj.weight"), ("w2.weight", "down_proj.weight"), ("w3.weight", "up_proj.weight")]
    made = {}
    for name, t in tensors.items():
        for old, new in words:
            name = name.replace(old, new)
        made[name] = t
    return made


def check_mixture(root, title):
    dense, layout, shared = MIXTURES[title]
    kind, settings = ARCHITECTURES[dense]
    # mergekit switches sliding windows off, but leaves the list of layers that have them.
    settings = {**settings, "use_sliding_window": False} if kind == "qwen2" else settings
    folder = root / title.replace(" ", "-")
    make_models(folder, kind, settings, torch.float32)
    experts = [
        {"model": name, "positive": p, **({"negative": n} if n else {}), **({"residual_scale": 0.5} if name == "three" else {})}
        for name, (p, n) in zip(["base", "one", "two", "three"], PROMPTS)
    ]
    step = {"op": "model.moe", "base": "base", "experts": experts, "layout": layout, "gates": "cheap_embed"}
    if shared:
        step |= {"shared": "one"} | ({"shared_positive": SHARED_PROMPTS} if layout == "qwen2" else {})
    problems = []
    try:
        out, told = build(folder, {"m": step})
        routers, shared_routers = mergekit_gates(folder, settings["vocab_size"], settings["num_hidden_layers"])
        theirs = mergekit_mixture(folder, layout, shared, routers, shared_routers)
        ours, other = plain_names(tensors_of(out)), plain_names(split_experts(tensors_of(theirs)))
        config, wanted = (json.loads((f / "config.json").read_text()) for f in [out, theirs])
        differ = sorted(set(ours) ^ set(other))
        # Of tied models mergekit writes the embeddings a second time, as the head.
        if differ and not (differ == ["lm_head.weight"] and config.get("tie_word_embeddings")):
            problems.append(f"tensors: {differ[:4]}")
        furthest = max((ours[n].float() - other[n].float()).abs().max().item() for n in set(ours) & set(other))
        if told.strip():
            problems.append(f"told: {told.strip()}")
        ignored = {"transformers_version", "dtype", "torch_dtype", "use_cache", "_name_or_path", "return_dict"}
        for key in sorted(set(wanted) - ignored):
            if wanted[key] != config.get(key, wanted[key]):
                problems.append(f"{key}: {config.get(key)} and not {wanted[key]}")
        if layout == "deepseek":
            # The network is code on a hub, so that it cannot be run here.
            # transformers writes settings that every model has, and that have their usual values here.
            usual = json.loads(PreTrainedConfig().to_json_string(use_diff=False))
            missing = [key for key in set(wanted) - ignored if key not in config and wanted[key] != usual.get(key)]
            if missing:
                problems.append(f"config lacks {missing}")
            return {"tensors": furthest, "logits": None, "problems": problems}
        model, wrong = load(kind, out)
        # The same weights in the folder that mergekit made.
        for name in list(theirs.glob("*.safetensors*")):
            if name.suffix == ".json":
                name.unlink()
        reference, other_wrong = load(kind, theirs)
        problems += [f"{key}: {names}" for key, names in wrong.items()]
        if other_wrong:
            problems.append(f"mergekit's folder: {other_wrong}")
        if not generates(kind, model):
            problems.append("does not generate")
        difference = (logits_of(model) - logits_of(reference)).abs().max().item()
        # Two mixtures are merged expert by expert, as any models are.
        merge = {
            "m": step,
            "n": {**step, "experts": [{**e, "model": o} for e, o in zip(experts, ["two", "three", "base", "one"])]},
            "b": {"op": "merge.blend", "a": "m", "b": "n", "keep": {"default": 0.5, "**.experts.1": 1, "**.experts.2": 0}},
            "t": {"op": "merge.ties", "base": "m", "models": [{"model": o, "density": 0.4} for o in "nb"]},
            "d": {"op": "merge.dare", "a": "t", "b": "n", "drop": 0.5},
        }
        merged, _ = build(folder, merge)
        model, wrong = load(kind, merged)
        problems += [f"merged, {key}: {names}" for key, names in wrong.items()]
        if not generates(kind, model) or not torch.isfinite(logits_of(model)).all():
            problems.append("the merge of two does not generate")
        return {"tensors": furthest, "logits": difference, "problems": problems}
    except Exception as error:
        problems.append(f"{type(error).__name__}: {error}")
        return {"tensors": float("nan"), "logits": float("nan"), "problems": problems}


def number(x):
    return "–" if x is None else "0" if x == 0 else f"{x:.1e}"


def main():
    only = sys.argv[1:]
    lines = ["| architecture | blend | TIES | stack | union | loads, generates |", "|---|---|---|---|---|---|"]
    notes = []
    with tempfile.TemporaryDirectory(prefix="smelt-transformers-") as temporary:
        root = Path(temporary)
        for title in ARCHITECTURES:
            if only and title not in only:
                continue
            rows = check_architecture(root, title)
            problems = [f"{title}, {merge}: {p}" for merge, (_, all) in rows.items() for p in all]
            notes += problems
            cells = [number(rows[merge][0]) for merge in ["blend", "TIES", "stack", "union"]]
            lines.append(f"| {title} | {' | '.join(cells)} | {'no' if problems else 'yes'} |")
            print(lines[-1], *problems, sep="\n    ", flush=True)
        lines += ["", "| mixture | tensors | logits | loads, generates, merges |", "|---|---|---|---|"]
        for title in MIXTURES:
            if only and title not in only:
                continue
            found = check_mixture(root, title)
            notes += [f"{title}: {p}" for p in found["problems"]]
            loads = "no" if found["problems"] else "yes" if found["logits"] is not None else "not tried"
            lines.append(f"| {title} | {number(found['tensors'])} | {number(found['logits'])} | {loads} |")
            print(lines[-1], *found["problems"], sep="\n    ", flush=True)
    if not only:
        readme = HERE / "README.md"
        text = readme.read_text()
        begin, end = "<!-- figures: begin -->", "<!-- figures: end -->"
        head = f"Taken on {date.today()} with transformers {transformers.__version__} and PyTorch {torch.__version__.split('+')[0]}."
        body = "\n".join([head, "", *lines, *([""] + [f"- {n}" for n in notes] if notes else [])])
        readme.write_text(f"{text.split(begin)[0]}{begin}\n\n{body}\n\n{end}{text.split(end)[1]}")
    sys.exit(1 if notes else 0)


if __name__ == "__main__":
    main()
