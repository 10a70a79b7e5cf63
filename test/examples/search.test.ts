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
  for (const name of ['recipe.yaml', 'score.mjs', 'noisy.safetensors'])
    cpSync(join(ROOT, 'examples/search', name), join(folder, name))
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const run = async (args: readonly string[]): Promise<string> => {
  const { code, stdout, stderr } = await runProgram(args, undefined, folder)
  expect(stderr).not.toContain('error')
  expect(code).toBe(0)
  return stdout
}

/** The best values as the page has them: options of `--set`. */
const BEST = /^--set rotated_embeddings=.*$/m.exec(README)![0].split(' ')
const NAMES = BEST.filter((word) => word !== '--set').map((pair) => pair.split('=')[0]!)

/** The numbers of a line of a report. */
const numbersOf = (line: string): readonly number[] => [...line.matchAll(/\d+\.\d+/g)].map(([text]) => Number(text))

/** Every number is as the page states it, but for what a few images differ by on another processor. */
const expectAsStated = (found: string, stated: RegExp): void => {
  const numbers = numbersOf(found)
  expect(numbers.length).toBeGreaterThan(1)
  for (const [i, number] of numbersOf(stated.exec(README)![1]!).entries())
    expect(Math.abs(numbers[i]! - number)).toBeLessThan(number < 10 ? 0.01 : 0.7)
}

test('the example searches a merge of three specialists, and what it found is better on held-out digits, as the page states', async () => {
  const over = NAMES.flatMap((name) => ['--over', `${name}=0:2`])
  const options = ['--minimize', '--score', 'node score.mjs {output}', ...over]
  const found = await run([SMELT, 'search', 'recipe.yaml', '--trials', '2', '--picture', 'trials.svg', ...options])
  expect(found).toMatch(/^--set rotated_embeddings=[\d.]+ --set rotated_attention=/)
  expect(readFileSync(join(folder, 'trials.svg'), 'utf8')).toContain('<svg')

  await run([SMELT, 'build', 'recipe.yaml'])
  cpSync(join(folder, 'build/merged.safetensors'), join(folder, 'by-hand.safetensors'))
  const hand = await run(['score.mjs', 'by-hand.safetensors', '--report'])
  await run([SMELT, 'build', 'recipe.yaml', ...BEST])
  const best = await run(['score.mjs', 'build/merged.safetensors', '--report', 'by-hand.safetensors'])
  for (const half of ['searched', 'held out']) {
    const line = (report: string): string => new RegExp(`^${half} .*$`, 'm').exec(report)![0]
    expectAsStated(line(hand), new RegExp(`^by hand +${half} +(.*)$`, 'm'))
    expectAsStated(line(best), new RegExp(`^found +${half} +(.*)$`, 'm'))
  }
  const [gain, error] = numbersOf(/^held-out log-loss less by .*$/m.exec(best)![0])
  expectAsStated(`${gain} ${error}`, /^held-out log-loss less by (.*)$/m)
  // More than chance: by two standard errors.
  expect(gain!).toBeGreaterThan(2 * error!)
})
