import { noAttention } from '../../base/catalogue/operators.js'
import { failed } from '../../base/result.js'
import type { Scalar } from '../../graph/expression.js'
import type { Graph } from '../../graph/graph.js'
import { named } from '../aliases.js'
import { defineOperator } from '../define.js'
import { modelsOf, valueOf } from '../call-arguments.js'
import type { Operator } from '../operator.js'
import { refuseOpaqueModels } from '../opaque.js'
import { choice, flag, model } from '../params.js'
import { sameShape } from '../shape.js'
import type { ModelValue } from '../value.js'

const METHODS = {
  attn_only: 'multiplies queries by `r` and divides keys by it; the model’s output does not change',
  q_norm:
    'also multiplies the output projection by its own `r` and divides the values by it; the output does not change',
  all: 'multiplies every tensor by the ratio of its norms, and a bias by that of its weight; this changes the output',
} as const

type Method = keyof typeof METHODS

/** The usual names of attention layers; the tensors of one layer share the prefix before these. */
const LAYERS = [
  { q: 'to_q', k: 'to_k', v: 'to_v', out: 'to_out.0' },
  { q: 'q_proj', k: 'k_proj', v: 'v_proj', out: 'out_proj' },
  { q: 'q_proj', k: 'k_proj', v: 'v_proj', out: 'o_proj' },
] as const

/** Norms below this count as zero. */
const LEAST_NORM = 1e-12

/** ‖to‖/‖from‖ of a tensor of both models. */
const ratioOf = (g: Graph, from: ModelValue, to: ModelValue, name: string): Scalar =>
  g.div(g.norm(to.tensor(name)), g.add(g.norm(from.tensor(name)), LEAST_NORM))

/** The factor of each tensor; a tensor that is not listed stays. */
type Factors = Map<string, Scalar>

const isShared = (a: ModelValue, b: ModelValue, name: string): boolean => {
  const [x, y] = [a.tensors.get(name), b.tensors.get(name)]
  return x !== undefined && y !== undefined && sameShape(x.shape, y.shape)
}

/**
 * If one tensor is applied after another, a factor on one and its inverse on the other cancel; if the ratio is
 * unusable, both stay.
 */
const compensate = (
  g: Graph,
  factors: Factors,
  ratio: Scalar,
  times: readonly string[],
  divided: readonly string[],
): void => {
  const usable = g.ifLess(ratio, LEAST_NORM, 1, g.ifLess(1 / LEAST_NORM, ratio, 1, ratio))
  for (const name of times) factors.set(name, usable)
  for (const name of divided) factors.set(name, g.div(1, usable))
}

const withBias = (path: string): readonly string[] => [`${path}.weight`, `${path}.bias`]

const attentionFactors = (
  g: Graph,
  a: ModelValue,
  b: ModelValue,
  ratio: (name: string) => Scalar,
  method: Method,
): Factors => {
  const factors: Factors = new Map()
  for (const name of a.tensors.keys()) {
    for (const { q, k, v, out } of LAYERS) {
      if (!`.${name}`.endsWith(`.${q}.weight`)) continue
      const layer = name.slice(0, -`${q}.weight`.length)
      if (isShared(a, b, name) && isShared(a, b, `${layer}${k}.weight`))
        compensate(g, factors, ratio(name), withBias(layer + q), withBias(layer + k))
      const [values, projection] = [`${layer}${v}.weight`, `${layer}${out}.weight`]
      // The bias of the projection is added behind it, so it stays.
      if (method === 'q_norm' && isShared(a, b, values) && isShared(a, b, projection))
        compensate(g, factors, ratio(projection), [projection], withBias(layer + v))
    }
  }
  return factors
}

const allFactors = (a: ModelValue, b: ModelValue, ratio: (name: string) => Scalar): Factors =>
  new Map(
    [...a.tensors.keys()].flatMap((name) => {
      const weight = name.replace(/(^|\.)bias$/, '$1weight')
      const by = isShared(a, b, weight) ? weight : name
      return isShared(a, b, by) ? [[name, ratio(by)] as const] : []
    }),
  )

const description = {
  id: 'model.normalize',
  version: 1,
  summary: 'Gives the tensors of one model the norms of another’s.',
  aliases: [
    ...named(
      'ComfyUI-DareMerge',
      ['DM_NormalizeModel', 'Normalize Model'],
      'the same `method` and `magnify`; `attn_only` does not change what the model computes here',
    ),
  ],
  details: [
    '`r = ‖b‖/‖a‖`, over a whole tensor; with `magnify`, the inverse, `‖a‖/‖b‖`.',
    '',
    'Attention depends only on the product of queries and keys, and its output only on the product of values and output projection. So a factor on one and its inverse on the other, biases of queries, keys and values included, do not change what the model computes. `attn_only` and `q_norm` do nothing else, so they can be used on any model with such layers (`to_q`, `to_k`, `to_v`, `to_out.0`, or `q_proj`, `k_proj`, `v_proj`, and `out_proj` or `o_proj`); other tensors are copied. With `layers` or a `mask` that selects only one of such a pair, the output does change.',
  ].join('\n'),
  source:
    'ComfyUI-DareMerge, normalize model (which scales the projection without its counterpart, and biases by the wrong tensor)',
  output: 'model',
  inputs: { a: model('The model that is changed.'), b: model('The model whose norms are taken.') },
  params: {
    method: choice(METHODS, 'attn_only', 'What is scaled.'),
    magnify: flag(false, 'Scales by the inverse ratio.'),
  },
  merges: true,
  exact: true,
  draws: false,
  examples: [
    {
      inputs: {
        a: { 'attn.to_q.weight': [[3, 4]], 'attn.to_k.weight': [[2, 4]], 'attn.to_v.weight': [[1, 1]] },
        b: { 'attn.to_q.weight': [[0, 10]], 'attn.to_k.weight': [[1, 1]], 'attn.to_v.weight': [[5, 5]] },
      },
      expect: { 'attn.to_q.weight': [6, 8], 'attn.to_k.weight': [1, 2], 'attn.to_v.weight': [1, 1] },
    },
    {
      title: 'every tensor, biases with their weights',
      inputs: { a: { 'ff.weight': [3, 4], 'ff.bias': [1, 2] }, b: { 'ff.weight': [0, 10], 'ff.bias': [0, 0] } },
      params: { method: 'all' },
      expect: { 'ff.weight': [6, 8], 'ff.bias': [2, 4] },
    },
  ],
} as const

/** Gives the tensors of one model the norms of another's. */
export const normalize: Operator = {
  ...description,
  evaluate: (call) => {
    const { graph: g } = call
    const [a, b] = [modelsOf(call, 'a')[0]!.value, modelsOf(call, 'b')[0]!.value]
    const opaque = refuseOpaqueModels([...modelsOf(call, 'a'), ...modelsOf(call, 'b')])
    if (opaque.length > 0) return failed(...opaque)
    const method = (valueOf(call, 'method') ?? 'attn_only') as Method
    const [from, to] = valueOf(call, 'magnify') === true ? [b, a] : [a, b]
    const ratio = (name: string): Scalar => ratioOf(g, from, to, name)
    const factors = method === 'all' ? allFactors(a, b, ratio) : attentionFactors(g, a, b, ratio, method)
    if (factors.size === 0) return failed(noAttention(call.at('a'), a.label))
    // What every tensor is multiplied by is known only once the other tensors of its layer are, so the elements are
    // defined here.
    const element = defineOperator({
      ...description,
      touches: (name) => factors.has(name),
      build: (own, { a: x }, _, { name }) => own.mul(x, factors.get(name)!),
    })
    return element.evaluate(call)
  },
}
