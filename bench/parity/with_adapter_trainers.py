"""Makes adapters of every kind with LyCORIS and PEFT, for small layers, and says what these make of the layers.

Usage: with_adapter_trainers.py FOLDER. Writes FOLDER/DTYPE/CASE/{base,expected}.safetensors and the adapter beside them:
adapter.safetensors, or what PEFT saves. Layers are float32 numbers that the dtype holds; expected is float32, unrounded.
LyCORIS' result is read off its forward pass, since its own merge applies the scale of LoHa and LoKr twice.
"""
import json
import os
import sys

import torch
import torch.nn.functional as F
from peft import BOFTConfig, IA3Config, LoHaConfig, LoKrConfig, LoraConfig, OFTConfig, get_peft_model
from peft.tuners.boft import layer as boft
from lycoris.modules.boft import ButterflyOFTModule
from lycoris.modules.diag_oft import DiagOFTModule
from lycoris.modules.full import FullModule
from lycoris.modules.glora import GLoRAModule
from lycoris.modules.ia3 import IA3Module
from lycoris.modules.locon import LoConModule
from lycoris.modules.loha import LohaModule
from lycoris.modules.lokr import LokrModule
from safetensors.torch import save_file
from torch import nn
from transformers.pytorch_utils import Conv1D

OUT = sys.argv[1]
DTYPES = {'f32': torch.float32, 'f16': torch.float16, 'bf16': torch.bfloat16}
OUTPUTS, INPUTS, WORDS, HIDDEN = 64, 48, 40, 32


class Experts(nn.Module):
    """Fused experts, whose matrices are [outputs, inputs], or the other way round as those of gpt-oss are."""

    def __init__(self, is_transposed):
        super().__init__()
        self.is_transposed = is_transposed
        sides = [(2 * HIDDEN, INPUTS), (INPUTS, HIDDEN)]
        up, down = [(4, *(reversed(side) if is_transposed else side)) for side in sides]
        self.gate_up_proj = nn.Parameter(torch.empty(up))
        self.down_proj = nn.Parameter(torch.empty(down))


class Net(nn.Module):
    """Layers of every sort that adapters are trained on."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(INPUTS, OUTPUTS)
        self.conv = nn.Conv2d(INPUTS, OUTPUTS, 3)
        self.point = nn.Conv2d(INPUTS, OUTPUTS, 1)
        self.turned = Conv1D(OUTPUTS, INPUTS)
        self.embed = nn.Embedding(WORDS, INPUTS)
        self.experts = Experts(False)
        self.turned_experts = Experts(True)

    def forward(self, words):
        return self.turned(self.embed(words)) + self.fc(self.embed(words))


def base_of(dtype):
    torch.manual_seed(1)
    net = Net()
    for parameter in net.parameters():
        parameter.data = (0.1 * torch.randn(parameter.shape)).to(dtype).float()
    return net


def randomise(parameters):
    for _, parameter in parameters:
        parameter.data = 0.2 * torch.randn(parameter.shape) + (1 if parameter.dim() < 2 else 0)


def state_of(net):
    return {name: value.detach().clone().contiguous() for name, value in net.state_dict().items()}


def effective(module, layer):
    """The weight that a layer has under a module, from what it makes of unit inputs."""
    with torch.no_grad():
        if isinstance(layer, nn.Linear):
            return (module.forward(torch.eye(INPUTS)) - layer.bias).T
        size = layer.kernel_size[0]
        units = torch.zeros(INPUTS, INPUTS, 2 * size - 1, 2 * size - 1)
        units[range(INPUTS), range(INPUTS), size - 1, size - 1] = 1
        return (module.forward(units) - layer.bias.view(1, -1, 1, 1)).transpose(0, 1).flip(2, 3)


def with_lycoris(cls, layer_name, **settings):
    def make(dtype, folder):
        net = base_of(dtype)
        save_file(state_of(net), f'{folder}/base.safetensors')
        layer = getattr(net, layer_name)
        dim, alpha = settings.pop('dim', 4), settings.pop('alpha', 2)
        module = cls('net', layer, 1.0, dim, alpha, **settings)
        settings.update(dim=dim, alpha=alpha)
        torch.manual_seed(2)
        randomise((n, p) for n, p in module.named_parameters() if n != 'scalar')
        if hasattr(module, 'dora_scale'):
            module.dora_scale.data = module.dora_scale.data.abs() + 1
        module.eval()
        state = module.custom_state_dict() if hasattr(module, 'custom_state_dict') else None
        state = state or {n: v for n, v in module.state_dict().items() if not n.startswith('org')}
        names = {'weight': 'diff', 'bias': 'diff_b'} if cls is FullModule else {}
        save_file(
            {f'lycoris_{layer_name}.{names.get(n, n)}': v.detach().clone().contiguous() for n, v in state.items()},
            f'{folder}/adapter.safetensors',
        )
        expected = state_of(net)
        expected[f'{layer_name}.weight'] = effective(module, layer).contiguous()
        save_file(expected, f'{folder}/expected.safetensors')

    return make


class Diagonal:
    """What PEFT's kernel for CUDA does for BOFT of several levels: blocks along the diagonals of matrices."""

    @staticmethod
    def apply(blocks):
        return torch.stack([torch.block_diag(*torch.unbind(level)) for level in blocks])


