import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { ROOT, runProgram } from './program.js'

const measured = (
  JSON.parse(readFileSync(join(ROOT, 'test/data/realmodels/results.json'), 'utf8')) as {
    nets: { transformer: { accuracy: Record<string, Record<string, number>> } }
  }
).nets.transformer.accuracy

const rowOf = (stdout: string, file: string): number[] =>
  stdout
    .split('\n')
    .find((line) => line.startsWith(`${file} `))!
    .trim()
    .split(/\s+/)
    .slice(1)
    .map(Number)

test('the quickstart merges two specialists into a file that does on both tasks what none of them does', async () => {
  const { code, stdout, stderr } = await runProgram(['examples/quickstart/start.mjs'])
  expect(stdout).toContain('Digits recognised correctly')
  expect(code).toBe(0)
  expect(stderr).toContain('merge.dare_ties')
  for (const [row, file] of [
    ['base', 'base'],
    ['rotated', 'A'],
    ['mirrored', 'B'],
  ] as const) {
    const { upright, A, B } = measured[file]!
    expect(rowOf(stdout, row)).toEqual(
      [upright!, A!, B!, Math.min(A!, B!)].map((share) => expect.closeTo(100 * share, 0)),
    )
  }
  const single = ['base', 'rotated', 'mirrored'].map((file) => rowOf(stdout, file)[3]!)
  expect(rowOf(stdout, 'merged')[3]).toBeGreaterThan(Math.max(...single) + 10)
})
