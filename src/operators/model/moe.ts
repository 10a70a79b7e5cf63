import {
  MATRICES,
  MOE_LAYOUTS,
  mixtureConfig,
  moeLayout,
  type MoeLayout,
  type MoeLayoutName,
} from '../../architectures/moe-layouts.js'
import * as say from '../../base/catalogue/moe.js'
import type { Diagnostic } from '../../base/diagnostic.js'
import { failed, ok, type Result } from '../../base/result.js'
import type { Tensor } from '../../graph/expression.js'
import { isFloat } from '../../tensor/dtype.js'
import { named } from '../aliases.js'
import { labelOf, modelsOf, streamOf, valueOf } from '../call-arguments.js'
import { GATES, routerMaker, type Router } from '../moe-gates.js'
import { refuseOpaqueModels } from '../opaque.js'
import type { Call, Operator } from '../operator.js'
import { choice, integer, model, modelAside, models, number, prompts } from '../params.js'
import { renameSlot } from '../rename-slot.js'
import { sameShape } from '../shape.js'
import type { ModelValue, Reference, Slot, Value } from '../value.js'

const PATH = 'model.layers'
const FIRST = `${PATH}.0.mlp.gate_proj.weight`
const IN_LAYER = /^model\.layers\.(\d+)\.(.+)$/
const IN_MLP = /^mlp\.(gate_proj|up_proj|down_proj)\.weight$/
/** What every layer may have, below it, besides its MLP. */
const USUAL: ReadonlySet<string> = new Set([
  'input_layernorm.weight',
  'post_attention_layernorm.weight',
  ...['q_proj', 'k_proj', 'v_proj', 'o_proj'].map((name) => `self_attn.${name}.weight`),
])
const OUTSIDE: ReadonlySet<string> = new Set(['model.embed_tokens.weight', 'model.norm.weight', 'lm_head.weight'])
/** A constant that old files have and no program reads. */
const UNREAD = /\.rotary_emb\.inv_freq$/

const LAYOUTS = {
  auto: 'the one that fits the base model: Qwen2 and Qwen3 give their own; Llama and Mistral give Mixtral, or with a shared expert DeepSeek',
  mixtral: 'Mixtral, of Llama and Mistral',
  qwen2: 'Qwen2-MoE with a shared expert, of Qwen2, Llama and Mistral',
  qwen3: 'Qwen3-MoE, of Qwen3',
  deepseek: 'DeepSeek-MoE with or without a shared expert, of Llama and Mistral',
} as const

/** Which layout a mixture gets that the recipe does not name. */
const layoutOf = (call: Call, { tensors }: ModelValue): MoeLayoutName => {
  const named = (valueOf(call, 'layout') ?? 'auto') as keyof typeof LAYOUTS
  if (named !== 'auto') return named
  if (tensors.has(`${PATH}.0.self_attn.q_norm.weight`)) return 'qwen3'
  if (tensors.has(`${PATH}.0.self_attn.q_proj.bias`)) return 'qwen2'
  return modelsOf(call, 'shared').length > 0 ? 'deepseek' : 'mixtral'
}

/** Tensors of the base that a layout has no place for. */
const unplaced = (
  { tensors }: ModelValue,
  { attention: { zeros, needed, optional } }: MoeLayout,
): readonly string[] => {
  const known = new Set([...USUAL, ...zeros, ...needed, ...optional])
  return [...tensors.keys()].filter((name) => {
    const below = IN_LAYER.exec(name)?.[2]
    if (UNREAD.test(name)) return false
    return below === undefined ? !OUTSIDE.has(name) : !known.has(below) && !IN_MLP.test(below)
  })
}

/** What keeps the base from being the base of a layout. */
const refuseBase = (
  { value, at }: Reference<ModelValue>,
  layout: MoeLayout,
  layers: number,
): Diagnostic | undefined => {
  const without = unplaced(value, layout)
  if (without.length > 0) {
    const others = Object.entries(MOE_LAYOUTS).filter(([, other]) => unplaced(value, other).length === 0)
    return say.noPlaceInLayout(
      at,
      without,
      value.label,
      layout.title,
      others.map(([name]) => name),
    )
  }
  for (let layer = 0; layer < layers; layer++) {
    for (const matrix of MATRICES) {
      const name = `${PATH}.${layer}.mlp.${matrix}.weight`
      const slot = value.tensors.get(name)
      if (slot?.shape.length !== 2 || !isFloat(slot.dtype)) return say.noDenseLayers(at, value.label, name)
    }
    for (const below of layout.attention.needed)
      if (!value.tensors.has(`${PATH}.${layer}.${below}`))
        return say.layoutNeeds(at, `${PATH}.${layer}.${below}`, value.label, layout.title)
  }
  return undefined
}

