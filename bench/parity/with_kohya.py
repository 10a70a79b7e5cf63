"""Has kohya's scripts bake, merge and resize adapters of small layers, and says what these make of the layers.

Usage: with_kohya.py SD_SCRIPTS FOLDER, where SD_SCRIPTS is a checkout of kohya-ss/sd-scripts. Writes
FOLDER/DTYPE/CASE/{base,a,b,expected}.safetensors, and what a recipe has to do in FOLDER/cases.json. Layers are float32
numbers that the dtype holds; expected is float32, unrounded. The scripts read and write files through a library of theirs
that trains models; the few names that they need of it are stood in for here.
"""
import json
import os
import sys
from types import ModuleType
from unittest.mock import MagicMock

import torch
from safetensors.torch import load_file, save_file
from torch import nn

SCRIPTS, OUT = sys.argv[1:3]
DTYPES = {'f32': torch.float32, 'f16': torch.float16, 'bf16': torch.bfloat16}
OUTPUTS, INPUTS = 64, 48


def stand_in(name, **attributes):
    module = ModuleType(name)
    module.__dict__.update(attributes)
    sys.modules[name] = module
    return module


class LoRANetwork:
    LORA_PREFIX_UNET = 'lora_unet'
    LORA_PREFIX_TEXT_ENCODER = 'lora_te'
    LORA_PREFIX_TEXT_ENCODER1 = 'lora_te1'
    LORA_PREFIX_TEXT_ENCODER2 = 'lora_te2'
    TEXT_ENCODER_TARGET_REPLACE_MODULE = ['CLIPAttention', 'CLIPMLP']
    UNET_TARGET_REPLACE_MODULE = ['Transformer2DModel']
    UNET_TARGET_REPLACE_MODULE_CONV2D_3X3 = ['ResnetBlock2D', 'Downsample2D', 'Upsample2D']


class OFTNetwork:
    OFT_PREFIX_UNET = 'oft_unet'
    UNET_TARGET_REPLACE_MODULE_ALL_LINEAR = ['Transformer2DModel']
    UNET_TARGET_REPLACE_MODULE_CONV2D_3X3 = ['ResnetBlock2D', 'Downsample2D', 'Upsample2D']


model_io = stand_in(
    'library.model_io',
    SS_METADATA_KEY_BASE_MODEL_VERSION='ss_base_model_version',
    SS_METADATA_KEY_V2='ss_v2',
    load_metadata_from_safetensors=lambda path: {},
    build_minimum_network_metadata=lambda *of: {},
)
others = {
    name: stand_in(f'library.{name}') for name in ('sai_model_spec', 'sdxl_model_util', 'model_util', 'train_util')
}
utils = stand_in('library.utils', setup_logging=lambda: None)
stand_in('library', model_io=model_io, utils=utils, **others)
stand_in('lora', LoRANetwork=LoRANetwork)
stand_in('oft', OFTNetwork=OFTNetwork)
stand_in('svd_merge_lora', format_lbws=MagicMock(), get_lbw_block_index=MagicMock(), LAYER26={})
sys.path.insert(0, os.path.join(SCRIPTS, 'networks'))
import merge_lora  # noqa: E402
import resize_lora  # noqa: E402
import sdxl_merge_lora  # noqa: E402


