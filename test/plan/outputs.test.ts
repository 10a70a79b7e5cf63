import { describe, expect, test } from 'vitest'
import { estimateMemory, type MemoryUse } from '#src/plan/memory.js'
import { INDEX_SUFFIX } from '#src/safetensors/sharded-index.js'
import { modelOf, planOf, problemsOf, type Outline, type Paper } from './support.js'

const MIXED: Outline = { bias: ['F32', [4]], head: ['F16', [4, 8]], steps: ['I64', [2]], tail: ['BF16', [8]] }
const blend = { op: 'merge.blend', a: 'a', b: 'b' }
const paper = (output: object, more: Partial<Paper> = {}): Paper => ({
  models: { a: MIXED, b: MIXED },
  steps: { x: blend },
  outputs: { out: { from: 'x', path: 'build/out.safetensors', ...output } },
  ...more,
})
const dtypesOf = (output: object): Readonly<Record<string, string>> =>
  Object.fromEntries(planOf(paper(output)).outputs[0]!.tensors.map((t) => [t.name, t.dtype]))

describe('dtypes', () => {
  test('are those of the first model unless said', () => {
    expect(dtypesOf({})).toEqual({ bias: 'F32', head: 'F16', steps: 'I64', tail: 'BF16' })
  })

  test('change floats, and never integers', () => {
    expect(dtypesOf({ dtype: 'f8_e4m3' })).toEqual({ bias: 'F8_E4M3', head: 'F8_E4M3', steps: 'I64', tail: 'F8_E4M3' })
    expect(dtypesOf({ dtype: { '*': 'f32' } })['steps']).toBe('I64')
  })

  test('by layer: later rules win over earlier ones and over `default`', () => {
    expect(dtypesOf({ dtype: { '*': 'f16', default: 'f8_e5m2', tail: 'same' } })).toEqual({
      bias: 'F16',
      head: 'F16',
      steps: 'I64',
      tail: 'BF16',
    })
    expect(dtypesOf({ dtype: { default: 'bf16', bias: 'f32' } })).toEqual({
      bias: 'F32',
      head: 'BF16',
      steps: 'I64',
      tail: 'BF16',
    })
  })

  test('of a layer that is not there are a mistake', () => {
    expect(problemsOf(paper({ dtype: { tial: 'f16' } }))).toEqual(['error pattern-selects-nothing "tial"'])
  })

  test('that a model has already are copied, others are computed', () => {
    const plan = planOf(paper({ from: 'a', dtype: 'f16' }, { steps: {} }))
    expect(plan.jobs.map((j) => [j.tensor, j.copies.length, j.targets.length]).sort()).toEqual([
      ['bias', 0, 1],
      ['head', 1, 0],
      ['steps', 1, 0],
      ['tail', 0, 1],
    ])
  })
})

describe('masks and differences', () => {
  const steps = {
    strong: { op: 'mask.magnitude', model: 'a', base: 'b', quantile: 0.5 },
    task: { op: 'model.subtract', a: 'a', b: 'b' },
  }

  test('a mask is written as BOOL, for the tensors it knows', () => {
    const plan = planOf(paper({ from: 'strong' }, { steps: { strong: steps.strong } }))
    expect(plan.outputs[0]!.tensors.map((t) => [t.name, t.dtype])).toEqual([
      ['bias', 'BOOL'],
      ['head', 'BOOL'],
      ['tail', 'BOOL'],
    ])
  })

  test('a mask has no use for a dtype', () => {
    expect(problemsOf(paper({ from: 'strong', dtype: 'f16' }, { steps: { strong: steps.strong } }))).toEqual([
      'error dtype-of-mask "out"',
    ])
    expect(problemsOf(paper({ from: 'strong', dtype: { head: 'f16' } }, { steps: { strong: steps.strong } }))).toEqual([
      'error dtype-of-mask "out"',
    ])
  })

  test('a difference is written only where the output says so', () => {
    const wrong = paper({ from: 'task' }, { steps: { task: steps.task } })
    expect(problemsOf(wrong)).toEqual(['error delta-output "task"'])
    expect(planOf(paper({ from: 'task', delta: true }, { steps: { task: steps.task } })).totals.computed).toBe(3)
  })
})

describe('shards', () => {
  const plan = planOf(paper({ shard_size: '40B' }))
  const output = plan.outputs[0]!

  test('are numbered files beside an index that names the shard of every tensor', () => {
    expect(output.files.map((f) => f.path)).toEqual(
      [1, 2, 3].map((i) => `/recipes/build/out-0000${i}-of-00003.safetensors`),
    )
    expect(output.index!.path).toBe(`/recipes/build/out${INDEX_SUFFIX}`)
    const index = JSON.parse(Buffer.from(output.index!.bytes).toString()) as {
      weight_map: Record<string, string>
      metadata: { total_size: number }
    }
    expect(index.metadata.total_size).toBe(16 + 64 + 16 + 16)
    const paths = new Map(
      plan.jobs.flatMap((j) => [...j.copies.map((c) => c.to), ...j.targets]).map((t) => [t.tensor, t.path]),
    )
    for (const [tensor, shard] of Object.entries(index.weight_map))
      expect(paths.get(tensor), tensor).toBe(`/recipes/build/${shard}`)
  })

  test('hold at most the size asked for, unless one tensor is larger', () => {
    expect(output.files.map((f) => f.bytes - f.header.length)).toEqual([16, 64, 32])
  })

  test('are named after the output whatever suffix its path has', () => {
    for (const path of ['build/out', 'build/out.safetensors', 'build/out.safetensors.index.json']) {
      expect(planOf(paper({ path, shard_size: '1GB' })).outputs[0]!.files.map((f) => f.path)).toEqual([
        '/recipes/build/out-00001-of-00001.safetensors',
      ])
    }
  })
})

