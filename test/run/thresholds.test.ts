import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { samplePlaces } from '#src/run/sample.js'
import { makeRandom } from '../safetensors/files.js'
import { inFolder } from '../support/build-run.js'
import { inlineWorker } from '../support/inline-worker.js'
import { writeSafetensors } from '../support/write-safetensors.js'
import { buildIn, built } from './support.js'

const DENSITY = 0.3

/** The values of a float32 file of one tensor. */
const valuesOf = (path: string): Float32Array => {
  const bytes = readFileSync(path)
  const header = Number(bytes.readBigUInt64LE(0))
  return new Float32Array(Uint8Array.from(bytes.subarray(8 + header)).buffer)
}

/** Keeps the largest magnitudes of a tensor by trimming its difference from zero. */
const trimmed = (values: Float32Array): Promise<Float32Array> =>
  inFolder(async (folder) => {
    for (const [name, numbers] of [
      ['base', new Float32Array(values.length)],
      ['tuned', values],
    ] as const)
      writeSafetensors(join(folder, `${name}.safetensors`), {
        w: { dtype: 'F32', shape: [values.length], values: [...numbers] },
      })
    const recipe = {
      models: { base: 'base.safetensors', tuned: 'tuned.safetensors' },
      steps: { t: { op: 'merge.ties', base: 'base', models: [{ model: 'tuned', density: DENSITY }] } },
      outputs: { o: { from: 't', path: 'o.safetensors' } },
    }
    await built(buildIn(folder, recipe, { start: inlineWorker, lock: false }))
    return valuesOf(join(folder, 'o.safetensors'))
  })

/** What is left when exactly a share of the magnitudes is kept, of equal ones those that come first. */
const expected = (values: Float32Array): Float32Array => {
  const order = Array.from(values, (_, i) => i).sort((i, j) => Math.abs(values[j]!) - Math.abs(values[i]!) || i - j)
  const out = new Float32Array(values.length)
  for (const i of order.slice(0, Math.floor(DENSITY * values.length))) out[i] = values[i]!
  return out
}

/** As in a trained model: sums of a few random numbers. */
const normal = (n: number, seed: number): Float32Array => {
  const random = makeRandom(seed)
  return Float32Array.from({ length: n }, () => (random() + random() + random() + random() - 2) / 50)
}

/** Numbers that are not where a sample is looked for: there they are a thousandth. */
const misleading = (n: number): Float32Array => {
  const values = normal(n, 3)
  for (const start of samplePlaces(0, n)) for (let i = start; i < start + 4096; i++) values[i]! /= 1000
  return values
}

const N = 600_000
const MANY = (1 << 21) + 12_345

describe('a threshold that was looked for in a sample is exact', () => {
  test.each([
    ['of one segment', normal(N, 1)],
    ['of three segments', normal(MANY, 2)],
    ['of one segment, where the sample misleads', misleading(N)],
    ['of three segments, where the sample misleads', misleading(MANY)],
    ['of zeros', new Float32Array(N)],
    ['of zeros, but for less than is kept', normal(N, 4).map((x, i) => (i % 5 === 0 ? x : 0))],
    ['of few different values', normal(N, 5).map((x) => Math.round(x * 100) / 100)],
  ])('%s', async (_, values) => {
    const [found, wanted] = [await trimmed(values), expected(values)]
    // Not by toEqual, which would print megabytes.
    expect(found.length).toBe(wanted.length)
    expect(found.findIndex((x, i) => x !== wanted[i])).toBe(-1)
  })
})

test('a sample is spread over all of a tensor', () => {
  expect(samplePlaces(0, 4095)).toEqual([])
  expect(samplePlaces(8192, 8192 + 3 * 4096 + 5)).toEqual([8192, 12288, 16384])
  const places = samplePlaces(0, 1 << 24)
  expect([places.length, places[0], places.at(-1)! > 0.9 * (1 << 24)]).toEqual([32, 0, true])
})
