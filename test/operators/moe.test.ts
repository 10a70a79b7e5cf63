import { describe, expect, test } from 'vitest'
import { planOf, problemsOf, readsOf, tryPlan, type Outline, type Paper } from '../plan/support.js'

interface Kind {
  readonly layers?: number
  readonly inner?: number
  readonly dtype?: 'BF16' | 'F16'
  readonly head?: boolean
  /** Further tensors of each layer, with their shapes. */
  readonly more?: Readonly<Record<string, readonly number[]>>
  readonly without?: readonly string[]
}

const QWEN2 = { 'self_attn.q_proj.bias': [4], 'self_attn.k_proj.bias': [2], 'self_attn.v_proj.bias': [2] }
const QWEN3 = { 'self_attn.q_norm.weight': [2], 'self_attn.k_norm.weight': [2] }

/** Names and shapes of a tiny dense language model. */
const dense = ({ layers = 2, inner = 6, dtype = 'BF16', head = true, more = {}, without = [] }: Kind = {}): Outline => {
  const shapes: Record<string, readonly number[]> = {
    'self_attn.q_proj.weight': [4, 4],
    'self_attn.k_proj.weight': [2, 4],
    'self_attn.v_proj.weight': [2, 4],
    'self_attn.o_proj.weight': [4, 4],
    'mlp.gate_proj.weight': [inner, 4],
    'mlp.up_proj.weight': [inner, 4],
    'mlp.down_proj.weight': [4, inner],
    'input_layernorm.weight': [4],
    'post_attention_layernorm.weight': [4],
    ...more,
  }
  const layer = (i: number) =>
    Object.entries(shapes).map(([name, shape]) => [`model.layers.${i}.${name}`, shape] as const)
  const all: readonly (readonly [string, readonly number[]])[] = [
    ['model.embed_tokens.weight', [8, 4]],
    ...Array.from({ length: layers }, (_, i) => layer(i)).flat(),
    ['model.norm.weight', [4]],
    ...(head ? [['lm_head.weight', [8, 4]] as const] : []),
  ]
  return Object.fromEntries(
    all.filter(([name]) => !without.includes(name)).map(([name, shape]) => [name, [dtype, shape] as const]),
  )
}

const paper = (step: object, models: Paper['models'] = {}): Paper => ({
  models: { a: dense(), b: dense(), c: dense(), ...models },
  steps: { m: { op: 'model.moe', base: 'a', experts: ['b', 'c'], ...step } },
  outputs: { o: { from: 'm', path: 'out.safetensors' } },
})

const namesOf = (made: Paper): readonly string[] => planOf(made).outputs[0]!.tensors.map(({ name }) => name)
const below = (made: Paper): readonly string[] =>
  namesOf(made)
    .flatMap((name) => /^model\.layers\.1\.(.*)/.exec(name)?.[1] ?? [])
    .filter((name) => !/layernorm|[qkvo]_proj\.weight/.test(name))
    .sort()
/** What a recipe is told, of what is underlined the first line. */
const toldOf = (made: Paper): readonly string[] => problemsOf(made).map((text) => text.split('\n')[0]!)
const messageOf = (made: Paper): string | undefined => tryPlan(made).diagnostics[0]?.message

