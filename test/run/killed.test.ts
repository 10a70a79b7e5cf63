import { spawn } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
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
