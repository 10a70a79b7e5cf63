import { matchAdapter } from '../../architectures/adapters/match.js'
import { moduleOf } from '../../architectures/adapters/modules.js'
import type { Patch } from '../../architectures/adapters/patch.js'
import {
  adapterOutsideLayers,
  adapterTensorsIgnored,
  adapterWithoutStrength,
  clipStrengthUnused,
  embeddingsLeftOut,
} from '../../base/catalogue/adapter-tensors.js'
import type { Diagnostic } from '../../base/diagnostic.js'
import { failed, ok, type Result } from '../../base/result.js'
import { COMMON, named } from '../aliases.js'
import { defineOperator } from '../define.js'
import { adapterOf, modelsOf, valueOf } from '../call-arguments.js'
import type { Call, Operator } from '../operator.js'
import { refuseOpaqueModels } from '../opaque.js'
import { adapter, choice, layers, model, number, perLayer } from '../params.js'
import type { AdapterValue, ModelValue, Value } from '../value.js'
import { patchTensor } from '../apply-change.js'
import { widenModel } from '../widen-model.js'

const UNMATCHED = {
  error: 'stops the build, naming them',
  ignore: 'leaves them out, with a warning that names them: the result lacks what they were trained for',
} as const

/** The operator for one adapter and model, whose patches are known; without them, its description. */
const withPatches = (
  patches: ReadonlyMap<string, readonly Patch[]>,
  base?: ModelValue,
  made?: AdapterValue['made'],
): Operator =>
  defineOperator({
    id: 'adapter.apply',
    version: 1,
    summary: 'Bakes a LoRA or a similar adapter into a model.',
    aliases: [
      {
        name: 'LoraLoader',
        from: 'ComfyUI',
        settings: '`strength: strength_model`, `clip_strength: strength_clip`, `unmatched: ignore`',
      },
      {
        name: 'LoraLoaderModelOnly',
        from: 'ComfyUI',
        settings: '`strength: strength_model`, `layers: component:diffusion`, `unmatched: ignore`',
      },
      { name: 'convert', from: 'sd-mecha', settings: 'of a LoRA to its model, and the `add_difference` that adds it' },
      ...named(
        'ComfyUI-DareMerge',
        ['DM_LoRALoaderTags', 'LoRA Loader (Tags)'],
        '`strength: strength_model`, `clip_strength: strength_clip`, `unmatched: ignore`',
      ),
      { name: 'merge to checkpoint', from: 'supermerger', settings: '`strength` is the ratio; one step for each LoRA' },
      { name: 'merge_and_unload', from: 'PEFT' },
      ...named(COMMON, ['apply lora', 'bake', 'bake lora', 'load lora', 'lora', 'merge lora']),
    ],
    details: [
      'Adds `strength · alpha / rank · up·down` to every tensor that the adapter has factors for, in float32, and rounds once, when the result is written.',
      'Convolutions are multiplied as matrices; a middle factor (LoCon with a Tucker core) comes between the two;',
      'full differences (`diff`, `diff_b`, `w_norm`, `b_norm`) are added as they are. Without an `alpha` the scale is 1.',
      '',
      'Other kinds, for a weight `W`, a delta `Δ` at its scale and a strength `m`:',
      '',
      '- LoHa: `Δ` is the product of two low-rank matrices, element by element.',
      '- LoKr: `Δ` is the Kronecker product of two matrices, each whole or by factors. The rank is that of the second, or of the first if the second is whole; of two whole matrices the scale is 1, but PEFT’s `alpha / r`.',
      '- DoRA: `V = W + Δ`, every row or input channel of `V` is brought to the length that the adapter has for it, and the result is `W + m · (V − W)`. Lengths are those of the sum, in rows of their own where a layer is fused.',
      '- (IA)³: rows or input channels times `1 + m · w`; PEFT stores `1 + w`, and its factors multiply biases too.',
      '- GLoRA: `W + m · alpha / rank · (W·A + B)`, in both layouts that LyCORIS had.',
      '- OFT and BOFT of PEFT: `W + m · (S·W·Rᵀ − W)`, where blocks along the diagonal of `R` rotate inputs, and BOFT’s factors `S` multiply rows. As the config says, `R` is `(I − Q)(I + Q)⁻¹` or the series that PEFT has for it.',
      '- OFT and BOFT of LyCORIS and kohya’s scripts: blocks of rows are turned by `m·R + (1 − m)·I`, with `R = (I + Q)(I − Q)⁻¹` and `Q = B − Bᵀ`; alpha times the number of rows is the greatest norm of `Q`.',
      '',
      'A weight for which the adapter has a `reshape_weight` (ComfyUI) is padded with zeros at the end of its axes first, and so is `img_in` for a control LoRA of Black Forest Labs: the result has the wider weight.',
      '',
      'Tensors that were trained as a whole replace those of the model: `modules_to_save` and biases of PEFT, norms, embeddings, `set_weight`.',
      'At strength 1 the result is exactly the trained tensor; at another it is `model + strength · (trained − model)`.',
      '',
      'smelt understands the names of kohya’s scripts and LyCORIS, of diffusers old and new, and of PEFT, OneTrainer and XLabs,',
      'for Stable Diffusion 1, 2 and XL with their text encoders, Stable Diffusion 3, Flux, language models,',
      'and any other network if the adapter uses the names of its modules.',
      'A PEFT adapter is read together with the `adapter_config.json` beside it: name the folder, or its `adapter_model.safetensors`.',
      'Its `target_parameters`, such as fused experts, are found by the shapes of their factors, and applied to a model that has its experts one by one, too, as LoRAs of single experts are to one that has them fused. One that repeats layers (`layer_replication`) needs the stack of layers that it was trained on, from `model.stack`.',
      'Such an adapter without its config states no scale: give its alpha beside its path, `{ path: ink.safetensors, alpha: 16 }`.',
      'VeRA and some others are refused by name, and so is an adapter with a tensor that smelt does not know how to apply; settings of a config that it does not know are told.',
      '',
      'The LoRA Loader of ComfyUI has two numbers: its `strength_model` is `strength` here, its `strength_clip` is `clip_strength`.',
    ].join('\n'),
    source:
      'Hu et al. 2021, arXiv 2106.09685; Yeh et al. 2023, arXiv 2309.14859; Liu et al. 2024, arXiv 2402.09353; Liu et al. 2022, arXiv 2205.05638; Qiu et al. 2023, arXiv 2306.07280; Liu et al. 2023, arXiv 2311.06243',
    output: 'model',
    inputs: {
      model: model('The model that is changed.'),
      adapter: adapter('The adapter: from the block `adapters` of the recipe, or what a step makes.'),
    },
    params: {
      strength: perLayer({
        default: 1,
        description: 'How much of the adapter is added; a negative number subtracts it.',
      }),
      clip_strength: number({
        description: 'Replaces `strength` for text encoders; the same as `strength` unless given.',
      }),
      exclude: layers(
        'Modules of the adapter to leave out, as patterns of its own names, such as `lora_te*`. To limit what changes in the model, use `layers`.',
        false,
      ),
      unmatched: choice(UNMATCHED, 'error', 'What happens to tensors of the adapter that have no target in the model.'),
    },
    merges: true,
    exact: true,
    draws: false,
    examples: [
      {
        title: 'two factors, alpha 1 and rank 2',
        inputs: {
          model: [
            [1, 1],
            [1, 1],
          ],
          adapter: {
            'x.lora_up.weight': [
              [1, 0],
              [0, 2],
            ],
            'x.lora_down.weight': [
              [1, 2],
              [3, 4],
            ],
            'x.alpha': 1,
          },
        },
        params: { strength: 0.5 },
        expect: [1.25, 1.5, 2.5, 3],
      },
      {
        title: 'a weight that is replaced',
        inputs: { model: [1, 2], adapter: { 'x.set_weight': [5, 6] } },
        params: { strength: 0.5 },
        expect: [3, 4],
      },
      {
        title: 'LoKr: two matrices of a Kronecker product',
        inputs: {
          model: [
            [0, 0],
            [0, 0],
          ],
          adapter: { 'x.lokr_w1': [[1, 2]], 'x.lokr_w2': [[3], [4]] },
        },
        expect: [3, 6, 4, 8],
      },
      {
        title: 'DoRA: rows of the sum are brought to lengths 10 and 1',
        inputs: {
          model: [
            [2, 4],
            [0, 2],
          ],
          adapter: {
            'x.lora_up.weight': [[1], [0]],
            'x.lora_down.weight': [[1, 0]],
            'x.dora_scale': [[10], [1]],
          },
        },
        expect: [6, 8, 0, 1],
      },
      { title: 'a full difference', inputs: { model: [1, 2], adapter: { 'x.diff': [0.5, -1] } }, expect: [1.5, 1] },
    ],
    touches: (tensor) => patches.has(tensor),
    build: (g, inputs, { strength, clip_strength: inText = strength }, { name, shape }) =>
      patchTensor(
        g,
        inputs.model,
        shape,
        patches.get(name)!,
        ({ text }) => (text ? inText : strength),
        made,
        (other) => base!.tensor(other),
      ),
  })