describe('a mixture has the names of its layout', () => {
  test('Mixtral', () =>
    expect(below(paper({}))).toEqual([
      'block_sparse_moe.experts.0.w1.weight',
      'block_sparse_moe.experts.0.w2.weight',
      'block_sparse_moe.experts.0.w3.weight',
      'block_sparse_moe.experts.1.w1.weight',
      'block_sparse_moe.experts.1.w2.weight',
      'block_sparse_moe.experts.1.w3.weight',
      'block_sparse_moe.gate.weight',
    ]))

  const qwen = (i: number) => ['down', 'gate', 'up'].map((name) => `mlp.experts.${i}.${name}_proj.weight`)
  const shared = (path: string) => ['down', 'gate', 'up'].map((name) => `mlp.${path}.${name}_proj.weight`)

  test('Qwen2, whose biases are 0 where the base has none', () => {
    const made = paper({ shared: 'a', layout: 'qwen2' })
    expect(below(made)).toEqual([
      ...qwen(0),
      ...qwen(1),
      'mlp.gate.weight',
      ...shared('shared_expert'),
      'mlp.shared_expert_gate.weight',
      'self_attn.k_proj.bias',
      'self_attn.q_proj.bias',
      'self_attn.v_proj.bias',
    ])
    const { tensors } = planOf(made).outputs[0]!
    const shapeOf = (name: string) => tensors.find((t) => t.name === `model.layers.0.${name}`)?.shape
    expect(['self_attn.k_proj.bias', 'mlp.gate.weight', 'mlp.shared_expert_gate.weight'].map(shapeOf)).toEqual([
      [2],
      [2, 4],
      [1, 4],
    ])
  })

  test('Qwen3', () => {
    const three = dense({ more: QWEN3 })
    expect(below(paper({}, { a: three, b: three, c: three }))).toEqual([
      ...qwen(0),
      ...qwen(1),
      'mlp.gate.weight',
      'self_attn.k_norm.weight',
      'self_attn.q_norm.weight',
    ])
  })

  test('DeepSeek, with a shared expert and without', () => {
    expect(below(paper({ shared: 'a' }))).toEqual([
      ...qwen(0),
      ...qwen(1),
      'mlp.gate.weight',
      ...shared('shared_experts'),
    ])
    expect(below(paper({ layout: 'deepseek' }))).toEqual([...qwen(0), ...qwen(1), 'mlp.gate.weight'])
  })
})

test('everything but the MLPs is that of the base, and nothing of an expert but its MLPs is read', () => {
  const { jobs } = planOf(paper({}))
  const copies = jobs.flatMap((job) =>
    job.copies.map(({ to, from }) => [to.tensor, from!.tensor.file.replace(/^.*\/|\.safetensors$/g, '')] as const),
  )
  for (const [name, file] of copies)
    expect([name, file]).toEqual([name, /experts\.0/.test(name) ? 'b' : /experts\.1/.test(name) ? 'c' : 'a'])
  expect(copies.length).toBe(2 * (6 + 6) + 3)
})

test('experts are written in the dtype of the base', () => {
  const made = paper({}, { b: dense({ dtype: 'F16' }) })
  expect(problemsOf(made)).toEqual([])
  expect(new Set(planOf(made).outputs[0]!.tensors.map(({ dtype }) => dtype))).toEqual(new Set(['BF16']))
})

test('a tied base gives a tied mixture', () => {
  const tied = dense({ head: false })
  expect(namesOf(paper({}, { a: tied, b: tied, c: tied }))).not.toContain('lm_head.weight')
})

test('only the rows of the prompts’ tokens are read of the embeddings', () => {
  const experts = [
    { model: 'b', positive: [[1, 2, 2]], negative: [[7]] },
    { model: 'c', positive: [[1], [5]] },
  ]
  const { jobs } = planOf(paper({ gates: 'cheap_embed', experts }))
  const solves = jobs.flatMap((job) => job.solve?.operands ?? [])
  expect(solves.map((pass) => pass.reads.map((view) => [view.first / 4, view.shape]))).toEqual(
    [1, 2, 5, 7].map((row) => [[row, [1, 4]]]),
  )
})

test('routers are read from a file under their names', () => {
  const gate = (rows: number): Outline =>
    Object.fromEntries([0, 1].map((i) => [`model.layers.${i}.block_sparse_moe.gate.weight`, ['F32', [rows, 4]]]))
  const made = paper({ routers: 'r' }, { r: gate(2) })
  const reads = planOf(made).jobs.flatMap((job) => readsOf(job).flat())
  expect(reads).toContain('r:model.layers.1.block_sparse_moe.gate.weight')
  expect(problemsOf(paper({ routers: 'r' }, { r: gate(3) }))).toEqual(['error router-differs "r"'])
  expect(problemsOf(paper({ routers: 'r', layout: 'deepseek' }, { r: gate(2) }))).toEqual(['error router-differs "r"'])
  expect(problemsOf(paper({ routers: 'r', gates: 'random' }, { r: gate(2) }))).toEqual(['error gates-twice "random"'])
})

