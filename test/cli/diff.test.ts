import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { makeFolder, smelt } from '../support/smelt.js'
import { writeSafetensors } from '../support/write-safetensors.js'

const folder = makeFolder()
afterAll(() => folder.remove())
const f32 = (...values: readonly number[]) => ({ dtype: 'F32', shape: [values.length], values }) as const
writeSafetensors(join(folder.path, 'a.safetensors'), {
  'layers.0.w': f32(3, 4),
  'layers.1.w': f32(1, 2),
  'only.a': f32(1),
})
writeSafetensors(join(folder.path, 'b.safetensors'), { 'layers.0.w': f32(3, 0), 'layers.1.w': f32(1, 2) })

const diff = (...args: readonly string[]) => smelt(folder.path, ['diff', ...args])

test('two models are compared by block and by layer', async () => {
  const { code, stdout } = await diff('a.safetensors', 'b.safetensors')
  expect(code).toBe(0)
  expect(stdout).toContain('Difference of two models\n  a is a (a.safetensors), b is b (b.safetensors)\n')
  expect(stdout).toContain('  identical tensors     1\n')
  expect(stdout).toMatch(/layers\.0 +1 +0 +0\.8 +0\.6 +50% +4\n/)
  expect(stdout).toMatch(/only\.a +only in a\n/)
})

test('patterns say which layers', async () => {
  const { code, stdout } = await diff('a.safetensors', 'b.safetensors', 'layers.1')
  expect(code).toBe(0)
  expect(stdout).toContain('  tensors compared      1\n')
  expect(stdout).not.toContain('layers.0')
})

test('as JSON', async () => {
  const { stdout } = await diff('a.safetensors', 'b.safetensors', '--json')
  expect(JSON.parse(stdout)).toMatchObject({ v: 1, type: 'report', title: 'Difference of two models' })
})

test('as a page, which is written whole', async () => {
  const { code, stdout, stderr } = await diff('a.safetensors', 'b.safetensors', '--html', 'out.html')
  expect([code, stdout]).toEqual([0, ''])
  expect(stderr).toContain('wrote out.html')
  expect(readFileSync(join(folder.path, 'out.html'), 'utf8')).toMatch(/^<!doctype html>[^]*<\/html>\n$/)
})

test.each([
  [['a.safetensors', 'nope.safetensors'], 'error[file-missing]'],
  [['a.safetensors', 'b.safetensors', 'nope'], 'error[pattern-selects-nothing]'],
  [['a.safetensors', 'b.safetensors', '--html', 'out.pdf'], 'error[report-ending]'],
  [['a.safetensors', 'b.safetensors', '--html', 'a.safetensors'], 'error[report-ending]'],
])('%j is refused', async (args, problem) => {
  const { code, stdout, stderr } = await diff(...args)
  expect([code, stdout]).toEqual([1, ''])
  expect(stderr).toContain(problem)
  expect(existsSync(join(folder.path, 'out.pdf'))).toBe(false)
})
