import { matchAdapter } from '../../architectures/adapters/match.js'
import type { Patch } from '../../architectures/adapters/patch.js'
import { failed, type Result } from '../../base/result.js'
import type { Tensor } from '../../graph/expression.js'
import type { Graph } from '../../graph/graph.js'
import { defineOperator } from '../apply.js'
import { adapterOf, modelsOf, valueOf } from '../call.js'
import type { Call, Operator } from '../define.js'
import { adapter, choice, model, number, perLayer } from '../params.js'
import type { Value } from '../value.js'

const UNMATCHED = { error: 'stops the build, naming them', ignore: 'leaves them out; the plan counts them' } as const

/** What a patch adds at strength 1, before its scale. */
const deltaOf = (g: Graph, { of }: Patch): Tensor => ('tensor' in of ? g.read(of) : of.map((product) => g.product(product)).reduce((x, y) => g.mul(x, y)))

/** The operator for one adapter and model, whose patches are known; without them, its description. */
const withPatches = (patches: ReadonlyMap<string, readonly Patch[]>): Operator => defineOperator({
  id: 'adapter.apply',
  version: 1,
  summary: 'Bakes a LoRA, or a relative of it, into a model.',
  details: [
    'Adds `strength · alpha / rank · up·down` to every tensor that the adapter has factors for, in float32, and rounds once, when the result is written.',
    'Convolutions are multiplied flat; a middle factor (LoCon with a Tucker core) stands between the two;',
    'a LoHa is the product of two such matrices, element by element;',
    'full differences (`diff`, `diff_b`) are added as they are. Without an `alpha` the scale is 1.',
    '',
    'Understood are the names of kohya’s scripts and LyCORIS (LoRA, LoCon, LoHa), of diffusers old and new, and of PEFT,',
    'for Stable Diffusion 1, 2 and XL with their text encoders, Stable Diffusion 3, Flux, language models,',
    'and networks of any other kind whose modules the adapter calls by their own names.',
    'A PEFT adapter is read together with the `adapter_config.json` beside it: name the folder, or its `adapter_model.safetensors`.',
    'DoRA, LoKr, GLoRA, OFT, BOFT, IA3 and VeRA are refused.',
    '',
    'The LoRA Loader of ComfyUI has two numbers: its `strength_model` is `strength` here, its `strength_clip` is `clip_strength`.',
  ].join('\n'),
  source: 'Hu et al. 2021, arXiv 2106.09685; Yeh et al. 2023, arXiv 2309.14859',
  output: 'model',
  inputs: { model: model('The model that is changed.'), adapter: adapter('The adapter, from the block `adapters` of the recipe.') },
  params: {
    strength: perLayer({ default: 1, description: 'How much of the adapter is added; negative takes it away.' }),
    clip_strength: number({ description: 'In place of `strength` for text encoders; the same as `strength` unless given.' }),
    unmatched: choice(UNMATCHED, 'error', 'What becomes of tensors of the adapter that have no target in the model.'),
  },
  merges: true,
  exact: true,
  draws: false,
  examples: [
    {
      title: 'two factors, alpha 1 and rank 2',
      inputs: { model: [[1, 1], [1, 1]], adapter: { 'x.lora_up.weight': [[1, 0], [0, 2]], 'x.lora_down.weight': [[1, 2], [3, 4]], 'x.alpha': 1 } },
      params: { strength: 0.5 },
      expect: [1.25, 1.5, 2.5, 3],
    },
    { title: 'a full difference', inputs: { model: [1, 2], adapter: { 'x.diff': [0.5, -1] } }, expect: [1.5, 1] },
  ],
  touches: (tensor) => patches.has(tensor),
  build: (g, inputs, { strength, clip_strength: inText = strength }, { name }) =>
    patches.get(name)!.reduce<Tensor>((sum, patch) => g.add(sum, g.mul(deltaOf(g, patch), (patch.text ? inText : strength) * patch.scale)), inputs.model),
})

const evaluate = (call: Call): Result<readonly Value[]> => {
  const { value, at } = adapterOf(call, 'adapter')
  const { label, tensors } = modelsOf(call, 'model')[0]!.value
  const strict = valueOf(call, 'unmatched') !== 'ignore'
  const match = matchAdapter({ label: value.label, file: value.file, at }, { label, tensors, architecture: call.architecture(tensors) }, strict)
  if (match.type === 'failed') return failed(...match.diagnostics)
  for (const tensor of match.value.unmatched) call.note({ type: 'unmatched', tensor })
  return withPatches(match.value.patches).evaluate(call)
}

/** `model + strength · alpha / rank · up·down`. */
export const apply: Operator = { ...withPatches(new Map()), evaluate }