/** The first matrix that an expert lacks, or has in another shape than the base. */
const refuseExpert = (
  { value, at }: Reference<ModelValue>,
  base: ModelValue,
  matrices: readonly string[],
): Diagnostic | undefined => {
  for (const name of matrices) {
    const [own, wanted] = [value.tensors.get(name), base.tensors.get(name)!]
    if (own === undefined || !isFloat(own.dtype)) return say.expertLacks(at, value.label, name, base.label)
    if (!sameShape(own.shape, wanted.shape))
      return say.expertShape(
        at,
        name,
        { label: value.label, shape: own.shape },
        { label: base.label, shape: wanted.shape },
      )
  }
  // It would run with the attention of the base all the same, but its MLP was trained with another.
  const extra = [...value.tensors.keys()].find((name) => /\.mlp\./.test(name) && !base.tensors.has(name))
  return extra === undefined ? undefined : say.expertLacks(at, base.label, extra, value.label)
}

/** Collects the tensors of a mixture. */
const createMixture = (call: Call, base: ModelValue) => {
  const tensors = new Map<string, Slot>()
  const makers = new Map<string, () => Tensor>()
  const put = (slot: Slot, make: () => Tensor, from: string | undefined): void => {
    tensors.set(slot.name, slot)
    makers.set(slot.name, make)
    call.note(
      from === undefined
        ? { type: 'made', tensor: slot.name }
        : from === slot.name
          ? { type: 'kept', tensor: from }
          : { type: 'renamed', tensor: slot.name, from },
    )
  }
  const { graph: g } = call
  return {
    tensors,
    tensor: (name: string): Tensor => makers.get(name)!(),
    keep: (slot: Slot): void => put(slot, () => base.tensor(slot.name), slot.name),
    /** A tensor of the dtype of another. */
    make: (name: string, shape: readonly number[], like: Slot, made: () => Tensor): void =>
      put({ name, shape, dtype: like.dtype }, made, undefined),
    /** A matrix of an expert, with what the recipe does to it. */
    expert: (
      { value }: Reference<ModelValue>,
      [name, to]: readonly [string, string],
      noise: number,
      factor: number,
    ): void => {
      const own = value.tensors.get(name)!
      const stem = (text: string): string => text.slice(0, -'weight'.length)
      const rename = (text: string): string =>
        text.startsWith(stem(name)) ? stem(to) + text.slice(stem(name).length) : text
      const wanted = base.tensors.get(name)!
      const slot = renameSlot(own, to, rename)
      // Experts of other precision are written in that of the base.
      const plain = own.scaled === undefined && wanted.scaled === undefined
      put(
        plain ? { ...slot, dtype: wanted.dtype } : slot,
        () => {
          const x = value.tensor(name)
          const noisy = noise === 0 ? x : g.add(x, g.mul(g.normal(streamOf(call, to, 0)), noise))
          return factor === 1 ? noisy : g.mul(noisy, factor)
        },
        name,
      )
    },
  }
}

const numberOf = (args: Call['params'], key: string, fallback: number): number => {
  const argument = args[key]
  return argument?.type === 'value' ? (argument.value as number) : fallback
}

/** Problems of what a call asks for, before any tensor is looked at. */
const refuseNumbers = (call: Call, layout: MoeLayout): readonly Diagnostic[] => {
  const experts = modelsOf(call, 'experts')
  const perToken = numberOf(call.params, 'experts_per_token', 2)
  const shared = modelsOf(call, 'shared')
  return [
    ...(perToken > experts.length ? [say.tooManyPerToken(call.at('experts_per_token'), perToken, experts.length)] : []),
    ...(shared.length > 0 && layout.shared === undefined ? [say.sharedExpert(shared[0]!.at, layout.title, false)] : []),
    ...(shared.length === 0 && layout.shared?.needed === true
      ? [say.sharedExpert(call.at('op'), layout.title, true)]
      : []),
  ]
}

