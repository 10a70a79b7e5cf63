import { describe, expect, test } from 'vitest'
import { bake, f32, filled, type Tensors } from './bake.js'

const model: Tensors = {
  'net.fc.weight': f32([2, 3], 1, 2, 3, 4, 5, 6),
  'net.fc.bias': f32([2], 10, 20),
  'net.embed.weight': filled([3, 2], 1),
}
const of = (tensors: Tensors, module = 'net.fc'): Tensors =>
  Object.fromEntries(
    Object.entries(tensors).map(([ending, values]) => [`base_model.model.${module}.${ending}`, values]),
  )

const problemsOf = async (adapter: Tensors, config?: object): Promise<readonly string[]> =>
  (await bake({ model, adapter, ...(config && { config }) })).problems.map((d) => `${d.code}: ${d.message}`)

describe('PEFT’s', () => {
  test('LoKr is scaled by alpha / r, also where both matrices are whole', async () => {
    const { problems, tensors } = await bake({
      model,
      adapter: of({ lokr_w1: f32([1, 3], 1, 2, 3), lokr_w2: f32([2, 1], 1, 10) }),
      config: { peft_type: 'LOKR', r: 8, alpha: 4 },
    })
    expect(problems).toEqual([])
    expect(tensors['net.fc.weight']).toEqual([1.5, 3, 4.5, 9, 15, 21])
  })

  test('LoHa takes its scale from the config, with ranks and alphas by pattern', async () => {
    const ones = { hada_w1_a: filled([2, 2], 1), hada_w1_b: filled([2, 3], 1) }
    const { problems, tensors } = await bake({
      model,
      adapter: of({ ...ones, hada_w2_a: filled([2, 2], 1), hada_w2_b: filled([2, 3], 1) }),
      config: { peft_type: 'LOHA', r: 4, alpha: 3, rank_pattern: { fc: 2 }, alpha_pattern: { fc: 1 } },
    })
    expect(problems).toEqual([])
    expect(tensors['net.fc.weight']).toEqual([3, 4, 5, 6, 7, 8])
  })

  test('LoHa without its config states no scale', async () => {
    const ones = { hada_w1_a: filled([2, 1], 1), hada_w1_b: filled([1, 3], 1) }
    expect(await problemsOf(of({ ...ones, hada_w2_a: filled([2, 1], 1), hada_w2_b: filled([1, 3], 1) }))).toEqual([
      expect.stringMatching(/^adapter-config-missing:/),
    ])
  })

  test('(IA)³ multiplies the bias along with the rows, and not along with the columns', async () => {
    const config = { peft_type: 'IA3', feedforward_modules: [] }
    const rows = await bake({ model, adapter: of({ ia3_l: f32([2, 1], 2, 0.5) }), config, params: { strength: 0.5 } })
    expect(rows.problems).toEqual([])
    expect(rows.tensors['net.fc.weight']).toEqual([1.5, 3, 4.5, 3, 3.75, 4.5])
    expect(rows.tensors['net.fc.bias']).toEqual([15, 15])
    const columns = await bake({ model, adapter: of({ ia3_l: f32([1, 3], 2, 1, 0) }), config })
    expect(columns.tensors['net.fc.weight']).toEqual([2, 2, 0, 8, 5, 0])
    expect(columns.tensors['net.fc.bias']).toEqual([10, 20])
  })

  test('(IA)³ of layers that are stored transposed multiplies columns for rows', async () => {
    const { problems, tensors } = await bake({
      model: { 'net.fc.weight': model['net.fc.weight']! },
      adapter: of({ ia3_l: f32([3, 1], 2, 1, 0) }),
      config: { peft_type: 'IA3', fan_in_fan_out: true },
    })
    expect(problems).toEqual([])
    expect(tensors['net.fc.weight']).toEqual([2, 2, 0, 8, 5, 0])
  })

  test('(IA)³ of a convolution with as many inputs as outputs is for what the config says', async () => {
    const square = { 'net.conv.weight': f32([2, 2, 1, 1], 1, 2, 3, 4) }
    const adapter = of({ ia3_l: f32([1, 2, 1, 1], 10, 1) }, 'net.conv')
    const built = async (feedforward_modules: unknown) =>
      (await bake({ model: square, adapter, config: { peft_type: 'IA3', feedforward_modules } })).tensors[
        'net.conv.weight'
      ]
    expect(await built([])).toEqual([10, 20, 3, 4])
    expect(await built(['conv'])).toEqual([10, 2, 30, 4])
    expect(await built('.*conv')).toEqual([10, 2, 30, 4])
    const { problems } = await bake({ model: square, adapter })
    expect(problems.map((d) => d.code)).toEqual(['adapter-config-missing'])
  })

  test('LoRA of layers that are stored transposed is transposed', async () => {
    const { problems, tensors } = await bake({
      model,
      adapter: of({ 'lora_B.weight': f32([3, 1], 1, 2, 3), 'lora_A.weight': f32([1, 2], 1, 10) }),
      config: { r: 1, lora_alpha: 1, fan_in_fan_out: true },
    })
    expect(problems).toEqual([])
    expect(tensors['net.fc.weight']).toEqual([2, 4, 6, 14, 25, 36])
  })

  test('where a config speaks of another layer, the biases beside a square weight tell how it is stored', async () => {
    const layers = (columns: boolean) => ({
      'net.h.c_proj.weight': f32([2, 2], 0, 0, 0, 0),
      'net.h.c_proj.bias': f32([2], 0, 0),
      'net.h.c_attn.weight': columns ? f32([2, 3], 0, 0, 0, 0, 0, 0) : f32([3, 2], 0, 0, 0, 0, 0, 0),
      'net.h.c_attn.bias': f32([3], 0, 0, 0),
    })
    const adapter = of({ 'lora_B.weight': f32([2, 1], 1, 2), 'lora_A.weight': f32([1, 2], 1, 10) }, 'net.h.c_proj')
    for (const [columns, said] of [
      [true, false],
      [false, true],
    ] as const) {
      const { problems, tensors } = await bake({
        model: layers(columns),
        adapter,
        config: { r: 1, lora_alpha: 1, fan_in_fan_out: said },
      })
      expect(problems).toEqual([])
      expect(tensors['net.h.c_proj.weight']).toEqual(columns ? [1, 2, 10, 20] : [1, 10, 2, 20])
    }
  })

  test('where layers beside a square weight tell different things, the config counts, and never for a convolution', async () => {
    const { problems, tensors } = await bake({
      model: {
        'net.h.q.weight': f32([2, 2], 0, 0, 0, 0),
        'net.h.up.weight': filled([3, 2], 0),
        'net.h.up.bias': filled([3], 0),
        'net.h.c.weight': filled([2, 3], 0),
        'net.h.c.bias': filled([3], 0),
      },
      adapter: of({ 'lora_B.weight': f32([2, 1], 1, 2), 'lora_A.weight': f32([1, 2], 1, 10) }, 'net.h.q'),
      config: { r: 1, lora_alpha: 1, fan_in_fan_out: false },
    })
    expect(problems).toEqual([])
    expect(tensors['net.h.q.weight']).toEqual([1, 10, 2, 20])
    const convolution = await bake({
      model: { 'net.conv.weight': filled([3, 2, 1, 2], 0) },
      adapter: of(
        { 'lora_B.weight': f32([3, 1, 1, 1], 1, 2, 3), 'lora_A.weight': f32([1, 2, 1, 2], 1, 0, 0, 10) },
        'net.conv',
      ),
      config: { r: 1, lora_alpha: 1, fan_in_fan_out: true },
    })
    expect(convolution.problems).toEqual([])
    expect(convolution.tensors['net.conv.weight']).toEqual([1, 0, 0, 10, 2, 0, 0, 20, 3, 0, 0, 30])
  })

  test('LoRA of embeddings is transposed, also with DoRA, whose lengths are then of columns', async () => {
    const factors = of({ lora_embedding_B: f32([2, 1], 3, 0), lora_embedding_A: f32([1, 3], 1, 0, 1) }, 'net.embed')
    const config = { r: 1, lora_alpha: 1 }
    const plain = await bake({ model, adapter: factors, config })
    expect(plain.problems).toEqual([])
    expect(plain.tensors['net.embed.weight']).toEqual([4, 1, 1, 1, 4, 1])
    const dora = await bake({
      model,
      adapter: { ...factors, ...of({ lora_magnitude_vector: f32([2], Math.sqrt(33), 2 * Math.sqrt(3)) }, 'net.embed') },
      config: { ...config, use_dora: true },
    })
    expect(dora.problems).toEqual([])
    for (const [i, x] of [4, 2, 1, 2, 4, 2].entries()) expect(dora.tensors['net.embed.weight']![i]).toBeCloseTo(x, 5)
  })

  test('DoRA without its lengths is incomplete', async () => {
    const factors = of({ 'lora_B.weight': filled([2, 1], 1), 'lora_A.weight': filled([1, 3], 1) })
    expect(await problemsOf(factors, { r: 1, lora_alpha: 1, use_dora: true })).toEqual([
      expect.stringMatching(/^factor-missing: .* has no `lora_magnitude_vector`$/),
    ])
  })

  test('config of (IA)³ fits no factors', async () => {
    const factors = of({ 'lora_B.weight': filled([2, 1], 1), 'lora_A.weight': filled([1, 3], 1) })
    expect(await problemsOf(factors, { peft_type: 'IA3' })).toEqual([expect.stringMatching(/^bad-rank:/)])
  })
})

