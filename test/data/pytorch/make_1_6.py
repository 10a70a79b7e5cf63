"""Writes torch-1.6.ckpt and expected-1.6.json with PyTorch 1.6, the first version that writes zip archives."""

import collections
import json
import pathlib

import numpy
import torch

HERE = pathlib.Path(__file__).parent


def bytes_of(tensor):
    values = tensor.detach().contiguous()
    if values.dtype != torch.bfloat16:
        return values.numpy().tobytes().hex()
    return values.float().numpy().reshape(-1, 1).view(numpy.uint16)[:, 1].tobytes().hex()


torch.manual_seed(1)
weights = torch.nn.Linear(3, 2).state_dict()
weights["half"] = torch.arange(4).half().reshape(2, 2)
weights["bfloat16"] = torch.arange(3).bfloat16()
weights["flag"] = torch.tensor([True, False])
weights["step"] = torch.tensor(7)
weights["parameter"] = torch.nn.Parameter(torch.ones(2))
checkpoint = {
    "epoch": 1,
    "score": numpy.float64(0.5),
    "rng": numpy.arange(3),
    "state_dict": weights,
    "schedule": {"milestones": collections.Counter([3])},
}
torch.save(checkpoint, HERE / "torch-1.6.ckpt")
expected = {
    key: {"dtype": str(t.dtype).replace("torch.", ""), "shape": list(t.shape), "bytes": bytes_of(t)}
    for key, t in weights.items()
}
(HERE / "expected-1.6.json").write_text(json.dumps({"torch-1.6.ckpt": expected}, indent=1) + "\n")