const evaluate = (call: Call): Result<readonly Value[]> => {
  const [base, shared] = [modelsOf(call, 'base')[0]!, modelsOf(call, 'shared')[0]]
  const experts = modelsOf(call, 'experts')
  const opaque = refuseOpaqueModels([base, ...experts, ...(shared === undefined ? [] : [shared])])
  if (opaque.length > 0) return failed(...opaque)
  const first = base.value.tensors.get(FIRST)
  if (first === undefined) return failed(say.noDenseLayers(base.at, base.value.label, FIRST))
  const chosen = layoutOf(call, base.value)
  const layout = moeLayout(chosen)
  const wrong = refuseNumbers(call, layout)
  if (wrong.length > 0) return failed(...wrong)
  const numbers = [...base.value.tensors.keys()].flatMap((name) => IN_LAYER.exec(name)?.[1] ?? [])
  const layers = numbers.reduce((most, n) => Math.max(most, Number(n)), 0) + 1
  const unfit = refuseBase(base, layout, layers)
  if (unfit !== undefined) return failed(unfit)
  const matrices = [...base.value.tensors.keys()].filter((name) => IN_MLP.test(IN_LAYER.exec(name)?.[2] ?? ''))
  const problems = [...experts, ...(shared === undefined ? [] : [shared])].flatMap(
    (expert) => refuseExpert(expert, base.value, matrices) ?? [],
  )
  if (problems.length > 0) return failed(...problems)

  const hidden = first.shape[1]!
  const routersOf = (layer: number): readonly Router[] => [
    { name: `${PATH}.${layer}.${layout.router}`, shape: [experts.length, hidden], isShared: false },
    ...(shared === undefined || layout.shared?.gate === undefined
      ? []
      : [{ name: `${PATH}.${layer}.${layout.shared.gate}`, shape: [1, hidden] as const, isShared: true }]),
  ]
  const routers = Array.from({ length: layers }, (_, layer) => routersOf(layer)).flat()
  const maker = routerMaker(call, base, routers)
  if (maker.type === 'failed') return maker

  const mixture = createMixture(call, base.value)
  for (const [name, slot] of base.value.tensors) {
    const [, layer, below = ''] = IN_LAYER.exec(name) ?? []
    const matrix = IN_MLP.exec(below)?.[1] as (typeof MATRICES)[number] | undefined
    if (UNREAD.test(name)) call.note({ type: 'dropped', tensor: name })
    else if (matrix === undefined) mixture.keep(slot)
    else {
      const scaleOf = (args: Call['params']): number =>
        matrix === 'down_proj' ? numberOf(args, 'residual_scale', 1) : 1
      for (const [i, expert] of experts.entries()) {
        const args = call.each[i]!
        const to = `${PATH}.${layer}.${layout.experts}.${i}.${layout.matrices[matrix]}.weight`
        mixture.expert(expert, [name, to], numberOf(args, 'noise_scale', 0), scaleOf(args))
      }
      if (shared !== undefined)
        mixture.expert(shared, [name, `${PATH}.${layer}.${layout.shared!.path}.${matrix}.weight`], 0, 1)
    }
  }
  for (let layer = 0; layer < layers; layer++)
    for (const below of layout.attention.zeros) {
      const name = `${PATH}.${layer}.${below}`
      const weight = base.value.tensors.get(name.replace(/bias$/, 'weight'))
      if (!base.value.tensors.has(name) && weight !== undefined)
        mixture.make(name, [weight.shape[0]!], weight, () => call.graph.fill(0))
    }
  for (const router of routers) mixture.make(router.name, router.shape, first, () => maker.value(router))
  const alike = new Set(experts.map(({ value }) => value.tensors)).size === 1
  const value: ModelValue = {
    kind: 'model',
    space: 'weights',
    label: labelOf(call),
    tensors: mixture.tensors,
    tensor: mixture.tensor,
    config: mixtureConfig(chosen, PATH, {
      experts: experts.length,
      perToken: numberOf(call.params, 'experts_per_token', 2),
      shared: shared !== undefined,
      intermediate: first.shape[0]!,
    }),
  }
  return ok([value], [...maker.diagnostics, ...(alike ? [say.expertsAlike(call.at('experts'))] : [])])
}

