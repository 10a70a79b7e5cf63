import { join } from 'node:path'
import { expect, test } from 'vitest'
import type { Lock } from '#src/store/lock.js'
import { readFileSync } from 'node:fs'
import { inFolder, readTensors } from '../support/build-run.js'
import { writeSafetensors } from '../support/write-safetensors.js'
import { buildIn, built, dataOf } from './support.js'

test.each(['merge.top_k_sum', 'merge.crossover'])(
  'the lock has the digests of inputs that only a solver reads: %s',
  (op) =>
    inFolder(async (folder) => {
      for (const [i, name] of ['a', 'b'].entries())
        writeSafetensors(join(folder, `${name}.safetensors`), {
          x: { dtype: 'F32', shape: [2, 3], values: [1, 2, 3, 4, 5, 6 + i] },
          y: { dtype: 'F32', shape: [3, 2], values: [6, 5, 4, 3, 2 + i, 1] },
        })
      const inputsOf = async (step: object): Promise<Lock['inputs']> => {
        const path = join(folder, 'recipe.lock.json')
        await built(
          buildIn(folder, {
            models: { a: 'a.safetensors', b: 'b.safetensors' },
            steps: { merged: step },
            outputs: { out: { from: 'merged', path: 'out.safetensors' } },
          }),
        )
        return (JSON.parse(readFileSync(path, 'utf8')) as Lock).inputs
      }
      const expected = await inputsOf({ op: 'merge.linear', models: ['a', 'b'] })
      expect(await inputsOf({ op, a: 'a', b: 'b' })).toEqual(expected)
    }),
)

test('operands of more numbers than are computed at a time are whole', () =>
  inFolder(async (folder) => {
    const width = 40_000
    const values = Array.from({ length: 2 * width }, (_, i) => i % 1009)
    writeSafetensors(join(folder, 'm.safetensors'), { 'net.fc.weight': { dtype: 'F32', shape: [2, width], values } })
    // A turn by 90°.
    writeSafetensors(join(folder, 'a.safetensors'), {
      'net.fc.oft_blocks': { dtype: 'F32', shape: [1, 2, 2], values: [0, 1, 0, 0] },
    })
    await built(
      buildIn(folder, {
        models: { m: 'm.safetensors' },
        adapters: { a: 'a.safetensors' },
        steps: { baked: { op: 'adapter.apply', model: 'm', adapter: 'a' } },
        outputs: { out: { from: 'baked', path: 'out.safetensors' } },
      }),
    )
    const found = (await readTensors(join(folder, 'out.safetensors')))['net.fc.weight']!.values
    const expected = [...values.slice(width).map((x) => -x), ...values.slice(0, width)]
    expect(found.findIndex((x, i) => Math.abs(x - expected[i]!) > 1e-3)).toBe(-1)
  }))

test('a solver is given all of a tensor that is longer than what is computed at once', () =>
  inFolder(async (folder) => {
    const n = 150_000
    const numbers = (seed: number): number[] =>
      Array.from({ length: n }, (_, i) => Math.fround(((i * 7919 + seed) % 1000) / 1000))
    for (const [i, name] of ['a', 'b'].entries())
      writeSafetensors(join(folder, `${name}.safetensors`), { x: { dtype: 'F32', shape: [n], values: numbers(i) } })
    await built(
      buildIn(folder, {
        models: { a: 'a.safetensors', b: 'b.safetensors' },
        steps: { merged: { op: 'merge.top_k_sum', a: 'a', b: 'b' } },
        outputs: { out: { from: 'merged', path: 'out.safetensors' } },
      }),
    )
    const [a, b] = [0, 1].map((seed) => Float32Array.from(numbers(seed))) as [Float32Array, Float32Array]
    const sorted = a.toSorted()
    const wanted = new Float32Array(n)
    Array.from(b.keys())
      .sort((i, j) => b[i]! - b[j]! || i - j)
      .forEach((at, rank) => (wanted[at] = sorted[rank]!))
    const out = dataOf(join(folder, 'out.safetensors'))
    expect(Buffer.from(wanted.buffer).equals(out)).toBe(true)
  }))
