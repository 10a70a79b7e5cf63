"""Writes the files of this folder with PyTorch: archives, and in expected.json what PyTorch reads back from them."""

import argparse
import json
import pathlib
import warnings
from collections import OrderedDict

import torch

warnings.filterwarnings("ignore")
HERE = pathlib.Path(__file__).parent
DTYPES = "bool uint8 int8 int16 uint16 float16 bfloat16 int32 uint32 float32 complex64 float64 int64 uint64".split()
FLOAT8 = "float8_e5m2 float8_e4m3fn float8_e5m2fnuz float8_e4m3fnuz float8_e8m0fnu".split()
expected = {}


def bytes_of(tensor):
    flat = tensor.detach().contiguous().flatten()
    return bytes(flat.view(torch.uint8).tolist() if flat.numel() else []).hex()


def save(name, value, tensors, **options):
    torch.save(value, HERE / name, **options)
    loaded = torch.load(HERE / name, weights_only=False)
    assert type(loaded) is type(value)
    expected[name] = {
        key: {"dtype": str(t.dtype).removeprefix("torch."), "shape": list(t.shape), "bytes": bytes_of(t)}
        for key, t in tensors.items()
    }


torch.manual_seed(7)
dtypes = OrderedDict((d, torch.arange(6).remainder(2).to(getattr(torch, d)).reshape(2, 3)) for d in DTYPES)
dtypes |= {d: torch.arange(1, 7).float().to(getattr(torch, d)) for d in FLOAT8}
save("dtypes.pt", dtypes, dtypes)

base = torch.randn(6, 4)
layer = torch.nn.Linear(4, 6)
model = torch.nn.Sequential(OrderedDict(embed=layer, head=torch.nn.Linear(4, 6)))
model.head.weight = layer.weight
views = OrderedDict(model.state_dict())
views._metadata = OrderedDict({"": {"version": 1}, "embed": {"version": 1}})
views |= {
    "rows": base[2:5],
    "columns": base[:, 1:3],
    "transposed": base.t(),
    "permuted": torch.arange(24, dtype=torch.int16).reshape(2, 3, 4).permute(2, 0, 1),
    "expanded": torch.tensor([[1.5], [2.5]]).expand(2, 3),
    "channels_last": torch.randn(2, 3, 2, 2).to(memory_format=torch.channels_last),
    "scalar": torch.tensor(3.25, dtype=torch.float64),
    "element": base[3, 2],
    "one_wide": torch.arange(5).expand(1, -1),
    "empty": torch.empty(0, 7),
    "every_second": torch.arange(10, dtype=torch.uint8)[1::2],
    "parameter": torch.nn.Parameter(torch.ones(2), requires_grad=False),
}
save("views.bin", views, views)

weights = {"first.weight": torch.randn(3, 2).half(), "first.bias": torch.zeros(3).half(), "second.é": torch.ones(1)}
optimizer = torch.optim.Adam([torch.nn.Parameter(torch.ones(3))])
optimizer.param_groups[0]["params"][0].grad = torch.ones(3)
optimizer.step()
checkpoint = {
    "epoch": 3,
    "global_step": 123_456_789_012,
    "pytorch-lightning_version": "1.4.2",
    "state_dict": weights,
    "optimizer_states": [optimizer.state_dict()],
    "hparams": argparse.Namespace,
    "best": None,
    "loss": 0.125,
    "schedule": (1, [2.5, True], {4}, b"bytes"),
}
del checkpoint["hparams"]
save("checkpoint.ckpt", checkpoint, weights)
save("protocol-4.pth", {"model": weights}, weights, pickle_protocol=4)
save("protocol-5.pth", weights, weights, pickle_protocol=5)
torch.serialization.set_crc32_options(False)
save("no-checksums.pt", weights, weights)
torch.serialization.set_crc32_options(True)
save("legacy.pt", weights, {}, _use_new_zipfile_serialization=False)
save("module.pt", layer, {})
torch.jit.script(layer).save(HERE / "torchscript.pt")
save("conjugate.pt", {"z": torch.tensor([1 + 2j]).conj()}, {})
save("sparse.pt", {"s": torch.eye(3).to_sparse()}, {})
save("quantised.pt", {"q": torch.quantize_per_tensor(torch.ones(2), 0.5, 0, torch.qint8)}, {})
(HERE / "expected.json").write_text(json.dumps(expected, indent=1, ensure_ascii=False) + "\n")
