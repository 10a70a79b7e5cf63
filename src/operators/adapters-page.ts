import { CONVENTIONS, type Convention } from '../architectures/adapters/conventions.js'
import {
  ENCODER_COVERAGE,
  COVERED_KINDS,
  NETWORK_COVERAGE,
  situationOf,
  type NetworkCoverage,
  type Situation,
} from '../architectures/adapters/coverage.js'
import { prefixed } from '../architectures/adapters/spelling.js'

const INTRODUCTION = `# Adapters

[\`adapter.apply\`](operators.md#adapterapply) bakes an adapter into a model. This page says which adapters it takes, of which trainer, and onto which layers. An adapter that it does not take is refused before anything
is written, with the name of what it is.

## Kinds

| kind | tensors that tell it | trainers | scale |
|---|---|---|---|
| LoRA, LoCon | \`lora_up\` and \`lora_down\`, \`lora_A\` and \`lora_B\`, \`lora.up\`, \`_lora.up\`, \`lora_linear_layer.up\`; \`lora_mid\` | kohya's scripts, LyCORIS, diffusers, PEFT, OneTrainer, ai-toolkit, SimpleTuner, XLabs | \`alpha / rank\`; PEFT with \`use_rslora\` divides by the root of the rank |
| LoHa | \`hada_w1_a\` … \`hada_w2_b\`; \`hada_t1\`, \`hada_t2\` | LyCORIS, PEFT | \`alpha / rank\` |
| LoKr | \`lokr_w1\` or \`lokr_w1_a\` and \`lokr_w1_b\`; \`lokr_w2\` or \`lokr_w2_a\` and \`lokr_w2_b\`; \`lokr_t2\` | LyCORIS, ai-toolkit, SimpleTuner, PEFT | by the rank of the second matrix, or of the first if the second is whole; 1 if both are, but PEFT's \`alpha / r\` |
| DoRA, beside LoRA, LoHa or LoKr | \`dora_scale\`; \`lora_magnitude_vector\` | kohya's scripts, LyCORIS, OneTrainer; diffusers, PEFT | that of the factors |
| (IA)³ | \`weight\` with \`on_input\`; \`ia3_l\` | LyCORIS; PEFT | none |
| GLoRA | \`a1\`, \`a2\`, \`b1\`, \`b2\` | LyCORIS, before and after it exchanged the factors | \`alpha / rank\` |
| OFT | \`oft_blocks\` of three axes; \`rescale\` | LyCORIS, kohya's scripts | none: alpha is a constraint |
| BOFT | \`oft_blocks\` of four axes; \`rescale\` | LyCORIS | none: alpha is a constraint |
| OFT of PEFT | \`oft_R\`, \`oft_embedding_R\` | PEFT since 0.16 | none; the config says how rotations are computed |
| BOFT of PEFT | \`boft_R\` and \`boft_s\` | PEFT | none |
| differences | \`diff\`, \`diff_b\`, \`diff_m\` (modulations of Wan), \`w_norm\`, \`b_norm\` | LyCORIS, \`adapter.extract\` | none |
| whole tensors | \`set_weight\`, \`modules_to_save\`, \`base_layer\`, names of the model | PEFT, ComfyUI | none |
| LoRA of embeddings | \`lora_embedding_A\`, \`lora_embedding_B\` | PEFT | \`alpha / rank\` |
| LoRA of parameters | \`lora_A\`, \`lora_B\` and \`target_parameters\` in the config | PEFT | \`alpha / rank\` |

Refused by name: VeRA, FourierFT, early OFTs (\`oft_diag\`, and \`oft_r\` of PEFT before 0.16), GLoRA with a core (\`bm\`), LyCORIS files with a \`scalar\`, LoRAs and OFTs in numbered parts (\`lora_up.0\`, \`oft_blocks.0\`), trained tokens, and PEFT configs that
begin from factors of the base model (PiSSA, OLoRA). Embeddings of trigger words (\`bundle_emb\`) are left out with a warning.

OFT of PEFT for convolutions larger than 1 × 1 is applied with a warning: in training PEFT rotates overlapping patches of the inputs, which no weight can express, and the result is what its \`merge_and_unload\` makes.

An adapter that changes nothing is told: before anything is written if all its changes are zero, as before the first step of training, or if its strength is 0 for all of them; after the build if every tensor came out as it was, such as by a change below half a unit of the dtype.
So is an \`alpha\` that only some modules have: the others have a scale of 1, as that of an alpha that equals the rank.

A LoRA of parameters, such as the fused experts of a mixture (\`mlp.experts.gate_up_proj\`), does not say in its file which of its factors are for which parameter, nor in which order the axes of an expert are. The shapes tell, and for a square parameter those of its neighbours do.
Where they do not, the adapter is refused. A model may have the experts in another form than the adapter: factors of stacked experts are taken apart for experts that are layers of their own (\`mlp.experts.3.gate_proj\`, or \`w1\` to \`w3\` of Mixtral),
and LoRAs of such layers are put together for stacked experts, the gate before what it is multiplied with, as transformers stacks them.

An adapter whose config repeats layers (\`layer_replication\`) is applied to a stack of these layers, which \`model.stack\` makes; of any other model it is refused, with the slices to write. (PEFT's own \`merge_and_unload\` adds the changes of all copies of a layer to each.)

A LoRA may widen weights: with ComfyUI's \`reshape_weight\`, and the \`img_in\` of Flux with a control LoRA of Black Forest Labs (canny, depth), whose scale is 1. The weight is padded with zeros at the end of its axes first, and the result has the wider one.

[\`adapter.convert\`](operators.md#adapterconvert) gives pairs of factors the names of kohya's scripts, diffusers or PEFT; to those of kohya's scripts and LyCORIS it also takes LoHa, LoKr, DoRA, LoCon with a Tucker core and stored differences, if a module of the adapter is one of the format too: these are not cut or put together.
Two whole matrices of a LoKr that PEFT scales by something other than 1 have no such names, since LyCORIS does not scale them.
`

