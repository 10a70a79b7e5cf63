import { expect, test } from 'vitest'
import { createAssembler } from '#src/graph/assemble.js'
import { addExactly, multiplyExactly, type Exact } from '#src/graph/exact.js'
import type { Tensor } from '#src/graph/expression.js'
import { createGraph, type Graph } from '#src/graph/graph.js'
import { makeRandom } from '../safetensors/files.js'
import { feedsOf, runCompiled, runOnnx } from '../support/run-program.js'

const N = 5000
const random = makeRandom(3)
/** Numbers of sizes that differ by up to a million, so that float64 holds their sums and products. */
const numbers = (): Float32Array =>
  Float32Array.from({ length: N }, () => (random() - 0.5) * 2 ** Math.floor(random() * 20))
const COLUMNS = { x: numbers(), y: numbers() }

/** Result and rest of every element, in float32. */
const compute = async (make: (g: Graph, x: Tensor, y: Tensor) => Exact): Promise<readonly Float32Array[]> => {
  const g = createGraph()
  const info = (name: string) => ({ name, dtype: 'F32', shape: [N], file: 'f', begin: 0, end: 4 * N }) as const
  const { rounded, rest } = make(g, g.read(info('x')), g.read(info('y')))
  const roots = [rounded, typeof rest === 'number' || rest.kind === 'scalar' ? g.fill(rest) : rest]
  const assembly = createAssembler()(roots.map((value) => ({ value, dtype: 'F32' })))
  const feeds = feedsOf(assembly, COLUMNS, N)
  const compiled = runCompiled(assembly.program, feeds, N)
  expect(compiled.map((bytes) => bytes.slice())).toEqual(await runOnnx(assembly.program, feeds, N))
  return compiled.map((bytes) => new Float32Array(bytes.slice().buffer))
}

test('a sum and its rest are the sum without error', async () => {
  const [rounded, rest] = await compute(addExactly)
  const sums = Array.from(COLUMNS.x, (x, i) => x + COLUMNS.y[i]!)
  expect([...rounded!]).toEqual(sums.map(Math.fround))
  expect(sums.map((_, i) => rounded![i]! + rest![i]!)).toEqual(sums)
  expect(rest!.filter((x) => x !== 0).length).toBeGreaterThan(N / 4)
})

test.each([1, -0.5, 0.75, 0.7, 1 / 3, -1234.5678, 1e-3])(
  'a product with %d and its rest are the product to 46 bits',
  async (factor) => {
    const [rounded, rest] = await compute((g, x) => multiplyExactly(g, x, factor))
    for (const [i, x] of COLUMNS.x.entries())
      expect(Math.abs(rounded![i]! + rest![i]! - x * factor)).toBeLessThanOrEqual(2 ** -46 * Math.abs(x * factor))
  },
)
