import { describe, expect, test } from 'vitest'
import { createDice } from './dice.js'
import { bake, filled, type Tensors } from './bake.js'
import { KINDS, matrix, OF_CONVOLUTIONS, transpose, type Kind, type Matrix, type Size } from './kind-cases.js'

const numbers = (seed: number): (() => number) => {
  const dice = createDice(seed)
  return () => dice(2001) / 1000 - 1
}

/** How a model stores the weights of some modules: the matrices of these in one tensor, and back. */
interface Layout {
  readonly size: Size
  /** The modules of one tensor, in the order in which it has them. */
  readonly modules: readonly string[]
  readonly tensor: string
  readonly store: (weights: readonly Matrix[]) => { readonly shape: readonly number[]; readonly rows: Matrix }
  /** Tensors that tell the architecture. */
  readonly beside: Tensors
  /** Kinds that cannot be applied to it, by a start of their names. */
  readonly refused: readonly string[]
}

const LINEAR: Size = { outputs: 8, inputs: 6, kernel: [] }
const CONVOLUTION: Size = { outputs: 8, inputs: 6, kernel: [2, 2] }
const TE = 'lora_te_text_model_encoder_layers_0_self_attn_'

const LAYOUTS: Readonly<Record<string, Layout>> = {
  'a linear layer': {
    size: LINEAR,
    modules: ['net.fc'],
    tensor: 'net.fc.weight',
    store: ([w]) => ({ shape: [8, 6], rows: w! }),
    beside: {},
    refused: [],
  },
  'a convolution': {
    size: CONVOLUTION,
    modules: ['net.conv'],
    tensor: 'net.conv.weight',
    store: ([w]) => ({ shape: [8, 6, 2, 2], rows: w! }),
    beside: {},
    refused: [],
  },
  'rows of a fused layer': {
    size: LINEAR,
    modules: [`${TE}q_proj`, `${TE}k_proj`, `${TE}v_proj`],
    tensor: 'transformer.resblocks.0.attn.in_proj_weight',
    store: (weights) => ({ shape: [24, 6], rows: weights.flat() }),
    beside: { text_projection: filled([6, 8], 1) },
    refused: [],
  },
  'a transposed layer': {
    size: LINEAR,
    modules: ['lora_te_text_projection'],
    tensor: 'text_projection',
    store: ([w]) => ({ shape: [6, 8], rows: transpose(w!) }),
    beside: { 'transformer.resblocks.0.attn.in_proj_weight': filled([18, 6], 1) },
    refused: ['GLoRA', 'OFT', 'BOFT', 'full'],
  },
  'a layer with its halves exchanged': {
    size: LINEAR,
    modules: ['transformer.norm_out.linear'],
    tensor: 'final_layer.adaLN_modulation.1.weight',
    store: ([w]) => ({ shape: [8, 6], rows: [...w!.slice(4), ...w!.slice(0, 4)] }),
    beside: {
      'double_blocks.0.img_attn.norm.key_norm.scale': filled([1], 1),
      'img_in.weight': filled([4, 1], 1),
    },
    refused: ['OFT', 'BOFT'],
  },
}

const bakeKind = async (layout: Layout, kind: Kind, seed: number, strength: number) => {
  const dice = numbers(seed)
  const { size, tensor } = layout
  const columns = size.inputs * size.kernel.reduce((n, d) => n * d, 1)
  const weights = layout.modules.map(() => matrix(size.outputs, columns, () => Math.fround(dice())))
  const cases = layout.modules.map(() => kind(size, dice))
  const { shape, rows } = layout.store(weights)
  const adapter = Object.fromEntries(
    cases.flatMap(({ tensors }, i) =>
      Object.entries(tensors).map(([ending, values]) => [`${layout.modules[i]}.${ending}`, values] as const),
    ),
  )
  const { problems, tensors } = await bake({
    model: { ...layout.beside, [tensor]: { dtype: 'F32', shape, values: rows.flat() } },
    adapter,
    ...(cases[0]!.config && { config: cases[0]!.config }),
    params: { strength },
  })
  return {
    problems,
    found: tensors[tensor],
    expected: layout.store(cases.map(({ apply }, i) => apply(weights[i]!, strength))).rows.flat(),
  }
}

describe.each(Object.entries(LAYOUTS))('%s under', (name, layout) => {
  const kinds = { ...KINDS, ...(name === 'a convolution' ? OF_CONVOLUTIONS : {}) }
  test.each(Object.entries(kinds))('%s is what its trainer makes of it, or refused', async (what, kind) => {
    const { problems, found, expected } = await bakeKind(layout, kind, what.length, 0.75)
    if (layout.refused.some((start) => what.startsWith(start))) {
      expect(problems.map((d) => d.code)).toEqual(['adapter-rearranged'])
      return
    }
    const rotatesPatches = layout.size.kernel.length > 0 && what.startsWith('PEFT’s OFT')
    expect(problems.map((d) => d.code)).toEqual(rotatesPatches ? ['adapter-patches-rotated'] : [])
    const most = Math.max(...expected.map(Math.abs))
    expect(Math.max(...found!.map((x, i) => Math.abs(x - expected[i]!))) / most).toBeLessThan(1e-6)
  })
})

test.each(Object.entries(KINDS))('a strength of 0 leaves a weight as it is under %s', async (_what, kind) => {
  const { found } = await bakeKind(LAYOUTS['a linear layer']!, kind, 3, 0)
  const dice = numbers(3)
  expect(found).toEqual(Array.from({ length: 48 }, () => Math.fround(dice())))
})