const SITUATIONS: readonly (readonly [situation: Situation, title: string])[] = [
  ['whole', 'one layer'],
  ['rows', 'rows of a fused layer'],
  ['several', 'several layers as one'],
  ['transposed', 'transposed layer'],
  ['swapped', 'halves exchanged'],
]

const LAYERS = `## Layers

What a cell says is tested for every form of the kind, against loops in float64 that are written from the trainers' definitions. [\`bench/parity\`](../bench/parity/README.md#lycoris-413-and-peft-0212) compares with LyCORIS and PEFT themselves.
Convolutions are layers like others; a Tucker core belongs to them alone.
`

const LAYERS_EXPLAINED = `- **Rows of a fused layer**: an adapter names q, k and v, and the model has them in one tensor, as OpenCLIP, Flux, Stable Diffusion 3 and Z-Image do. DoRA's lengths are then those of each part's own rows, and of its own columns.
- **Several layers as one**: the other way round. kohya's scripts name the fused \`qkv\` of Flux, and a model in the form of diffusers has \`to_q\`, \`to_k\` and \`to_v\`. Each gets its rows of the difference, bit by bit as the fused layer would; a change that mixes rows, or gives columns a length, is computed for all of these layers together.
- **Transposed layers**: the text projection of OpenCLIP, embeddings, and layers that store their inputs as rows (Conv1D of GPT-2). The factors tell, or for square weights the biases of the layers beside them; \`fan_in_fan_out\` in PEFT’s config speaks only of the last layer that was adapted, and counts where nothing else tells, or the layers beside it tell different things; convolutions are never turned.
- **Halves exchanged**: diffusers stores the scale and the shift of some modulations the other way round.
`

