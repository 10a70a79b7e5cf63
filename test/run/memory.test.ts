import { join } from 'node:path'
import { writeFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { inFolder } from '../support/build-run.js'
import { smelt } from '../support/smelt.js'
import { writeSafetensors } from '../support/write-safetensors.js'

interface Lines {
  readonly type: string
  readonly memoryBudget: number
  readonly peakMemory: number
  readonly longestPause: number
}

/** Many different numbers, for what is counted by magnitude takes memory for each; one and the same for large tensors. */
const valuesOf = (elements: number, model: number): readonly number[] | number =>
  elements > 1_000_000
    ? model + 1
    : Array.from({ length: elements }, (_, k) => (((k + 1) * (7919 + 2 * model)) % 16_381) / 16_381)

/**
 * Builds a recipe over two models of so many tensors with the real program; gives the memory it was expected to take at
 * most, and what it took.
 */
const build = (
  step: object,
  tensors: number,
  elements: number,
  flags: readonly string[] = [],
): Promise<{ readonly expected: number; readonly took: number }> =>
  inFolder(async (folder) => {
    for (const [i, name] of ['a', 'b'].entries()) {
      writeSafetensors(
        join(folder, `${name}.safetensors`),
        Object.fromEntries(
          Array.from(
            { length: tensors },
            (_, t) => [`w${t}`, { dtype: 'F16', shape: [elements], values: valuesOf(elements, i) }] as const,
          ),
        ),
      )
    }
    writeFileSync(
      join(folder, 'r.yaml'),
      JSON.stringify({
        smelt: 1,
        models: { a: 'a.safetensors', b: 'b.safetensors' },
        steps: { s: step },
        outputs: { o: { from: 's', path: 'o.safetensors' } },
      }),
    )
    const { code, stdout, stderr } = await smelt(folder, ['build', 'r.yaml', '--json', '--workers', '2', ...flags])
    if (code !== 0) throw new Error(`${stdout}${stderr}`)
    const events = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Lines)
    const finished = events.find((e) => e.type === 'run-finished')!
    expect(finished.longestPause).toBeGreaterThanOrEqual(0)
    return { expected: events.find((e) => e.type === 'run-started')!.memoryBudget, took: finished.peakMemory }
  })

test.each([
  ['few large tensors', { op: 'merge.linear', models: ['a', 'b'] }, 4, 3_000_000],
  ['many small tensors', { op: 'merge.linear', models: ['a', 'b'] }, 4000, 4],
  [
    'tensors that are trimmed',
    {
      op: 'merge.ties',
      base: 'a',
      models: [
        { model: 'b', density: 0.5 },
        { model: 'a', density: 0.5 },
      ],
      scope: 'model',
    },
    300,
    20_000,
  ],
])('a build of %s takes no more memory than the plan says, and not much less', async (_, step, tensors, elements) => {
  const { expected, took } = await build(step, tensors, elements)
  expect(took).toBeLessThanOrEqual(expected)
  expect(took).toBeGreaterThan(expected / 2)
})