class Transformer2DModel(nn.Module):
    """Layers of every sort that the scripts merge, under a name that they look for."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(INPUTS, OUTPUTS)
        self.point = nn.Conv2d(INPUTS, OUTPUTS, 1)
        self.conv = nn.Conv2d(INPUTS, OUTPUTS, 3)


class Unet(nn.Module):
    def __init__(self):
        super().__init__()
        self.blocks = nn.ModuleList([Transformer2DModel()])


def base_of(dtype):
    torch.manual_seed(1)
    net = Unet()
    for parameter in net.parameters():
        parameter.data = (0.1 * torch.randn(parameter.shape)).to(dtype).float()
    return net


def lora(seed, rank, alpha):
    torch.manual_seed(seed)
    tensors = {}
    for name, kernel in (('fc', ()), ('point', (1, 1)), ('conv', (3, 3))):
        module = f'lora_unet_blocks_0_{name}'
        tensors[f'{module}.lora_up.weight'] = 0.2 * torch.randn(OUTPUTS, rank, *(1 for _ in kernel))
        tensors[f'{module}.lora_down.weight'] = 0.2 * torch.randn(rank, INPUTS, *kernel)
        if alpha is not None:
            tensors[f'{module}.alpha'] = torch.tensor(float(alpha))
    return tensors


def rotations(alpha, scale):
    torch.manual_seed(4)
    tensors = {}
    for name in ('fc', 'point', 'conv'):
        tensors[f'oft_unet_blocks_0_{name}.oft_blocks'] = scale * torch.randn(8, OUTPUTS // 8, OUTPUTS // 8)
        tensors[f'oft_unet_blocks_0_{name}.alpha'] = torch.tensor(float(alpha))
    return tensors


def state_of(net):
    return {name: value.detach().clone().contiguous() for name, value in net.state_dict().items()}


def into_model(net, folder, ratio):
    merge_lora.merge_to_sd_model(nn.Module(), net, [f'{folder}/a.safetensors'], [ratio], torch.float32)


def into_sdxl(net, folder, ratio):
    sdxl_merge_lora.merge_to_sd_model(
        nn.Module(), nn.Module(), net, [f'{folder}/a.safetensors'], [ratio], [], torch.float32
    )


def joined(net, folder, ratios):
    paths = [f'{folder}/{name}.safetensors' for name in 'ab']
    merged, _, _ = merge_lora.merge_lora_models(paths, ratios, torch.float32, concat=True)
    save_file({name: value.contiguous() for name, value in merged.items()}, f'{folder}/merged.safetensors')
    merge_lora.merge_to_sd_model(nn.Module(), net, [f'{folder}/merged.safetensors'], [1.0], torch.float32)


def resized(net, folder, rank, method, amount):
    tensors = load_file(f'{folder}/a.safetensors')
    small, _, _ = resize_lora.resize_lora_model(tensors, rank, rank, torch.float32, 'cpu', method, amount, False)
    save_file({name: value.contiguous() for name, value in small.items()}, f'{folder}/small.safetensors')
    merge_lora.merge_to_sd_model(nn.Module(), net, [f'{folder}/small.safetensors'], [1.0], torch.float32)


BAKE = {'op': 'adapter.apply', 'model': '$base', 'adapter': '$a'}


def resize(**settings):
    return {
        '$small': {'op': 'adapter.resize', 'adapter': '$a', **settings},
        '$baked': {**BAKE, 'adapter': '$small'},
    }


# What each case does there, with which adapters, and the steps that do it here.
A, LONG = {'a': lora(2, 4, 3)}, {'a': lora(2, 8, 3)}
CASES = {
    'merge_lora.py, into a model': (lambda n, f: into_model(n, f, 0.7), A, {'$baked': {**BAKE, 'strength': 0.7}}),
    'merge_lora.py, into a model, no alphas': (
        lambda n, f: into_model(n, f, -0.5),
        {'a': lora(2, 4, None)},
        {'$baked': {**BAKE, 'strength': -0.5}},
    ),
    'sdxl_merge_lora.py, into a model': (lambda n, f: into_sdxl(n, f, 0.7), A, {'$baked': {**BAKE, 'strength': 0.7}}),
    'sdxl_merge_lora.py, OFT': (lambda n, f: into_sdxl(n, f, 1.0), {'a': rotations(1, 0.2)}, {'$baked': BAKE}),
    'sdxl_merge_lora.py, OFT with a constraint': (
        lambda n, f: into_sdxl(n, f, 1.0),
        {'a': rotations(0.01, 0.2)},
        {'$baked': BAKE},
    ),
    # Ratios are multiplied into both factors there, and the rank grows while the alpha stays.
    'merge_lora.py, two adapters, `--concat`': (
        lambda n, f: joined(n, f, [0.8, 0.5]),
        {**A, 'b': lora(3, 4, 3)},
        {
            '$merged': {'op': 'adapter.merge', 'adapters': ['$a', '$b'], 'strengths': [0.8**2 / 2, 0.5**2 / 2]},
            '$baked': {**BAKE, 'adapter': '$merged'},
        },
    ),
    'resize_lora.py, a rank': (lambda n, f: resized(n, f, 3, None, None), LONG, resize(rank=3)),
    'resize_lora.py, `sv_fro`': (
        lambda n, f: resized(n, f, 8, 'sv_fro', 0.9),
        LONG,
        resize(rank=8, method='energy', amount=0.9**2),
    ),
    'resize_lora.py, `sv_cumulative`': (
        lambda n, f: resized(n, f, 8, 'sv_cumulative', 0.7),
        LONG,
        resize(rank=8, method='quantile', amount=0.7),
    ),
    'resize_lora.py, `sv_ratio`': (
        lambda n, f: resized(n, f, 8, 'sv_ratio', 1.5),
        LONG,
        resize(rank=8, method='ratio', amount=1 / 1.5),
    ),
}

for dtype_name, dtype in DTYPES.items():
    for index, (make, adapters, _) in enumerate(CASES.values()):
        folder = f'{OUT}/{dtype_name}/{index}'
        os.makedirs(folder)
        net = base_of(dtype)
        save_file(state_of(net), f'{folder}/base.safetensors')
        for name, tensors in adapters.items():
            save_file(tensors, f'{folder}/{name}.safetensors')
        with torch.no_grad():
            make(net, folder)
        save_file(state_of(net), f'{folder}/expected.safetensors')
with open(f'{OUT}/cases.json', 'w') as file:
    json.dump([{'name': name, 'adapters': sorted(own), 'steps': steps} for name, (_, own, steps) in CASES.items()], file)