boft.get_fbd_cuda = lambda: True
boft.FastBlockDiag = Diagonal


def with_peft(config):
    def make(dtype, folder):
        net = base_of(dtype)
        save_file(state_of(net), f'{folder}/base.safetensors')
        model = get_peft_model(net, config())
        torch.manual_seed(2)
        kinds = ('lora_', 'hada_', 'lokr_', 'ia3_', 'oft_')
        randomise((n, p) for n, p in model.named_parameters() if any(x in n for x in kinds))
        for name, parameter in model.named_parameters():
            if 'magnitude' in name:
                parameter.data = parameter.data.abs() + 1
        model.save_pretrained(f'{folder}/adapter')
        merged = model.merge_and_unload()
        save_file(state_of(merged), f'{folder}/expected.safetensors')

    return make


CASES = {
    'LyCORIS: LoCon, linear': with_lycoris(LoConModule, 'fc'),
    'LyCORIS: LoCon, 3 × 3': with_lycoris(LoConModule, 'conv'),
    'LyCORIS: LoCon with a core': with_lycoris(LoConModule, 'conv', use_tucker=True),
    'LyCORIS: LoCon, rank-stabilised': with_lycoris(LoConModule, 'fc', rs_lora=True),
    'LyCORIS: LoCon, DoRA by output': with_lycoris(LoConModule, 'fc', weight_decompose=True, wd_on_out=True),
    'LyCORIS: LoCon, DoRA by input': with_lycoris(LoConModule, 'conv', weight_decompose=True, wd_on_out=False),
    'LyCORIS: LoHa, linear': with_lycoris(LohaModule, 'fc'),
    'LyCORIS: LoHa, 3 × 3': with_lycoris(LohaModule, 'conv'),
    'LyCORIS: LoHa with a core': with_lycoris(LohaModule, 'conv', use_tucker=True),
    'LyCORIS: LoHa, DoRA by output': with_lycoris(LohaModule, 'fc', weight_decompose=True, wd_on_out=True),
    'LyCORIS: LoKr, right by factors': with_lycoris(LokrModule, 'fc', dim=2, factor=4),
    'LyCORIS: LoKr, both by factors': with_lycoris(LokrModule, 'fc', dim=1, decompose_both=True, factor=8),
    'LyCORIS: LoKr, both whole': with_lycoris(LokrModule, 'fc', dim=10000, factor=8),
    'LyCORIS: LoKr, 3 × 3': with_lycoris(LokrModule, 'conv', dim=2, factor=4),
    'LyCORIS: LoKr, 3 × 3, whole': with_lycoris(LokrModule, 'conv', dim=10000, factor=8),
    'LyCORIS: LoKr with a core': with_lycoris(LokrModule, 'conv', dim=2, factor=4, use_tucker=True),
    'LyCORIS: LoKr, DoRA by output': with_lycoris(LokrModule, 'fc', dim=2, weight_decompose=True, wd_on_out=True),
    'LyCORIS: (IA)³ by output': with_lycoris(IA3Module, 'fc'),
    'LyCORIS: (IA)³ by input': with_lycoris(IA3Module, 'fc', train_on_input=True),
    'LyCORIS: (IA)³ by output, 3 × 3': with_lycoris(IA3Module, 'conv'),
    'LyCORIS: (IA)³ by input, 3 × 3': with_lycoris(IA3Module, 'conv', train_on_input=True),
    'LyCORIS: GLoRA, linear': with_lycoris(GLoRAModule, 'fc'),
    'LyCORIS: GLoRA, 1 × 1': with_lycoris(GLoRAModule, 'point'),
    'LyCORIS: GLoRA, 3 × 3': with_lycoris(GLoRAModule, 'conv'),
    'LyCORIS: OFT, linear': with_lycoris(DiagOFTModule, 'fc', dim=8),
    'LyCORIS: OFT, 3 × 3': with_lycoris(DiagOFTModule, 'conv', dim=8),
    'LyCORIS: OFT with a constraint': with_lycoris(DiagOFTModule, 'fc', dim=8, constraint=0.01),
    'LyCORIS: OFT with factors of rows': with_lycoris(DiagOFTModule, 'fc', dim=8, rescaled=True),
    'LyCORIS: BOFT, linear': with_lycoris(ButterflyOFTModule, 'fc', dim=4),
    'LyCORIS: BOFT, 3 × 3, all': with_lycoris(ButterflyOFTModule, 'conv', dim=4, constraint=0.01, rescaled=True),
    'PEFT: LoRA, linear': with_peft(lambda: LoraConfig(r=4, lora_alpha=3, target_modules=['fc'])),
    'PEFT: LoRA, rank-stabilised': with_peft(
        lambda: LoraConfig(r=4, lora_alpha=3, target_modules=['fc'], use_rslora=True)
    ),
    'PEFT: LoRA with a bias': with_peft(lambda: LoraConfig(r=4, lora_alpha=3, target_modules=['fc'], lora_bias=True)),
    'PEFT: LoRA, convolutions': with_peft(lambda: LoraConfig(r=4, lora_alpha=3, target_modules=['conv', 'point'])),
    'PEFT: LoRA, patterns': with_peft(
        lambda: LoraConfig(
            r=4, lora_alpha=3, target_modules=['fc', 'conv'], rank_pattern={'fc': 2}, alpha_pattern={'conv': 8}
        )
    ),
    'PEFT: LoRA, embedding': with_peft(lambda: LoraConfig(r=4, lora_alpha=3, target_modules=['embed'])),
    'PEFT: LoRA, transposed layer': with_peft(
        lambda: LoraConfig(r=4, lora_alpha=3, target_modules=['turned'], fan_in_fan_out=True)
    ),
    'PEFT: LoRA and a module saved': with_peft(
        lambda: LoraConfig(r=4, lora_alpha=3, target_modules=['fc'], modules_to_save=['point'])
    ),
    'PEFT: DoRA, linear': with_peft(lambda: LoraConfig(r=4, lora_alpha=3, target_modules=['fc'], use_dora=True)),
    'PEFT: DoRA, convolutions': with_peft(
        lambda: LoraConfig(r=4, lora_alpha=3, target_modules=['conv', 'point'], use_dora=True)
    ),
    'PEFT: DoRA, embedding': with_peft(lambda: LoraConfig(r=4, lora_alpha=3, target_modules=['embed'], use_dora=True)),
    'PEFT: LoRA, parameters of experts': with_peft(
        lambda: LoraConfig(
            r=4,
            lora_alpha=3,
            target_modules=['fc'],
            target_parameters=['experts.gate_up_proj', 'experts.down_proj'],
            rank_pattern={'experts.down_proj': 2},
        )
    ),
    'PEFT: LoRA, parameters of transposed experts': with_peft(
        lambda: LoraConfig(
            r=4, lora_alpha=3, target_parameters=['turned_experts.gate_up_proj', 'turned_experts.down_proj']
        )
    ),
    'PEFT: LoHa': with_peft(lambda: LoHaConfig(r=4, alpha=3, target_modules=['fc', 'conv'])),
    'PEFT: LoHa with a core': with_peft(
        lambda: LoHaConfig(r=4, alpha=3, target_modules=['conv'], use_effective_conv2d=True)
    ),
    'PEFT: LoKr': with_peft(lambda: LoKrConfig(r=2, alpha=3, target_modules=['fc', 'conv'], decompose_factor=4)),
    'PEFT: LoKr, both whole': with_peft(lambda: LoKrConfig(r=64, alpha=32, target_modules=['fc'])),
    'PEFT: LoKr, both by factors': with_peft(
        lambda: LoKrConfig(r=1, alpha=3, target_modules=['fc'], decompose_both=True, decompose_factor=8)
    ),
    'PEFT: LoKr with a core': with_peft(
        lambda: LoKrConfig(r=2, alpha=3, target_modules=['conv'], use_effective_conv2d=True, decompose_factor=4)
    ),
    'PEFT: (IA)³': with_peft(
        lambda: IA3Config(target_modules=['fc', 'conv', 'point'], feedforward_modules=['point'])
    ),
    'PEFT: OFT, its series': with_peft(lambda: OFTConfig(oft_block_size=8, target_modules=['fc', 'point'])),
    'PEFT: OFT, exact': with_peft(
        lambda: OFTConfig(oft_block_size=8, target_modules=['fc', 'point'], use_cayley_neumann=False)
    ),
    'PEFT: OFT, constrained, one block': with_peft(
        lambda: OFTConfig(oft_block_size=8, target_modules=['fc'], coft=True, eps=0.3, block_share=True)
    ),
    'PEFT: OFT, 3 × 3': with_peft(
        lambda: OFTConfig(oft_block_size=8, target_modules=['conv'], use_cayley_neumann=False)
    ),
    'PEFT: OFT, 3 × 3, its series, one block': with_peft(
        lambda: OFTConfig(oft_block_size=6, target_modules=['conv'], block_share=True)
    ),
    'PEFT: OFT, embedding': with_peft(
        lambda: OFTConfig(oft_block_size=8, target_modules=['embed'], use_cayley_neumann=False)
    ),
    'PEFT: BOFT': with_peft(lambda: BOFTConfig(boft_block_size=4, target_modules=['fc', 'conv'])),
    'PEFT: BOFT of three levels': with_peft(
        lambda: BOFTConfig(boft_block_size=4, boft_n_butterfly_factor=3, target_modules=['fc', 'conv', 'point'])
    ),
}

for dtype_name, dtype in DTYPES.items():
    for index, make in enumerate(CASES.values()):
        folder = f'{OUT}/{dtype_name}/{index}'
        os.makedirs(folder)
        make(dtype, folder)
with open(f'{OUT}/cases.json', 'w') as file:
    json.dump(list(CASES), file)