/** Makes a mixture of experts of dense models. */
export const moe: Operator = {
  id: 'model.moe',
  version: 1,
  summary: 'Makes a mixture of experts of several language models.',
  aliases: [...named('mergekit', ['mergekit-moe', 'moe']), { name: 'sparse upcycling', from: 'common usage' }],
  details: [
    'The result has attention, norms, embeddings and head of `base`, and in each layer the MLPs of all `experts`, of which a *router* chooses `experts_per_token` for each token. The names are those that checkpoints of the layout have on hubs, so that transformers, vLLM and llama.cpp load the folder. Nothing but routers is computed; experts of another dtype than the base are converted to it.',
    '',
    'Where the routers come from:',
    '',
    '- `gates: random` and `uniform_random`: random numbers, for a mixture that is going to be trained. `uniform_random` is how PyTorch begins.',
    '- `gates: cheap_embed`: for each expert, the embeddings of the tokens of its `positive` prompts are added up and brought to length 1; with `negative` prompts, theirs are subtracted, and the difference is brought to length 1 again. All layers get the same router.',
    '- `routers`: a safetensors file that has them under their names in the result, such as `model.layers.0.block_sparse_moe.gate.weight`, [experts, hidden]. `examples/gates/gates.py` makes one from the hidden states of prompts, as `gate_mode: hidden` of mergekit-moe does; another mixture of the same layout is such a file, too.',
    '',
    'A prompt is a text or a list of token ids. Texts are turned into tokens by the tokenizer.json in the folder of the base model, with the beginning token in front.',
    'An output whose path ends in `/` gets the config.json of the layout, made of that of the base.',
  ].join('\n'),
  source: 'mergekit 0.1.5, mergekit-moe; Jiang et al. 2024, “Mixtral of Experts”, arXiv 2401.04088',
  output: 'model',
  inputs: {
    base: model('The model that gives everything but the MLPs.'),
    experts: models(
      'The experts, in the order of their numbers.',
      {
        positive: prompts('What the expert is good at, for `gates: cheap_embed`.'),
        negative: prompts('What it should not be used for.'),
        noise_scale: number({
          min: 0,
          description: 'Adds normal noise of this standard deviation to the expert’s matrices. Without it, none.',
        }),
        residual_scale: number({
          description: 'Multiplies the last matrix of the expert’s MLPs. Without it, 1.',
        }),
      },
      2,
    ),
    shared: modelAside('The model whose MLPs every token passes, in layouts with a shared expert.'),
    routers: modelAside('A file of routers.'),
  },
  params: {
    layout: choice(LAYOUTS, 'auto', 'How the result names its tensors, and which network it is.'),
    gates: choice(GATES, 'random', 'How routers are made.'),
    experts_per_token: integer({ default: 2, min: 1, description: 'How many experts each token is sent to.' }),
    shared_positive: prompts('Prompts for the gate of the shared expert of Qwen2-MoE.'),
    shared_negative: prompts('Prompts that its gate should be closed for.'),
  },
  merges: false,
  exact: true,
  nonFinite: say.ROUTER_ADVICE,
  draws: true,
  examples: [
    {
      title: 'two experts, whose routers are the embeddings of a token each',
      inputs: {
        base: {
          'model.embed_tokens.weight': [
            [0, 0],
            [3, 4],
            [0, 2],
          ],
          'model.layers.0.mlp.gate_proj.weight': [[1, 2]],
          'model.layers.0.mlp.up_proj.weight': [[3, 4]],
          'model.layers.0.mlp.down_proj.weight': [[5], [6]],
        },
        experts: [
          {
            model: {
              'model.layers.0.mlp.gate_proj.weight': [[1, 1]],
              'model.layers.0.mlp.up_proj.weight': [[2, 2]],
              'model.layers.0.mlp.down_proj.weight': [[3], [3]],
            },
            positive: [[1]],
          },
          {
            model: {
              'model.layers.0.mlp.gate_proj.weight': [[4, 4]],
              'model.layers.0.mlp.up_proj.weight': [[5, 5]],
              'model.layers.0.mlp.down_proj.weight': [[6], [6]],
            },
            positive: [[2]],
            residual_scale: 0.5,
          },
        ],
      },
      params: { gates: 'cheap_embed' },
      expect: {
        'model.embed_tokens.weight': [
          [0, 0],
          [3, 4],
          [0, 2],
        ],
        'model.layers.0.block_sparse_moe.experts.0.w1.weight': [[1, 1]],
        'model.layers.0.block_sparse_moe.experts.1.w1.weight': [[4, 4]],
        'model.layers.0.block_sparse_moe.experts.0.w3.weight': [[2, 2]],
        'model.layers.0.block_sparse_moe.experts.1.w3.weight': [[5, 5]],
        'model.layers.0.block_sparse_moe.experts.0.w2.weight': [[3], [3]],
        'model.layers.0.block_sparse_moe.experts.1.w2.weight': [[3], [3]],
        'model.layers.0.block_sparse_moe.gate.weight': [
          [0.6, 0.8],
          [0, 1],
        ],
      },
    },
  ],
  evaluate,
}