const NAMES = `## Names

Each row is a network and a trainer, with a module as that trainer names it. The last two columns are the forms of the model: that of its authors, of kohya's scripts and of ComfyUI, under any root (\`model.diffusion_model.\`, \`diffusion_model.\`, \`net.\`, none),
and that of diffusers. Tests look up every name of every cell, and match adapters of every kind behind it: they check the tensor, its rows, their order and the transposition. (Of U-Nets but the first, which differ in their blocks alone, kinds are matched behind one prefix of each row.)
`

const NOTES = `“All” is all kinds. ¹ Where names stand for rows of a fused layer, ² for several layers as one, ³ or for layers whose halves are exchanged, the kinds that the table above says.

Language models have \`base_model.model.…\`, or their own names. transformers keeps some models under other names in memory than in checkpoints, and changed these with its versions 4.52 and 5: \`model.language_model.layers\`, \`language_model.model.layers\` and \`model.layers\` of models that read images are understood for one another, and so are the names of models that were trained without their head (\`layers\`).
Any other network is reached by the names of its modules, under any root, with dots or underscores, and behind the prefixes of all trainers.
Names are made from the tensors of the model and looked up: a name that could mean two modules is refused, and so is an adapter that has one module under two names.

## Adapters that many use

What these have for names of tensors is tested as it is, down to the tensor and the rows that each changes.

| network | adapters | names |
|---|---|---|
| Stable Diffusion 1 | LCM-LoRA, Hyper-SD, TCD, add_detail, more_details, IP-Adapter FaceID | \`lora_unet_down_blocks_…\`, \`lora_te_…\`; with and without alphas |
| Stable Diffusion XL | SDXL-Lightning, Hyper-SDXL, LCM-LoRA, DMD2 | \`lora_unet_down_blocks_…\`; \`unet.down_blocks.…\` |
| Stable Diffusion 1, XL | LyCORIS with LoHa, (IA)³ or DoRA | \`lora_unet_….hada_w1_a\`, \`….on_input\`, \`….dora_scale\` |
| Stable Diffusion XL | sd_xl_offset_example-lora, add-detail-xl, concept sliders | \`lora_unet_input_blocks_…\`, \`lora_te1_…\`, \`lora_te2_…\` |
| Stable Diffusion 3 | Turbo LoRAs | \`transformer.transformer_blocks.…\` |
| Flux | FLUX.1-Turbo-Alpha, Hyper-FLUX | \`transformer.single_transformer_blocks.…\` |
| Flux, Chroma | LoRAs of kohya's scripts and of OneTrainer | \`lora_unet_double_blocks_…\`; \`lora_transformer_transformer_blocks_…\`; \`transformer.distilled_guidance_layer.…\` |
| Flux | flux-RealismLora | \`double_blocks.0.processor.qkv_lora1.down\` |
| Flux | FLUX.1-Depth-dev-lora, FLUX.1-Canny-dev-lora | \`img_in.lora_A\`, norms as whole tensors |
| HunyuanVideo | LoRAs that were extracted of fine-tunes | \`diffusion_model.double_blocks.…\` with \`diff_b\` |
| Qwen-Image | Qwen-Image-Lightning; LoRAs of DiffSynth-Studio | \`transformer_blocks.0.attn.to_q.lora_down\`; \`….lora_A.default\` |
| Wan 2.1, Wan 2.2 | step distillation of LightX2V, Wan2.2-Lightning, AccVideo | \`diffusion_model.blocks.…\` with \`diff\`, \`diff_b\`, \`diff_m\` |
| Wan 2.1, Wan 2.2 | CausVid; LoRAs of diffusion-pipe, musubi-tuner and DiffSynth-Studio | \`diffusion_model.blocks.…\`; \`lora_unet_blocks_…\`; \`blocks.…\` |
| Z-Image | zimage_turbo_training_adapter; LoRAs of musubi-tuner and SimpleTuner | \`diffusion_model.layers.0.attention.to_q\`; \`lora_unet_layers_0_attention_to_q\`; \`lycoris_layers_0_…\` |
| language models | alpaca-lora, QLoRA, \`modules_to_save\`; e5-mistral | \`base_model.model.model.layers.…\`; \`base_model.model.layers.…\` |

Adapters of image and video generators that have no alphas are added as they are, as all programs do. Some, such as Hyper-FLUX, ask for a strength: their pages say which, and it goes into \`strength\`.
`

