import { cpSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { ROOT, runProgram } from './program.js'

const README = readFileSync(join(ROOT, 'examples/search/README.md'), 'utf8')
const SMELT = join(ROOT, 'dist/bin/smelt.js')

// Beside the examples: the recipe and the score find the quick start's data by relative paths.
let folder = ''
beforeAll(() => {
  folder = mkdtempSync(join(ROOT, 'examples/.search-'))
  for (const name of ['recipe.yaml', 'score.mjs']) cpSync(join(ROOT, 'examples/search', name), join(folder, name))
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const run = async (args: readonly string[]): Promise<string> => {
  const { code, stdout, stderr } = await runProgram(args, undefined, folder)
  expect(stderr).not.toContain('error')
  expect(code).toBe(0)
  return stdout
}

/** Log-loss and share of correct digits, searched and held out. */
const report = async (file: string): Promise<readonly number[]> => {
  const text = await run(['score.mjs', file, '--report'])
  const rows = [...text.matchAll(/([\d.]+) % correct, log-loss ([\d.]+)/g)].map((m) => [Number(m[2]), Number(m[1])])
  return [rows[0]![0]!, rows[1]![0]!, rows[0]![1]!, rows[1]![1]!]
}

const stated = (row: string): readonly number[] =>
  new RegExp(`^${row} +(.*)$`, 'm').exec(README)![1]!.trim().split(/ +/).map(Number)

const expectAsStated = (found: readonly number[], row: string): void => {
  for (const [i, number] of stated(row).entries()) expect(Math.abs(found[i]! - number)).toBeLessThan(i < 2 ? 0.01 : 0.5)
}

const OVER = ['density=0.05:1', 'rotated_weight=0:3', 'mirrored_weight=0:3', 'keep=0:1'].flatMap((o) => ['--over', o])

test('the example searches the quick start’s merge, and the page states what its best values give', async () => {
  const options = ['--minimize', '--score', 'node score.mjs {output}', ...OVER]
  const found = await run([SMELT, 'search', 'recipe.yaml', '--trials', '2', ...options])
  expect(found).toMatch(/^--set density=[\d.]+ --set rotated_weight=/)
  await run([SMELT, 'build', 'recipe.yaml'])
  expectAsStated(await report('build/merged.safetensors'), 'by hand')
  const best = { density: 0.3442, rotated_weight: 1.011, mirrored_weight: 0.794, keep: 0.5189 }
  await run([SMELT, 'build', 'recipe.yaml', ...Object.entries(best).flatMap(([k, v]) => ['--set', `${k}=${v}`])])
  expectAsStated(await report('build/merged.safetensors'), 'found')
})