/** The tensors of an adapter whose modules the step leaves out. */
const excludedFrom = (call: Call, tensors: ReadonlyMap<string, unknown>): Result<ReadonlySet<string>> => {
  const patterns = call.params['exclude']
  if (patterns?.type !== 'layers') return ok(new Set())
  const modules = new Map([...tensors.keys()].map((name) => [moduleOf(name), { shape: [] }]))
  const selected = call.select(patterns, modules)
  return selected.type === 'failed'
    ? selected
    : ok(new Set([...tensors.keys()].filter((name) => selected.value.has(moduleOf(name)))))
}

/** The step with its model widened where the step's `layers` include that. */
const widenedCall = (call: Call, shapes: ReadonlyMap<string, readonly number[]>): Result<Call> => {
  if (shapes.size === 0) return ok(call)
  const reference = modelsOf(call, 'model')[0]!
  const { layers: patterns } = call.shared
  const selected = patterns && call.select(patterns, reference.value.tensors)
  if (selected?.type === 'failed') return selected
  const chosen = new Map([...shapes].filter(([name]) => selected?.value.has(name) ?? true))
  const value = widenModel(call.graph, reference.value, chosen)
  return ok({ ...call, inputs: { ...call.inputs, model: { ...reference, value } } })
}

/** Why a step leaves its model as it is, where that is known: its `layers`, or its strengths. */
const idleReason = (
  call: Call,
  patches: ReadonlyMap<string, readonly Patch[]>,
  adapter: string,
): Diagnostic | undefined => {
  const { label, tensors } = modelsOf(call, 'model')[0]!.value
  const { layers: patterns } = call.shared
  const { strength, clip_strength: inText } = call.params
  const selected = patterns && call.select(patterns, tensors)
  const numbers = strength && call.numbers(strength, tensors)
  if (selected?.type === 'failed' || numbers?.type === 'failed') return undefined
  const changed = [...patches].filter(([tensor]) => selected?.value.has(tensor) ?? true)
  if (changed.length === 0) return adapterOutsideLayers(call.at('layers'), adapter, label)
  const isOff = ([tensor, own]: readonly [string, readonly Patch[]]): boolean =>
    own.every(({ text }) => (text && inText?.type === 'value' ? inText.value : numbers?.value(tensor)) === 0)
  return changed.every(isOff) ? adapterWithoutStrength(call.at('strength'), adapter, label) : undefined
}