const row = (...cells: readonly string[]): string => `| ${cells.join(' | ')} |`

const layersTable = (): string =>
  [
    row('kind', ...SITUATIONS.map(([, title]) => title)),
    row('---', ...SITUATIONS.map(() => '---')).replaceAll(' ', ''),
    ...COVERED_KINDS.map((kind) => row(kind, ...SITUATIONS.map(() => 'yes'))),
  ].join('\n')

const MARKS: Partial<Record<Situation, string>> = { rows: '¹', several: '²', swapped: '³' }

/** What the names of a trainer come to in a form of a network. */
const cellOf = ({ modules }: NetworkCoverage, names: Convention['form'], layout: 'original' | 'diffusers'): string => {
  const met = new Set(modules.flatMap((module) => situationOf(module, names, layout) ?? []))
  return `all${SITUATIONS.flatMap(([situation]) => (met.has(situation) ? (MARKS[situation] ?? []) : [])).join(' ')}`
}

/** A module as a trainer names it, behind the first of its prefixes. */
const exampleOf = ({ modules }: NetworkCoverage, { form, prefixes }: Convention): string => {
  const { original, diffusers } = modules[0]!
  const processor = (path: string): string => path.replace(/\.to_(q|k|v|out)(?:\.0)?$/, '.processor.to_$1')
  const path = {
    original,
    diffusers: diffusers[0]!,
    processor: processor(diffusers[0]!),
    parts: `${original}.0`,
    xlabs: original.replace(/\.\w+\.\w+$/, '.processor.qkv_lora1'),
  }[form]
  const [first = ''] = prefixes
  const [name] = prefixed(
    path,
    first.endsWith('_') ? { dotted: [], underscored: [first] } : { dotted: [first], underscored: [] },
  )
  return `\`${name}\`${
    prefixes.length > 1
      ? `; ${prefixes
          .slice(1)
          .map((p) => (p === '' ? 'no prefix' : `\`${p}\``))
          .join(', ')}`
      : ''
  }`
}

const namesTable = (): string =>
  [
    row('network', 'trainer', 'names', 'original form', 'form of diffusers'),
    '|---|---|---|---|---|',
    ...NETWORK_COVERAGE.flatMap((network) =>
      CONVENTIONS[network.family]
        .filter(({ trainer }) => !network.without.includes(trainer))
        .filter(({ form }) => form !== 'processor' || network.family === 'unet')
        .filter(({ form }) => form !== 'parts' || network.modules.some(({ diffusers }) => diffusers.length > 1))
        .map((convention) =>
          row(
            network.title,
            convention.trainer,
            exampleOf(network, convention),
            cellOf(network, convention.form, 'original'),
            cellOf(network, convention.form, 'diffusers'),
          ),
        ),
    ),
    ...ENCODER_COVERAGE.flatMap(({ title, prefixes, paths }) =>
      Object.entries(prefixes).map(([trainer, all]) =>
        row(
          title,
          trainer,
          all
            .map((prefix) => `\`${prefix}${prefix.endsWith('_') ? paths[0]!.replaceAll('.', '_') : paths[0]}\``)
            .join(', '),
          'all¹, with layers of OpenCLIP',
          'all',
        ),
      ),
    ),
  ].join('\n')

/** The page of adapters, in Markdown. */
export const adaptersDocument = (): string =>
  [INTRODUCTION, LAYERS, layersTable(), '', LAYERS_EXPLAINED, NAMES, namesTable(), '', NOTES].join('\n')
