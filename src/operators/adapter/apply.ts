import { matchAdapter } from '../../architectures/adapters/match.js'
import { moduleOf } from '../../architectures/adapters/modules.js'
import type { Patch } from '../../architectures/adapters/patch.js'
import { adapterTensorsIgnored } from '../../base/catalogue/adapter-tensors.js'
import { failed, ok, type Result } from '../../base/result.js'
import type { Tensor } from '../../graph/expression.js'
import type { Graph } from '../../graph/graph.js'
import { factorProduct } from '../../kernels/solvers/low-rank.js'
import type { View } from '../../tensor/view.js'
import { COMMON, named } from '../aliases.js'
import { defineOperator } from '../define.js'
import { adapterOf, modelsOf, valueOf } from '../call-arguments.js'
import type { Call, Operator } from '../operator.js'
import { refuseOpaqueModels } from '../opaque.js'
import { adapter, choice, layers, model, number, perLayer } from '../params.js'
import type { AdapterValue, Value } from '../value.js'

const UNMATCHED = {
  error: 'stops the build, naming them',
  ignore: 'leaves them out, with a warning that names them: the result lacks what they were trained for',
} as const

/** What a patch adds at strength 1, before its scale. */
const deltaOf = (g: Graph, { of }: Patch, made: AdapterValue['made'], shape: readonly number[]): Tensor => {
  if (made === undefined)
    return 'tensor' in of ? g.read(of) : of.map((product) => g.product(product)).reduce((x, y) => g.mul(x, y))
  const factor = ({ tensor: { name, shape: own } }: View) => ({ x: made.tensor(name), shape: own })
  return 'tensor' in of
    ? made.tensor(of.tensor.name)
    : of
        .map(({ up, down, firstRow }) => g.solve(factorProduct, [factor(up), factor(down)], [firstRow], shape))
        .reduce((x, y) => g.mul(x, y))
}

/** A tensor under a patch. At strength 1, one that is replaced is exactly the adapter's. */
const patched = (g: Graph, x: Tensor, patch: Patch, strength: number, delta: Tensor): Tensor => {
  if (patch.replaces !== true) return g.add(x, g.mul(delta, strength * patch.scale))
  return strength === 1 ? delta : g.add(x, g.mul(g.sub(delta, x), strength))
}

/** The operator for one adapter and model, whose patches are known; without them, its description. */
const withPatches = (patches: ReadonlyMap<string, readonly Patch[]>, made?: AdapterValue['made']): Operator =>
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
      'a LoHa is the product of two such matrices, element by element;',
      'full differences (`diff`, `diff_b`, `w_norm`, `b_norm`) are added as they are. Without an `alpha` the scale is 1.',
      '',
      'Tensors that were trained as a whole replace those of the model: `modules_to_save` and biases of PEFT, norms, embeddings, `set_weight`.',
      'At strength 1 the result is exactly the trained tensor; at another it is `model + strength · (trained − model)`.',
      '',
      'smelt understands the names of kohya’s scripts and LyCORIS (LoRA, LoCon, LoHa), of diffusers old and new, and of PEFT, OneTrainer and XLabs,',
      'for Stable Diffusion 1, 2 and XL with their text encoders, Stable Diffusion 3, Flux, language models,',
      'and any other network if the adapter uses the names of its modules.',
      'A PEFT adapter is read together with the `adapter_config.json` beside it: name the folder, or its `adapter_model.safetensors`.',
      'Such an adapter without its config states no scale: give its alpha beside its path, `{ path: ink.safetensors, alpha: 16 }`.',
      'DoRA, LoKr, GLoRA, OFT, BOFT, IA3 and VeRA are refused, and so is an adapter with a tensor or a setting that smelt does not know how to apply.',
      '',
      'The LoRA Loader of ComfyUI has two numbers: its `strength_model` is `strength` here, its `strength_clip` is `clip_strength`.',
    ].join('\n'),
    source: 'Hu et al. 2021, arXiv 2106.09685; Yeh et al. 2023, arXiv 2309.14859',
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
      { title: 'a full difference', inputs: { model: [1, 2], adapter: { 'x.diff': [0.5, -1] } }, expect: [1.5, 1] },
    ],
    touches: (tensor) => patches.has(tensor),
    build: (g, inputs, { strength, clip_strength: inText = strength }, { name, shape }) =>
      patches
        .get(name)!
        .reduce<Tensor>(
          (x, patch) => patched(g, x, patch, patch.text ? inText : strength, deltaOf(g, patch, made, shape)),
          inputs.model,
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

const evaluate = (call: Call): Result<readonly Value[]> => {
  const {
    value: { label: name, file, alpha, made },
    at,
  } = adapterOf(call, 'adapter')
  const { label, tensors } = modelsOf(call, 'model')[0]!.value
  const strict = valueOf(call, 'unmatched') !== 'ignore'
  const excluded = excludedFrom(call, file.tensors)
  if (excluded.type === 'failed') return excluded
  const match = matchAdapter(
    { label: name, file, alpha, at, excluded: excluded.value },
    { label, tensors, architecture: call.architecture(tensors) },
    strict,
  )
  if (match.type === 'failed') {
    // Names and shapes of packed weights are those of no module.
    const opaque = refuseOpaqueModels(modelsOf(call, 'model'))
    return failed(...(opaque.length > 0 ? opaque : match.diagnostics))
  }
  const { patches, unmatched } = match.value
  for (const tensor of unmatched) call.note({ type: 'unmatched', tensor })
  for (const tensor of excluded.value) call.note({ type: 'excluded', tensor })
  const applied = withPatches(patches, made).evaluate(call)
  if (applied.type === 'failed' || unmatched.length === 0) return applied
  return ok(applied.value, [
    ...applied.diagnostics,
    adapterTensorsIgnored(at, name, label, unmatched, file.tensors.size),
  ])
}

/** `model + strength · alpha / rank · up·down`. */
export const apply: Operator = { ...withPatches(new Map()), evaluate }
