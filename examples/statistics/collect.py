"""Collects what merge.fisher and merge.regmean of smelt need to know about a Hugging Face model.

    python collect.py MODEL EXAMPLES FOLDER

MODEL     a folder with config.json, a tokenizer and safetensors files, of a sequence classifier or a causal language model
EXAMPLES  a file of JSON lines, one example each: {"text": "…"}, for --labels given of a classifier {"text": "…", "label": 1}
FOLDER    gets fisher.safetensors and gram.safetensors

fisher.safetensors holds, under the name and in the shape of each floating-point tensor of the model, the diagonal of its
Fisher information: the mean, over examples, of the squared gradient of the log-likelihood of one example's labels.

gram.safetensors holds, under the name of each linear layer, XᵀX [inputs, inputs], summed over all examples and tokens.
"""

import argparse
import json
from pathlib import Path

import torch
import transformers
from safetensors import safe_open
from safetensors.torch import save_file


CLASSIFIER = "ForSequenceClassification"
LANGUAGE_MODEL = ("ForCausalLM", "LMHeadModel")


def parse_arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", type=Path)
    parser.add_argument("examples", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument(
        "--labels",
        choices=["sampled", "given"],
        default="sampled",
        help="sampled: drawn from what the model predicts, which gives the Fisher information; "
        "given: those of the examples, which gives the empirical Fisher information",
    )
    parser.add_argument("--max-length", type=int, default=512, help="tokens of an example")
    parser.add_argument("--seed", type=int, default=0, help="of the sampled labels")
    parser.add_argument("--device", default="cpu")
    return parser.parse_args()


def load_model(folder):
    """The model as the class that saved it, so that its parameters have the names of the tensors in the file."""
    (architecture,) = transformers.AutoConfig.from_pretrained(folder).architectures
    if not architecture.endswith((CLASSIFIER, *LANGUAGE_MODEL)):
        raise SystemExit(f"{architecture} is neither a sequence classifier nor a causal language model")
    model = getattr(transformers, architecture).from_pretrained(folder).float().eval()
    if architecture.endswith(CLASSIFIER) and model.config.num_labels < 2:
        raise SystemExit("a model with one output is a regression, and has no likelihood of labels")
    return model


def checkpoint_shapes(folder):
    """The shapes of the floating-point tensors in the model's files, by name."""
    shapes = {}
    for path in sorted(folder.glob("*.safetensors")):
        with safe_open(path, "pt") as file:
            for name in file.keys():
                tensor = file.get_slice(name)
                if tensor.get_dtype() in ("F64", "F32", "F16", "BF16"):
                    shapes[name] = tuple(tensor.get_shape())
    if not shapes:
        raise SystemExit(f"{folder} has no safetensors files")
    return shapes


def log_likelihood(model, inputs, example, generator):
    """The log-likelihood of one example's labels, sampled where there is a generator."""
    logits = model(**inputs).logits
    if model.config.architectures[0].endswith(LANGUAGE_MODEL):
        # Each token but the first is the label of those before it.
        logits = logits[0, :-1]
    log_probabilities = logits.log_softmax(-1)
    if generator is not None:
        labels = torch.multinomial(log_probabilities.detach().exp().cpu(), 1, generator=generator)
    elif model.config.architectures[0].endswith(LANGUAGE_MODEL):
        labels = inputs["input_ids"][0, 1:, None]
    else:
        labels = torch.tensor([[example["label"]]])
    return log_probabilities.gather(-1, labels.to(logits.device)).sum()


def main():
    options = parse_arguments()
    model = load_model(options.model).to(options.device)
    tokenizer = transformers.AutoTokenizer.from_pretrained(options.model)
    shapes = checkpoint_shapes(options.model)
    unknown = sorted(shapes.keys() - model.state_dict().keys())
    if unknown:
        raise SystemExit(f"the model has other names for these tensors of its file: {', '.join(unknown)}")

    # One for each tensor of the file: a tied parameter has several names, and the file one of them.
    parameters = dict(model.named_parameters(remove_duplicate=False))
    fisher = {name: torch.zeros(shape, device=options.device) for name, shape in shapes.items()}
    grams = {}

    def add_gram(name):
        def hook(_module, inputs):
            x = inputs[0].detach().flatten(0, -2)
            grams[name] = grams.get(name, 0) + x.T @ x

        return hook

    for name, module in model.named_modules():
        if isinstance(module, torch.nn.Linear) and f"{name}.weight" in shapes:
            module.register_forward_pre_hook(add_gram(name))

    generator = None
    if options.labels == "sampled":
        generator = torch.Generator().manual_seed(options.seed)
    examples = [json.loads(line) for line in options.examples.read_text().splitlines() if line.strip()]
    for example in examples:
        # One example at a time: the square of a sum of gradients is not the sum of their squares, and nothing is padded.
        inputs = tokenizer(
            example["text"], return_tensors="pt", truncation=True, max_length=options.max_length
        ).to(options.device)
        model.zero_grad()
        log_likelihood(model, inputs, example, generator).backward()
        for name, total in fisher.items():
            # Buffers, and parameters that had no part in the likelihood, keep their 0.
            if name in parameters and parameters[name].grad is not None:
                total += parameters[name].grad ** 2

    metadata = {"examples": str(len(examples)), "labels": options.labels}
    options.folder.mkdir(parents=True, exist_ok=True)
    for file, tensors in {
        "fisher": {name: total / len(examples) for name, total in fisher.items()},
        "gram": grams,
    }.items():
        path = options.folder / f"{file}.safetensors"
        save_file({name: tensor.cpu().contiguous() for name, tensor in tensors.items()}, path, metadata)
        print(f"{path}: {len(tensors)} tensors, {len(examples)} examples")


if __name__ == "__main__":
    main()
