import { existsSync, renameSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { exitCode } from '#src/base/diagnostic.js'
import type { RunEvent } from '#src/run/events.js'
import { parseIndex } from '#src/safetensors/sharded-index.js'
import { buildIn, codesOf } from '../run/support.js'
import { makeFolder, problemOf, put, toFile, valueOf } from './files.js'

const ONE = 'model-00001-of-00002.safetensors'
const TWO = 'model-00002-of-00002.safetensors'

const parse = (text: string) => parseIndex('i', Buffer.from(text))

describe('i25: an index', () => {
  const nested = (depth: number): string =>
    `{"weight_map":{"t":"a.safetensors"},"more":${'['.repeat(depth)}${']'.repeat(depth)}}`

  test('may nest 63 levels and no more, which nothing that is deeper can make it forget', () => {
    expect(parse(nested(62)).type).toBe('ok')
    expect(problemOf(parse(nested(63))).code).toBe('invalid-index')
    expect(problemOf(parse(nested(100_000))).code).toBe('invalid-index')
    expect(problemOf(parse('['.repeat(1_000_000))).code).toBe('invalid-index')
  })

  test('may have texts of 100,000 characters and no longer', () => {
    const named = (length: number): string => `{"weight_map":{"${'t'.repeat(length)}":"a.safetensors"}}`
    expect([...valueOf(parse(named(100_000))).shardOf.keys()][0]!.length).toBe(100_000)
    expect(problemOf(parse(named(100_001))).code).toBe('invalid-index')
  })

  test('may name 10,000 shards and no more', () => {
    const naming = (shards: number): string =>
      JSON.stringify({
        weight_map: Object.fromEntries(Array.from({ length: shards }, (_, i) => [`t${i}`, `${i}.safetensors`])),
      })
    expect(valueOf(parse(naming(10_000))).shards.length).toBe(10_000)
    expect(problemOf(parse(naming(10_001))).code).toBe('too-many-shards')
  })
})

/** A shard of one F32 tensor of `values`. */
const shard = (name: string, shape: readonly number[], values: readonly number[]): Buffer =>
  toFile(
    JSON.stringify({ [name]: { dtype: 'F32', shape, data_offsets: [0, 4 * values.length] } }),
    new Uint8Array(Float32Array.from(values).buffer),
  )

const RECIPE = {
  models: { a: 'a', b: 'b' },
  steps: { x: { op: 'merge.blend', a: 'a', b: 'b' } },
  outputs: { out: { from: 'x', path: 'out.safetensors' } },
}

/** Two sharded models of the tensors `s` and `t`; the second's `t` as given. */
const makeModels = (t: Buffer = shard('t', [2], [5, 6])): string => {
  const folder = makeFolder()
  for (const model of ['a', 'b']) {
    put(folder, `${model}/${ONE}`, shard('s', [2], [1, 2]))
    put(folder, `${model}/${TWO}`, model === 'a' ? shard('t', [2], [3, 4]) : t)
    put(folder, `${model}/model.safetensors.index.json`, JSON.stringify({ weight_map: { s: ONE, t: TWO } }))
  }
  return folder
}

describe('i26: a shard that is replaced by one of the same size and names', () => {
  const buildWhile = async (moment: RunEvent['type']): Promise<void> => {
    const folder = makeModels()
    const path = join(folder, 'b', TWO)
    put(folder, 'other', shard('t', [2], [7, 8]))
    const result = await buildIn(folder, RECIPE, {
      listener: ({ type }) => {
        if (type === moment && existsSync(join(folder, 'other'))) renameSync(join(folder, 'other'), path)
      },
    })
    expect(codesOf(result)).toEqual(['input-changed'])
    expect(problemOf(result).at).toMatchObject({ path })
    expect(exitCode(result.diagnostics)).toBe(3)
    expect(existsSync(join(folder, 'out.safetensors'))).toBe(false)
  }

  test('between plan and read stops the build, naming it', () => buildWhile('run-started'))
  test('while others are read stops the build, naming it', () => buildWhile('units-finished'))
})

test('i28: models of a merge whose tensors differ in shape are refused, with both', async () => {
  const problem = problemOf(await buildIn(makeModels(shard('t', [1, 2], [5, 6])), RECIPE))
  expect(problem.code).toBe('shape-mismatch')
  expect(problem.message).toMatch(/\[2\].*\[1, 2\]/)
})
