import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { build } from '#src/run/build.js'
import { makeBase, train, writeCheckpoint } from '../recipes/checkpoint.js'
import { ROOT, runProgram } from './program.js'

const blockOf = (file: string, language: string, first: string): string =>
  readFileSync(join(ROOT, file), 'utf8')
    .split('```')
    .find((block) => block.startsWith(`${language}\n${first}`))!
    .slice(language.length + 1)

const makeFolder = (files: readonly string[]): string => {
  const folder = mkdtempSync(join(tmpdir(), 'smelt-readme-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  const base = makeBase('sd15', 1)
  files.forEach((file, i) => {
    mkdirSync(dirname(join(folder, file)), { recursive: true })
    writeCheckpoint(join(folder, file), i === 0 ? base : train(base, i))
  })
  return folder
}

test('the recipe that the README explains builds as it stands', async () => {
  const folder = makeFolder(['sd15.safetensors', 'anime.safetensors', 'photo/model.safetensors'])
  writeFileSync(join(folder, 'r.yaml'), blockOf('README.md', 'yaml', 'smelt: 1'))
  const built = await build(join(folder, 'r.yaml'), { workers: 1, set: { detail: '0.9' } })
  expect(built.diagnostics).toEqual([])
  expect(built).toMatchObject({ type: 'ok', value: { outputs: [{ name: 'merged' }] } })
})

test('the example of params in the language’s page builds', async () => {
  const folder = makeFolder(['first.safetensors', 'second.safetensors'])
  writeFileSync(join(folder, 'r.yaml'), `smelt: 1\n${blockOf('docs/recipes.md', 'yaml', 'params:')}`)
  const built = await build(join(folder, 'r.yaml'), { workers: 1 })
  expect(built).toMatchObject({
    type: 'ok',
    diagnostics: [],
    value: { outputs: [{ paths: [join(folder, 'build/keep-0.5.safetensors')] }] },
  })
})

test('the commands of the README’s first merge run one after the other', async () => {
  const folder = makeFolder([])
  for (const [from, to] of [
    ['A', 'first'],
    ['B', 'second'],
  ])
    copyFileSync(join(ROOT, `examples/quickstart/data/${from}.safetensors`), join(folder, `${to}.safetensors`))
  const lines = ['smelt blend', 'smelt init']
    .flatMap((first) => blockOf('README.md', 'sh', first).trim().split('\n'))
    .map((line) => line.replace(/ +#.*/, ''))
  expect(lines).toHaveLength(5)
  for (const line of lines) {
    const [, ...args] = line.split(' ')
    const { code, stderr } = await runProgram([join(ROOT, 'dist/bin/smelt.js'), ...args], undefined, folder)
    expect(code, `${line}\n${stderr}`).toBe(0)
  }
  expect(existsSync(join(folder, 'build/merged.safetensors'))).toBe(true)
}, 60_000)
