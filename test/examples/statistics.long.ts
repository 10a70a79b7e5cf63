// Runs the example of statistics with PyTorch where there is one: `python3`, or the program that SMELT_PYTHON names.
import { spawnSync } from 'node:child_process'
import { cpSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { inFolder, readTensors } from '../support/build-run.js'
import { ROOT } from './program.js'

const EXAMPLE = join(ROOT, 'examples/statistics')
const PYTHON = process.env['SMELT_PYTHON'] ?? 'python3'
const hasTorch = spawnSync(PYTHON, ['-c', 'import safetensors, tokenizers, torch, transformers']).status === 0

/** The commands of the page, but for the one that installs packages. */
const COMMANDS = readFileSync(join(EXAMPLE, 'README.md'), 'utf8')
  .split('```')[1]!
  .split('\n')
  .slice(1, -1)
  .map((line) => line.replace(/ +#.*/, '').split(' '))
  .filter(([program]) => program !== 'pip')

const PROGRAMS: Readonly<Record<string, readonly [string, ...string[]]>> = {
  python: [PYTHON],
  smelt: [process.execPath, join(ROOT, 'dist/bin/smelt.js')],
}

test.skipIf(!hasTorch)('the commands of the page collect statistics and merge by them', () =>
  inFolder(async (folder) => {
    cpSync(EXAMPLE, folder, { recursive: true })
    expect(COMMANDS).toHaveLength(4)
    for (const [name, ...args] of COMMANDS) {
      const [program, ...first] = PROGRAMS[name!]!
      const { status, stderr } = spawnSync(program, [...first, ...args], { cwd: folder, encoding: 'utf8' })
      expect(status, stderr).toBe(0)
    }
    const tensorsOf = (path: string) => readTensors(join(folder, `${path}.safetensors`))
    for (const model of ['one', 'two']) {
      const [weights, fisher, grams] = await Promise.all([
        tensorsOf(`models/${model}/model`),
        tensorsOf(`statistics/${model}/fisher`),
        tensorsOf(`statistics/${model}/gram`),
      ])
      for (const [name, { shape }] of Object.entries(weights)) expect(fisher[name]!.shape, name).toEqual(shape)
      for (const { values } of Object.values(fisher)) expect(Math.min(...values)).toBeGreaterThanOrEqual(0)
      // The probabilities of two classes add up to 1: their logits have gradients of one size.
      const [first, second] = fisher['classifier.bias']!.values
      expect(first).toBeGreaterThan(0)
      expect(second).toBeCloseTo(first!, 6)
      expect(Object.keys(grams)).toHaveLength(14)
      for (const [layer, { shape, values }] of Object.entries(grams)) {
        const inputs = weights[`${layer}.weight`]!.shape[1]!
        expect(shape, layer).toEqual([inputs, inputs])
        for (let i = 0; i < inputs; i++) expect(values[i * (inputs + 1)]).toBeGreaterThan(0)
      }
    }
    const one = await tensorsOf('models/one/model')
    for (const method of ['fisher', 'regmean']) {
      const merged = await tensorsOf(`build/${method}/model`)
      expect(Object.keys(merged).sort()).toEqual(Object.keys(one).sort())
      for (const { values } of Object.values(merged)) expect(values.every(Number.isFinite)).toBe(true)
    }
  }),
)