const evaluate = (call: Call): Result<readonly Value[]> => {
  const {
    value: { label: name, file, alpha, made },
    at,
  } = adapterOf(call, 'adapter')
  const { label, tensors, origins } = modelsOf(call, 'model')[0]!.value
  const strict = valueOf(call, 'unmatched') !== 'ignore'
  const excluded = excludedFrom(call, file.tensors)
  if (excluded.type === 'failed') return excluded
  const match = matchAdapter(
    { label: name, file, alpha, at, excluded: excluded.value },
    { label, tensors, architecture: call.architecture(tensors), origins: origins?.numbers },
    strict,
  )
  if (match.type === 'failed') {
    // Names and shapes of packed weights are those of no module.
    const opaque = refuseOpaqueModels(modelsOf(call, 'model'))
    return failed(...(opaque.length > 0 ? opaque : match.diagnostics))
  }
  const { patches, unmatched, bundled, widened } = match.value
  for (const tensor of unmatched) call.note({ type: 'unmatched', tensor })
  for (const tensor of bundled) call.note({ type: 'excluded', tensor })
  for (const tensor of excluded.value) call.note({ type: 'excluded', tensor })
  const wide = widenedCall(call, widened)
  if (wide.type === 'failed') return wide
  const base = modelsOf(wide.value, 'model')[0]!.value
  const applied = withPatches(patches, base, made).evaluate(wide.value)
  if (applied.type === 'failed') return applied
  const idle = idleReason(call, patches, name)
  const inText = call.params['clip_strength']
  const isSpare =
    inText?.type === 'value' &&
    inText.value !== (valueOf(call, 'strength') ?? 1) &&
    ![...patches.values()].flat().some(({ text }) => text)
  return ok(applied.value, [
    ...match.diagnostics,
    ...applied.diagnostics,
    ...(unmatched.length === 0 ? [] : [adapterTensorsIgnored(at, name, label, unmatched, file.tensors.size)]),
    ...(bundled.length === 0 ? [] : [embeddingsLeftOut(at, name, bundled)]),
    ...(idle === undefined ? [] : [idle]),
    ...(isSpare ? [clipStrengthUnused(inText.at, name, label)] : []),
  ])
}

/** `model + strength · alpha / rank · up·down`. */
export const apply: Operator = { ...withPatches(new Map()), evaluate }