test('embeddings that an adapter brings along are left out, with a warning', async () => {
  const { problems, tensors } = await bake({
    model,
    adapter: { 'net.fc.diff': filled([2, 3], 1), 'bundle_emb.ink.clip_l': filled([2, 4], 1) },
  })
  expect(problems).toMatchObject([
    { severity: 'warning', code: 'adapter-embeddings', message: expect.stringContaining('`bundle_emb.ink.clip_l`') },
  ])
  expect(tensors['net.fc.weight']).toEqual([2, 3, 4, 5, 6, 7])
})

describe('refused is a module that has', () => {
  const lora = { 'net.fc.lora_up.weight': filled([2, 1], 1), 'net.fc.lora_down.weight': filled([1, 3], 1) }
  const left = { 'net.fc.lokr_w1': filled([1, 3], 1) }
  const right = { 'net.fc.lokr_w2': filled([2, 1], 1) }
  test.each<readonly [what: string, adapter: Tensors, expected: RegExp]>([
    ['two kinds', { ...lora, ...left, ...right }, /^two-changes: `net\.fc` .* two kinds/],
    ['a rotation and factors', { ...lora, 'net.fc.oft_blocks': filled([1, 2, 2], 1) }, /^two-changes: .* two kinds/],
    ['lengths alone', { 'net.fc.dora_scale': filled([2, 1], 1) }, /^factor-missing: .* has no factors$/],
    [
      'lengths of a rotation',
      { 'net.fc.dora_scale': filled([2, 1], 1), 'net.fc.oft_blocks': filled([1, 2, 2], 1) },
      /^two-changes:/,
    ],
    [
      'lengths of another size',
      { ...lora, 'net.fc.dora_scale': filled([4, 1], 1) },
      /^adapter-shape: `net\.fc\.dora_scale` .* is \[4, 1\], but `net\.fc` needs \[2, 1\]: it changes `net\.fc\.weight`/,
    ],
    ['one matrix of a LoKr', left, /^factor-missing: .* has no `lokr_w2`$/],
    [
      'one factor of a matrix',
      { ...left, 'net.fc.lokr_w2_a': filled([2, 1], 1) },
      /^factor-missing: .* has no `lokr_w2_b`$/,
    ],
    [
      'a matrix twice',
      { ...left, ...right, 'net.fc.lokr_w2_a': filled([2, 1], 1) },
      /^two-changes: .* one matrix twice: `net\.fc\.lokr_w2`, `net\.fc\.lokr_w2_a`$/,
    ],
    [
      'a Kronecker product of another size',
      { ...left, 'net.fc.lokr_w2': filled([3, 1], 1) },
      /^adapter-shape: `net\.fc` .* makes a difference of \[3, 3\], but `net\.fc\.weight` is \[2, 3\]/,
    ],
    [
      'factors of different ranks',
      { ...left, 'net.fc.lokr_w2_a': filled([2, 1], 1), 'net.fc.lokr_w2_b': filled([2, 1], 1) },
      /^bad-rank: .* no rank is common to/,
    ],
    [
      'a side that is none',
      { 'net.fc.weight': filled([2], 1), 'net.fc.on_input': f32([], 3) },
      /^bad-alpha: `net\.fc\.on_input` .* is 3; it must be 0 or 1$/,
    ],
    [
      'factors of (IA)³ of another size',
      { 'net.fc.weight': filled([3], 1), 'net.fc.on_input': f32([], 0) },
      /^adapter-shape: `net\.fc\.weight` .* needs \[2\]/,
    ],
    ['no factors of (IA)³', { ...lora, 'net.fc.on_input': f32([], 0) }, /^factor-missing: .* has no `weight`$/],
    [
      'blocks that do not divide its rows',
      { 'net.fc.oft_blocks': filled([1, 3, 3], 1) },
      /^adapter-shape: .* blocks of that size do not divide the 2 rows/,
    ],
    [
      'too few blocks',
      { 'net.fc.oft_blocks': filled([1, 1, 1], 1) },
      /^adapter-shape: .* needs \[2, 1, 1\]: it changes/,
    ],
    [
      'more levels than rows',
      { 'net.fc.oft_blocks': filled([2, 1, 2, 2], 1) },
      /^adapter-shape: .* do not divide the 2 rows/,
    ],
    [
      'a negative constraint',
      { 'net.fc.oft_blocks': filled([1, 2, 2], 1), 'net.fc.alpha': f32([], -1) },
      /^bad-alpha: .* is -1; the constraint/,
    ],
    ['factors of rows alone', { 'net.fc.rescale': filled([2, 1], 1) }, /^factor-missing: .* has no `oft_blocks`$/],
    [
      'a part of GLoRA',
      { 'net.fc.a1.weight': filled([3, 1], 1) },
      /^factor-missing: .* has no `a2` and no `b1` and no `b2`$/,
    ],
    [
      'GLoRA of no layout',
      Object.fromEntries(['a1', 'a2', 'b1', 'b2'].map((x, i) => [`net.fc.${x}.weight`, filled([2 + i, 9], 1)])),
      /^bad-rank: .* no rank is common/,
    ],
    ['an alpha that overflows', { ...lora, 'net.fc.alpha': f32([], 1e38) }, /^bad-alpha: .* at most 16777216$/],
  ])('%s', async (_what, adapter, expected) => {
    expect(await problemsOf(adapter)).toEqual([expect.stringMatching(expected)])
  })
})
