import { join } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import { buildMerges } from '../realmodels/build.js'
import { loadNetwork, readWeights, type Network, type Weights } from '../realmodels/network.js'
import { FOLDER } from '../realmodels/results.js'
import { evaluateLast, f32, problemsOf } from '../support/small.js'

const step = { op: 'model.normalize', a: 'A', b: 'B' }
/** Normalised to a model with norms three times as large. */
const normalized = (params: object) => ({
  large: { op: 'model.scale', model: 'B', factor: 3 },
  merge: { ...step, b: 'large', ...params },
})
const MERGES = {
  attn_only: normalized({ method: 'attn_only' }),
  magnified: normalized({ method: 'attn_only', magnify: true }),
  q_norm: normalized({ method: 'q_norm' }),
  all: normalized({ method: 'all' }),
}

/** The largest difference of any number. */
const distance = (x: readonly number[], y: readonly number[]): number =>
  Math.max(...x.map((value, i) => Math.abs(value - y[i]!)))

describe('a trained transformer', () => {
  let network: Network
  let before: Weights
  let after: Readonly<Record<string, Weights>>
  beforeAll(async () => {
    network = await loadNetwork('transformer')
    before = await readWeights(join(FOLDER, 'transformer', 'A.safetensors'))
    after = await buildMerges('transformer', MERGES)
  })

  const answers = async (weights: Weights): Promise<readonly number[]> =>
    (await network.logits(weights, 'A', [0, 50])).flat()
  const changed = (name: string): readonly string[] =>
    [...before]
      .filter(([tensor, { numbers }]) => distance([...numbers], [...after[name]!.get(tensor)!.numbers]) > 0)
      .map(([tensor]) => tensor.replace(/^layers\.\d\./, ''))

  test.each(['attn_only', 'magnified', 'q_norm'])(
    'answers as before once its attention is normalised by %s',
    async (name) => {
      expect(distance(await answers(before), await answers(after[name]!))).toBeLessThan(1e-4)
    },
  )

  test('has its queries and keys changed by `attn_only`, and its values and projections as well by `q_norm`', () => {
    const qk = ['self_attn.q_proj.weight', 'self_attn.q_proj.bias', 'self_attn.k_proj.weight', 'self_attn.k_proj.bias']
    expect(new Set(changed('attn_only'))).toEqual(new Set(qk))
    expect(new Set(changed('q_norm'))).toEqual(
      new Set([...qk, 'self_attn.v_proj.weight', 'self_attn.v_proj.bias', 'self_attn.out_proj.weight']),
    )
  })

  test('answers otherwise when every tensor is normalised', async () => {
    expect(distance(await answers(before), await answers(after['all']!))).toBeGreaterThan(1e-2)
  })
})

describe('attention layers', () => {
  const file = (q: string, k: string, v: string, out: string, scale: number) =>
    Object.fromEntries([q, k, v, out].map((name, i) => [`x.${name}.weight`, f32(scale * (i + 1), 0)]))

  test.each([
    ['to_q', 'to_k', 'to_v', 'to_out.0'],
    ['q_proj', 'k_proj', 'v_proj', 'out_proj'],
    ['q_proj', 'k_proj', 'v_proj', 'o_proj'],
  ])('are found as %s, %s, %s and %s', (q, k, v, out) => {
    const r = evaluateLast({ A: file(q, k, v, out, 1), B: file(q, k, v, out, 4) }, { r: { ...step, method: 'q_norm' } })
    expect([q, k, v, out].map((name) => r[`x.${name}.weight`]![0])).toEqual([4, 0.5, 0.75, 16])
  })

  test('are left as they are where a norm is 0', () => {
    const names = ['to_q', 'to_k', 'to_v', 'to_out.0'] as const
    const [a, zero] = [file(...names, 1), file(...names, 0)]
    expect(evaluateLast({ A: a, B: zero }, { r: step })['x.to_k.weight']).toEqual([2, 0])
    expect(evaluateLast({ A: zero, B: a }, { r: step })['x.to_q.weight']).toEqual([0, 0])
  })

  test('that are not there are a problem', () => {
    const files = { A: { 'x.in_proj_weight': f32(1) }, B: { 'x.in_proj_weight': f32(1) } }
    expect(problemsOf(files, { r: step })).toEqual(['error no-attention @r.a'])
    expect(problemsOf(files, { r: { ...step, method: 'all' } })).toEqual([])
  })

  test('stay pairs when the other model lacks one half', () => {
    const a = file('to_q', 'to_k', 'to_v', 'to_out.0', 1)
    const { 'x.to_k.weight': _, ...b } = file('to_q', 'to_k', 'to_v', 'to_out.0', 4)
    expect(evaluateLast({ A: a, B: b }, { r: { ...step, method: 'q_norm', missing: 'keep' } })).toMatchObject({
      'x.to_q.weight': [1, 0],
      'x.to_k.weight': [2, 0],
      'x.to_out.0.weight': [16, 0],
    })
  })
})
