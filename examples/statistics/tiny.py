"""Makes two tiny text classifiers and their examples, to try collect.py and recipe.yaml without a download.

Both are trained on from the same random weights: `one` tells texts about fruit from others, `two` texts about tools.
"""

import json
import random
from pathlib import Path

import tokenizers
import torch
import transformers

WORDS = {
    "one": ["apple", "pear", "plum", "cherry"],
    "two": ["hammer", "saw", "drill", "plane"],
    "other": "the a of in on by with for from and to at as is was has".split(),
}
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
STEPS, BATCH, EXAMPLES = 60, 32, 100


def make_tokenizer():
    words = SPECIAL + [word for group in WORDS.values() for word in group]
    tokenizer = tokenizers.Tokenizer(
        tokenizers.models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="[UNK]")
    )
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.WhitespaceSplit()
    tokenizer.post_processor = tokenizers.processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]"
    )


def make_example(task, rng):
    label = rng.randrange(2)
    words = rng.choices(WORDS["other"], k=6)
    if label == 1:
        words[rng.randrange(6)] = rng.choice(WORDS[task])
    return {"text": " ".join(words), "label": label}


def main():
    rng = random.Random(0)
    tokenizer = make_tokenizer()
    config = transformers.BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=16,
        num_labels=2,
    )
    for task in ("one", "two"):
        torch.manual_seed(0)
        model = transformers.BertForSequenceClassification(config)
        optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
        for _ in range(STEPS):
            batch = [make_example(task, rng) for _ in range(BATCH)]
            inputs = tokenizer([example["text"] for example in batch], padding=True, return_tensors="pt")
            labels = torch.tensor([example["label"] for example in batch])
            optimizer.zero_grad()
            model(**inputs, labels=labels).loss.backward()
            optimizer.step()
        folder = Path("models") / task
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        lines = [json.dumps(make_example(task, rng)) for _ in range(EXAMPLES)]
        (folder / "examples.jsonl").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