describe('paths', () => {
  const two = (first: string, second: string, more: object = {}): readonly string[] =>
    problemsOf({
      models: { a: MIXED, b: MIXED },
      steps: { x: blend },
      outputs: { one: { from: 'x', path: first, ...more }, two: { from: 'x', path: second, ...more } },
    })

  test('are relative to the recipe, or to the folder asked for', () => {
    expect(planOf(paper({})).outputs[0]!.files[0]!.path).toBe('/recipes/build/out.safetensors')
    expect(planOf(paper({}), '/elsewhere').outputs[0]!.files[0]!.path).toBe('/elsewhere/build/out.safetensors')
    expect(planOf(paper({ path: '/abs/out.safetensors' }), '/elsewhere').outputs[0]!.files[0]!.path).toBe(
      '/abs/out.safetensors',
    )
  })

  test.each([
    ['out.sft', 'out.sft'],
    ['out.sft', './out.sft'],
    ['out.sft', 'build/../out.sft'],
    ['/recipes/out.sft', 'out.sft'],
    ['build//out.sft', 'build/out.sft'],
  ])('`%s` and `%s` are one path, which two outputs cannot share', (first, second) => {
    expect(two(first, second)).toEqual([`error output-twice "${second}"`])
  })

  test('outputs meet in shards and in indexes too', () => {
    expect(two('out', 'out.safetensors', { shard_size: '1GB' })).toEqual(['error output-twice "out.safetensors"'])
    expect(two('out.safetensors', 'out-00001-of-00001.safetensors', {})).toEqual([])
  })

  test.each(['/models/b.safetensors', '../models/b.safetensors', '../models/./x/../b.safetensors'])(
    'an output that is an input is refused: %s',
    (path) => {
      expect(problemsOf(paper({ path }))).toEqual([`error output-is-input "${path}"`])
    },
  )

  test('an output that would replace the index of a sharded input is refused', () => {
    const b = { ...modelOf('b', MIXED), path: '/models/b.safetensors.index.json' }
    const found = problemsOf(paper({ path: '/models/b.safetensors', shard_size: '1GB' }, { models: { a: MIXED, b } }))
    expect(found).toEqual(['error output-is-input "/models/b.safetensors"'])
  })

  test('an output that would replace the recipe is refused', () => {
    expect(problemsOf(paper({ path: './recipe.yaml' }))).toEqual(['error output-ending "./recipe.yaml"'])
  })
})

describe('metadata', () => {
  const textOf = (output: object): Record<string, string> => {
    const header = planOf(paper(output)).outputs[0]!.files[0]!.header
    return (JSON.parse(Buffer.from(header.subarray(8)).toString()) as { __metadata__: Record<string, string> })
      .__metadata__
  }

  test('holds the recipe, the format, and what the output adds', () => {
    const metadata = textOf({ metadata: { author: 'me' } })
    expect(metadata).toMatchObject({ format: 'pt', author: 'me' })
    expect(JSON.parse(metadata['smelt.recipe']!)).toMatchObject({ smelt: 1 })
  })
})

describe('the memory a build will take', () => {
  const memory = (scale: number, workers: number, step: object = blend, tensors = 8, use: MemoryUse = {}): number => {
    const outline: Outline = Object.fromEntries(
      Array.from({ length: tensors }, (_, i) => [`layer.${i}`, ['F16', [1024, 1024 * scale]] as const]),
    )
    return estimateMemory(
      planOf({
        models: { a: outline, b: outline },
        steps: { x: step },
        outputs: { out: { from: 'x', path: 'out.safetensors' } },
      }),
      workers,
      use,
    )
  }

  test('grows with the workers', () => {
    const estimates = [1, 2, 4, 16].map((workers) => memory(2, workers))
    expect(estimates).toEqual([...estimates].sort((x, y) => x - y))
    expect(new Set(estimates).size).toBe(4)
  })

  test('does not grow with the size of tensors, and by some kilobytes with each of them', () => {
    expect(memory(64, 2)).toBe(memory(1, 2))
    const each = (memory(1, 2, blend, 108) - memory(1, 2, blend, 8)) / 100
    expect(each).toBeGreaterThan(5_000)
    expect(each).toBeLessThan(15_000)
  })
  test('counts the report on the build', () =>
    expect(memory(1, 2, blend, 8, { reporting: true })).toBeGreaterThan(memory(1, 2)))
  test('stays below 400 MB on two workers, also for a trimmed merge', () => {
    expect(memory(8, 2)).toBeLessThan(400e6)
    expect(memory(8, 2, { op: 'merge.ties', base: 'a', models: ['b', 'a'], rescale: 'l1' })).toBeLessThan(400e6)
  })
})

test('a mask is not read from elements smaller than a byte', () => {
  const paper = {
    models: { m: { x: ['F4', [8]] } as const },
    steps: { k: { op: 'mask.load', file: 'm' } },
    outputs: { out: { from: 'k', path: 'k.safetensors' } },
  }
  expect(problemsOf(paper)).toEqual(['error mask-of-small-floats "m"'])
})
