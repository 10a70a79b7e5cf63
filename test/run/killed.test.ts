import { spawn } from 'node:child_process'
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { inFolder } from '../support/build-run.js'
import { writeHollow, writeSafetensors } from '../support/write-safetensors.js'
import { buildIn, built, filesIn } from './support.js'

const LIBRARY = new URL('../../dist/index.js', import.meta.url).href
const SCRIPT = `
import { build } from ${JSON.stringify(LIBRARY)}
await build('recipe.yaml', { workers: 2, listener: (event) => { if (event.type === 'units-finished') console.log('working') } })
`

test('a build that is killed leaves the old output as it was, and the next build clears up after it', () =>
  inFolder(async (folder) => {
    const recipe = {
      models: { a: 'a.safetensors', b: 'b.safetensors' },
      steps: { x: { op: 'merge.dare', a: 'a', b: 'b' } },
      outputs: { out: { from: 'x', path: 'out.safetensors' } },
    }
    const names = ['a.safetensors', 'b.safetensors']
    for (const name of names)
      writeHollow(
        join(folder, name),
        Object.fromEntries(
          Array.from({ length: 64 }, (_, i) => [`layer.${i}`, { dtype: 'F16', shape: [4096, 8192] } as const]),
        ),
      )
    writeFileSync(join(folder, 'recipe.yaml'), JSON.stringify({ smelt: 1, ...recipe }))
    writeFileSync(join(folder, 'out.safetensors'), 'old')

    const child = spawn(process.execPath, ['--input-type=module', '--eval', SCRIPT], {
      cwd: folder,
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    child.stdout.once('data', () => child.kill('SIGKILL'))
    const signal = await new Promise((resolve) => child.on('exit', (_code, by) => resolve(by)))
    expect(signal).toBe('SIGKILL')
    expect(readFileSync(join(folder, 'out.safetensors'), 'utf8')).toBe('old')
    expect(filesIn(folder).filter((f) => f.endsWith('.partial')).length).toBe(1)

    for (const name of names) writeSafetensors(join(folder, name), { layer: { dtype: 'F16', shape: [8], values: 1 } })
    await built(buildIn(folder, recipe))
    expect(filesIn(folder)).toEqual([...names, 'out.safetensors', 'recipe.lock.json', 'recipe.yaml'])
  }))

test('a folder of a build that is killed has no file under its name, and after the next build all of them', () =>
  inFolder(async (folder) => {
    const recipe = {
      models: { a: 'a', b: 'b' },
      steps: { x: { op: 'merge.dare', a: 'a', b: 'b' } },
      outputs: { out: { from: 'x', path: 'out/' } },
    }
    for (const name of ['a', 'b', 'out']) {
      mkdirSync(join(folder, name))
      writeFileSync(join(folder, name, 'config.json'), `{ "torch_dtype": "float16", "of": "${name}" }`)
    }
    rmSync(join(folder, 'out/config.json'))
    for (const name of ['a', 'b'])
      writeHollow(
        join(folder, name, 'model.safetensors'),
        Object.fromEntries(
          Array.from({ length: 64 }, (_, i) => [`layer.${i}`, { dtype: 'F16', shape: [4096, 8192] } as const]),
        ),
      )
    writeFileSync(join(folder, 'recipe.yaml'), JSON.stringify({ smelt: 1, ...recipe }))
    const child = spawn(process.execPath, ['--input-type=module', '--eval', SCRIPT], {
      cwd: folder,
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    child.stdout.once('data', () => child.kill('SIGKILL'))
    const signal = await new Promise((resolve) => child.on('exit', (_code, by) => resolve(by)))
    expect(signal).toBe('SIGKILL')
    const left = filesIn(join(folder, 'out'))
    expect(left.length).toBeGreaterThan(0)
    expect(left.filter((name) => !name.startsWith('.'))).toEqual([])

    for (const name of ['a', 'b'])
      writeSafetensors(join(folder, name, 'model.safetensors'), { layer: { dtype: 'F16', shape: [8], values: 1 } })
    await built(buildIn(folder, recipe))
    expect(filesIn(join(folder, 'out'))).toEqual(['README.md', 'config.json', 'model.safetensors'])
    expect(readFileSync(join(folder, 'out/config.json'), 'utf8')).toContain('"of": "a"')
  }))
