import { describe, expect, test } from 'vitest'
import { createDice } from './dice.js'
import { bake, filled, type Tensors } from './bake.js'
import { KINDS, matrix, OF_CONVOLUTIONS, transpose, type Kind, type Matrix, type Size } from './kind-cases.js'

const numbers = (seed: number): (() => number) => {
  const dice = createDice(seed)
  return () => dice(2001) / 1000 - 1
}

/** A tensor as a model stores it. */
interface Stored {
  readonly shape: readonly number[]
  readonly rows: Matrix
}

/** How a model stores the weights of some modules: the matrices of these, in one tensor or several. */
interface Layout {
  readonly size: Size
  /** The modules of one tensor, in the order in which it has them; or the one of several tensors. */
  readonly modules: readonly string[]
  readonly tensors: readonly string[]
  readonly store: (weights: readonly Matrix[]) => readonly Stored[]
  /** Tensors that tell the architecture. */
  readonly beside: Tensors
}

const LINEAR: Size = { outputs: 8, inputs: 6, kernel: [] }
const CONVOLUTION: Size = { outputs: 8, inputs: 6, kernel: [2, 2] }
const TE = 'lora_te_text_model_encoder_layers_0_self_attn_'

const LAYOUTS: Readonly<Record<string, Layout>> = {
  'a linear layer': {
    size: LINEAR,
    modules: ['net.fc'],
    tensors: ['net.fc.weight'],
    store: ([w]) => [{ shape: [8, 6], rows: w! }],
    beside: {},
  },
  'a convolution': {
    size: CONVOLUTION,
    modules: ['net.conv'],
    tensors: ['net.conv.weight'],
    store: ([w]) => [{ shape: [8, 6, 2, 2], rows: w! }],
    beside: {},
  },
  'rows of a fused layer': {
    size: LINEAR,
    modules: [`${TE}q_proj`, `${TE}k_proj`, `${TE}v_proj`],
    tensors: ['transformer.resblocks.0.attn.in_proj_weight'],
    store: (weights) => [{ shape: [24, 6], rows: weights.flat() }],
    beside: { text_projection: filled([6, 8], 1) },
  },
  'several layers as one': {
    size: { outputs: 12, inputs: 6, kernel: [] },
    modules: ['lora_unet_double_blocks_0_img_attn_qkv'],
    tensors: ['to_q', 'to_k', 'to_v'].map((name) => `transformer_blocks.0.attn.${name}.weight`),
    store: ([w]) => [0, 4, 8].map((first) => ({ shape: [4, 6], rows: w!.slice(first, first + 4) })),
    beside: {
      'x_embedder.weight': filled([4, 2], 1),
      'transformer_blocks.0.attn.add_q_proj.weight': filled([4, 6], 1),
      'single_transformer_blocks.0.attn.to_q.weight': filled([4, 6], 1),
      'single_transformer_blocks.0.proj_mlp.weight': filled([16, 6], 1),
    },
  },
  'a transposed layer': {
    size: LINEAR,
    modules: ['lora_te_text_projection'],
    tensors: ['text_projection'],
    store: ([w]) => [{ shape: [6, 8], rows: transpose(w!) }],
    beside: { 'transformer.resblocks.0.attn.in_proj_weight': filled([18, 6], 1) },
  },
  'a layer with its halves exchanged': {
    size: LINEAR,
    modules: ['transformer.norm_out.linear'],
    tensors: ['final_layer.adaLN_modulation.1.weight'],
    store: ([w]) => [{ shape: [8, 6], rows: [...w!.slice(4), ...w!.slice(0, 4)] }],
    beside: {
      'double_blocks.0.img_attn.norm.key_norm.scale': filled([1], 1),
      'img_in.weight': filled([4, 1], 1),
    },
  },
}

const flattened = (stored: readonly Stored[]): readonly number[] => stored.flatMap(({ rows }) => rows.flat())

const bakeKind = async (layout: Layout, kind: Kind, seed: number, strength: number) => {
  const dice = numbers(seed)
  const { size, tensors: names } = layout
  const columns = size.inputs * size.kernel.reduce((n, d) => n * d, 1)
  const weights = layout.modules.map(() => matrix(size.outputs, columns, () => Math.fround(dice())))
  const cases = layout.modules.map(() => kind(size, dice))
  const adapter = Object.fromEntries(
    cases.flatMap(({ tensors }, i) =>
      Object.entries(tensors).map(([ending, values]) => [`${layout.modules[i]}.${ending}`, values] as const),
    ),
  )
  const { problems, tensors } = await bake({
    model: {
      ...layout.beside,
      ...Object.fromEntries(
        layout.store(weights).map(({ shape, rows }, i) => [names[i]!, { dtype: 'F32', shape, values: rows.flat() }]),
      ),
    },
    adapter,
    ...(cases[0]!.config && { config: cases[0]!.config }),
    params: { strength },
  })
  return {
    problems,
    found: names.flatMap((name) => tensors[name] ?? []),
    expected: flattened(layout.store(cases.map(({ apply }, i) => apply(weights[i]!, strength)))),
  }
}

describe.each(Object.entries(LAYOUTS))('%s under', (name, layout) => {
  const kinds = { ...KINDS, ...(name === 'a convolution' ? OF_CONVOLUTIONS : {}) }
  test.each(Object.entries(kinds))('%s is what its trainer makes of it', async (what, kind) => {
    const { problems, found, expected } = await bakeKind(layout, kind, what.length, 0.75)
    const rotatesPatches = layout.size.kernel.length > 0 && what.startsWith('PEFT’s OFT')
    expect(problems.map((d) => d.code)).toEqual(rotatesPatches ? ['adapter-patches-rotated'] : [])
    const most = Math.max(...expected.map(Math.abs))
    expect(Math.max(...found.map((x, i) => Math.abs(x - expected[i]!))) / most).toBeLessThan(1e-6)
  })
})

test.each(Object.entries(KINDS))('a strength of 0 leaves a weight as it is under %s', async (_what, kind) => {
  const { found } = await bakeKind(LAYOUTS['a linear layer']!, kind, 3, 0)
  const dice = numbers(3)
  expect(found).toEqual(Array.from({ length: 48 }, () => Math.fround(dice())))
})
