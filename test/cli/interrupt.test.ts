import { spawn } from 'node:child_process'
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { makeFolder, smelt } from '../support/smelt.js'
import { writeHollow } from '../support/write-safetensors.js'

const folder = makeFolder({
  'recipe.yaml': `smelt: 1
models: { a: a.safetensors, b: b.safetensors }
steps: { blend: { op: merge.dare, a: a, b: b } }
outputs: { merged: { from: blend, path: merged.safetensors } }
`,
})

beforeAll(() => {
  const tensors = Object.fromEntries(
    Array.from({ length: 64 }, (_, i) => [`layers.${i}.weight`, { dtype: 'F16', shape: [4096, 8192] } as const]),
  )
  for (const name of ['a', 'b']) writeHollow(join(folder.path, `${name}.safetensors`), tensors)
})
afterAll(() => folder.remove())

describe('an interrupted build', () => {
  it.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const)(
    'answers %s after the chunks under way, leaves nothing behind and exits with %i',
    async (signal, code) => {
      let sent = false
      const done = await smelt(folder.path, ['build', 'recipe.yaml', '--json', '--workers', '2'], {
        watch: (child, stdout) => {
          if (sent || !stdout.includes('units-finished')) return
          sent = true
          child.kill(signal)
        },
      })
      expect(done).toMatchObject({ code, signal: null })
      expect(done.stdout).toMatch(new RegExp(`{"v":1,"at":\\d+,"type":"stop-requested","signal":"${signal}"}`))
      expect(done.stdout).toContain('"code":"stopped"')
      expect(done.stdout.trimEnd().split('\n').at(-1)).toMatch(
        new RegExp(`^{"v":1,"at":\\d+,"type":"command-ended","exit":${code}}$`),
      )
      const since = done.stdout.slice(done.stdout.indexOf('"stop-requested"'))
      expect(since.match(/"units-finished"/g)?.length ?? 0).toBeLessThanOrEqual(2)
      expect(readdirSync(folder.path).sort()).toEqual(['a.safetensors', 'b.safetensors', 'recipe.yaml'])
      expect(existsSync(join(folder.path, 'merged.safetensors'))).toBe(false)
    },
  )

  it('ends at once by the second signal, which has its default effect', async () => {
    const module = new URL('../../dist/cli/signals.js', import.meta.url)
    const script = `import { listenForStop } from '${module}'; const keep = setInterval(() => {}, 1000); listenForStop((s) => console.log('asked', s)); console.log('ready')`
    const child = spawn(process.execPath, ['--input-type=module', '--eval', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const heard: string[] = []
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      heard.push(...text.trim().split('\n'))
      child.kill('SIGINT')
    })
    const signal = await new Promise((resolve) => child.on('exit', (_code, by) => resolve(by)))
    expect(heard).toEqual(['ready', 'asked SIGINT'])
    expect(signal).toBe('SIGINT')
  })
})