test('two mixtures are merged expert by expert, by patterns', () => {
  const made: Paper = {
    models: { a: dense(), b: dense(), c: dense() },
    steps: {
      m: { op: 'model.moe', base: 'a', experts: ['b', 'c'] },
      n: { op: 'model.moe', base: 'a', experts: ['c', 'b'] },
      blend: { op: 'merge.blend', a: 'm', b: 'n', keep: { default: 0.5, '**.experts.0': 1, '**.experts.1': 0 } },
      ties: { op: 'merge.ties', base: 'm', models: [{ model: 'n', density: 0.3 }], layers: '**.block_sparse_moe' },
      dare: { op: 'merge.dare', a: 'ties', b: 'blend', drop: 0.5 },
    },
    outputs: { o: { from: 'blend', path: 'o.safetensors' }, d: { from: 'dare', path: 'd.safetensors' } },
  }
  expect(problemsOf(made)).toEqual([])
  const copied = planOf(made)
    .jobs.flatMap((job) => job.copies)
    .filter(({ to }) => to.output === 0 && /experts/.test(to.tensor))
  // All of expert 0 is that of `m`, which is of b; all of expert 1 that of `n`, which is of b, too.
  expect(copied.length).toBe(12)
  expect(copied.every(({ from }) => from!.tensor.file.endsWith('b.safetensors'))).toBe(true)
})

describe('what cannot be a mixture is refused', () => {
  test.each<readonly [string, Paper, readonly string[]]>([
    ['more experts for each token than there are', paper({ experts_per_token: 3 }), ['error experts-per-token 3']],
    ['one expert', paper({ experts: ['b'] }), ['error wrong-length [']],
    ['an expert of another size', paper({}, { c: dense({ inner: 8 }) }), ['error expert-differs "c"']],
    ['an expert with fewer layers', paper({}, { c: dense({ layers: 1 }) }), ['error expert-differs "c"']],
    ['an expert with more layers', paper({}, { c: dense({ layers: 3 }) }), ['error expert-differs "c"']],
    [
      'a base that is a mixture already',
      {
        ...paper({}),
        steps: { ...paper({}).steps, n: { op: 'model.moe', base: 'm', experts: ['b', 'c'] } },
        outputs: { o: { from: 'n', path: 'o.safetensors' } },
      },
      ['error not-dense "m"'],
    ],
    [
      'biases that Mixtral has no place for',
      paper({ layout: 'mixtral' }, { a: dense({ more: QWEN2 }) }),
      ['error layout-unfit "a"'],
    ],
    ['a base without what Qwen3 needs', paper({ layout: 'qwen3' }), ['error layout-unfit "a"']],
    ['a shared expert in Mixtral', paper({ layout: 'mixtral', shared: 'a' }), ['error shared-expert "a"']],
    ['no shared expert in Qwen2', paper({ layout: 'qwen2' }), ['error shared-expert "model.moe"']],
    ['prompts that are missing', paper({ gates: 'cheap_embed' }), ['error no-prompts "b"', 'error no-prompts "c"']],
    [
      'the same prompts for all',
      paper({ gates: 'cheap_embed', experts: ['b', 'c'].map((model) => ({ model, positive: [[1]] })) }),
      ['error prompts-alike ['],
    ],
    [
      'negative prompts that cancel the positive ones',
      paper({
        gates: 'cheap_embed',
        experts: [
          { model: 'b', positive: [[1, 2]], negative: [[2, 1, 1, 2]] },
          { model: 'c', positive: [[3]] },
        ],
      }),
      ['error prompts-cancel "b"'],
    ],
  ])('%s', (_name, made, problems) => expect(toldOf(made)).toEqual(problems))

  test('with a layout that has a place for what the base has', () => {
    const diagnostics = tryPlan(paper({ layout: 'mixtral' }, { a: dense({ more: QWEN2 }) })).diagnostics
    expect(diagnostics[0]!.help).toContain('`layout: qwen2`')
  })

  test('with the token that the embeddings have no row for', () => {
    const experts = [
      { model: 'b', positive: [[1, 8]] },
      { model: 'c', positive: [[2]] },
    ]
    expect(messageOf(paper({ gates: 'cheap_embed', experts }))).toBe(
      'there is no token 8: the embeddings of `a` (/models/a.safetensors) have rows 0 to 7',
    )
  })

  test('and of what has no effect it warns', () => {
    expect(toldOf(paper({ experts: [{ model: 'b', positive: [[1]] }, 'c'] }))).toEqual(['warning prompts-unused ['])
    expect(toldOf(paper({ experts: ['b', 'b'] }))).toEqual(['warning experts-alike ['])
  })
})
