import { ftruncateSync, closeSync, mkdtempSync, openSync, readdirSync, rmSync, writeFileSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { layoutFile } from '#src/safetensors/layout.js'
import { runProgram } from './program.js'

const makeFolder = (): string => {
  const folder = mkdtempSync(join(tmpdir(), 'smelt-examples-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

/** A model of zeros that takes no room on the disk. */
const putZeros = (path: string, elements: number): void => {
  const { header, bytes } = layoutFile([{ name: 'x', dtype: 'F16', shape: [elements] }], {})
  const fd = openSync(path, 'w')
  writeSync(fd, header)
  ftruncateSync(fd, bytes)
  closeSync(fd)
}

test('build.mjs tells the totals of a plan, builds it, and says what was written', async () => {
  const folder = makeFolder()
  const { code, stdout } = await runProgram(['examples/library/build.mjs', 'examples/quickstart/recipe.yaml', folder])
  expect(code).toBe(0)
  expect(stdout).toContain('digits: 39 tensors, 39 to compute and 0 to copy')
  expect(stdout).toMatch(/build\/merged\.safetensors: 39 tensors, blake3:[0-9a-f]{64}/)
  expect(readdirSync(join(folder, 'build'))).toEqual(['merged.safetensors'])
})

test('build.mjs shows what is wrong with a recipe and ends with its exit code', async () => {
  const folder = makeFolder()
  writeFileSync(
    join(folder, 'r.yaml'),
    'smelt: 1\nmodels: { a: none.safetensors }\noutputs: { o: { from: b, path: o.safetensors } }\n',
  )
  const { code, stderr } = await runProgram(['examples/library/build.mjs', join(folder, 'r.yaml')])
  expect(code).toBe(1)
  expect(stderr).toContain('error[unknown-name]')
})

test('build.mjs stops when it is interrupted, and leaves nothing behind', async () => {
  const folder = makeFolder()
  for (const name of ['a', 'b']) putZeros(join(folder, `${name}.safetensors`), 2 ** 28)
  const recipe =
    'smelt: 1\nmodels: { a: a.safetensors, b: b.safetensors }\nsteps: { m: { op: merge.blend, a: a, b: b } }\noutputs: { o: { from: m, path: out/o.safetensors } }\n'
  writeFileSync(join(folder, 'r.yaml'), recipe)
  let asked = false
  const { code, stderr } = await runProgram(['examples/library/build.mjs', join(folder, 'r.yaml')], (text, kill) => {
    if (asked || !text.includes('written')) return
    asked = true
    kill('SIGINT')
  })
  expect(stderr).toContain('error[stopped]')
  expect(code).toBe(3)
  expect(readdirSync(join(folder, 'out'))).toEqual([])
})

test('sweep.mjs builds one file for each number', async () => {
  const folder = makeFolder()
  const models = ['A', 'B'].map((name) => `examples/quickstart/data/${name}.safetensors`)
  const { code, stdout } = await runProgram(['examples/library/sweep.mjs', ...models, folder])
  expect(code).toBe(0)
  expect(new Set(stdout.match(/blake3:[0-9a-f]{64}/g))).toHaveProperty('size', 3)
  expect(readdirSync(folder).sort()).toEqual(['keep-0.25.safetensors', 'keep-0.5.safetensors', 'keep-0.75.safetensors'])
})

test('the examples are sound to TypeScript', async () => {
  expect(await runProgram(['node_modules/typescript/bin/tsc', '-p', 'examples/library'])).toMatchObject({
    code: 0,
    stdout: '',
  })
})
