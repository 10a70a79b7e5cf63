import { spawn } from 'node:child_process'
import { appendFileSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Ajv } from 'ajv'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { buildEventLine } from '#src/view/json.js'
import { ended, failed, finished, half, locked, made, written } from '../view/dashboard/support.js'
import { makeFolder, smelt, type Finished } from '../support/smelt.js'
import { writeSafetensors } from '../support/write-safetensors.js'

const folder = makeFolder({
  'recipe.yaml': `smelt: 1
name: small
models: { a: a.safetensors, b: b.safetensors }
steps:
  half: { op: merge.blend, a: a, b: b, keep: 0.25 }
  spare: { op: merge.blend, a: a, b: b }
outputs:
  merged: { from: half, path: out/merged.safetensors }
`,
  'nan.yaml': `smelt: 1
models: { a: a.safetensors, b: nan.safetensors }
steps: { half: { op: merge.blend, a: a, b: b } }
outputs: { merged: { from: half, path: out/nan.safetensors } }
`,
})
const at = (name: string): string => join(folder.path, name)
const whole = [...half, ...[written, locked, finished, ended].map((event) => ({ event, at: 9000 }))]
  .map(({ event, at: moment }) => buildEventLine(event, moment))
  .join('')
const MAIN = fileURLToPath(new URL('../../dist/bin/smelt.js', import.meta.url))

beforeAll(() => {
  writeSafetensors(at('a.safetensors'), { 'x.weight': { dtype: 'F32', shape: [2, 2], values: [0, 4, 8, -4] } })
  writeSafetensors(at('b.safetensors'), { 'x.weight': { dtype: 'F32', shape: [2, 2], values: [4, 0, 0, 4] } })
  writeSafetensors(at('nan.safetensors'), { 'x.weight': { dtype: 'F32', shape: [2, 2], values: [4, 0, NaN, 4] } })
})
afterAll(() => folder.remove())

/** `smelt watch -` with a text as its standard input. */
const receive = (text: string): Promise<Finished> =>
  new Promise((resolve) => {
    const child = spawn(process.execPath, [MAIN, 'watch', '-'], { cwd: folder.path, stdio: ['pipe', 'pipe', 'pipe'] })
    let [stdout, stderr] = ['', '']
    child.stdout.setEncoding('utf8').on('data', (piece: string) => {
      stdout += piece
    })
    child.stderr.setEncoding('utf8').on('data', (piece: string) => {
      stderr += piece
    })
    child.stdin.on('error', () => undefined).end(text)
    child.on('close', (code, signal) => resolve({ code, signal, stdout, stderr }))
  })

describe.concurrent('smelt watch', () => {
  it('shows at once what a finished build wrote, as the build itself did, and exits as it did', async () => {
    const build = await smelt(folder.path, ['build', 'recipe.yaml', '--json'])
    writeFileSync(at('real.jsonl'), build.stdout)
    const done = await smelt(folder.path, ['watch', 'real.jsonl'])
    expect(done).toMatchObject({ code: 0, stdout: '' })
    const plain = await smelt(folder.path, ['build', 'recipe.yaml', '--out', 'again'])
    const digest = /blake3:[0-9a-f]{64}/.exec(plain.stderr)?.[0]
    expect(done.stderr).toMatch(
      new RegExp(
        `^warning\\[unused-step\\]: [^]*wrote out/merged\\.safetensors  .*1 tensor\\n      ${digest}\\n[^]*done in `,
      ),
    )
  })

  it('reads only lines that the schema allows from a real build, also one that fails', async () => {
    const validate = new Ajv({ allowUnionTypes: true }).compile(
      JSON.parse(readFileSync(new URL('../../schema/events.schema.json', import.meta.url), 'utf8')) as object,
    )
    for (const args of [['recipe.yaml', '--out', 'x', '--workers', '2'], ['nan.yaml'], ['missing.yaml']]) {
      const { stdout } = await smelt(folder.path, ['build', ...args, '--json'])
      const lines = stdout.trimEnd().split('\n')
      expect(lines.length).toBeGreaterThan(1)
      for (const line of lines) expect(validate(JSON.parse(line)) ? [] : [line, validate.errors]).toEqual([])
    }
  })

  it('exits as a build that failed, and tells its problems', async () => {
    const build = await smelt(folder.path, ['build', 'nan.yaml', '--json'])
    writeFileSync(at('failed.jsonl'), build.stdout)
    const done = await smelt(folder.path, ['watch', 'failed.jsonl'])
    expect(done.code).toBe(3)
    expect(done.stderr).toContain('error[non-finite]: step `half` produced NaN')
  })

  it('follows a file that grows until its build ends', async () => {
    writeFileSync(at('growing.jsonl'), whole.slice(0, 200))
    const done = smelt(folder.path, ['watch', 'growing.jsonl'])
    await new Promise<void>((resolve) => {
      let from = 200
      const grow = setInterval(() => {
        appendFileSync(at('growing.jsonl'), whole.slice(from, (from += 1500)))
        if (from < whole.length) return
        clearInterval(grow)
        resolve()
      }, 20)
    })
    expect(await done).toMatchObject({ code: 0, stderr: expect.stringContaining('done in 9.0 s') })
  })

  it('ends when the file is removed: its build will not be heard of again', async () => {
    writeFileSync(at('removed.jsonl'), whole.slice(0, 200))
    const done = smelt(folder.path, ['watch', 'removed.jsonl'])
    setTimeout(() => rmSync(at('removed.jsonl')), 1_500)
    expect(await done).toMatchObject({
      code: expect.any(Number),
      stderr: expect.stringMatching(/events-end-early|file-missing/),
    })
  })

  it('reads standard input, and says where the build there never ended', async () => {
    expect(await receive(whole)).toMatchObject({
      code: 0,
      stderr: expect.stringContaining('wrote build/anime-detail.safetensors'),
    })
    const cut = await receive(half.map(({ event, at: moment }) => buildEventLine(event, moment)).join(''))
    expect(cut.code).toBe(3)
    expect(cut.stderr).toContain('warning[events-end-early]')
  })

  it('adds lines to a log where there is no terminal, and no control characters', async () => {
    const events = [
      { event: made, at: 0 },
      ...half,
      { event: failed, at: 9000 },
      { event: { ...ended, exit: 3 } as typeof ended, at: 9000 },
    ]
    const done = await receive(events.map(({ event, at: moment }) => buildEventLine(event, moment)).join(''))
    expect(done.code).toBe(3)
    expect(done.stderr).not.toContain('\u001b')
  })

  it('replays at any speed', async () => {
    writeFileSync(at('replayed.jsonl'), whole)
    for (const speed of ['20', '1000'])
      expect(await smelt(folder.path, ['watch', 'replayed.jsonl', '--speed', speed])).toMatchObject({
        code: 0,
        stderr: expect.stringContaining('done in 9.0 s'),
      })
  })

  it.each([
    [
      'a line that is no event',
      `${buildEventLine(made, 0)}npm warn\n`,
      'error[event-not-understood]: line 2 of bad.jsonl',
      1,
    ],
    ['a later version', '{"v":2,"at":0,"type":"plan-made"}\n', 'error[events-too-new]', 1],
  ])('refuses %s', async (what, text, message, code) => {
    const name = what.includes('version') ? 'newer.jsonl' : 'bad.jsonl'
    writeFileSync(at(name), text)
    const done = await smelt(folder.path, ['watch', name])
    expect(done.code).toBe(code)
    expect(done.stderr).toContain(message)
  })

  it('names a file near one that is not there, and a speed that makes no sense', async () => {
    writeFileSync(at('here.jsonl'), whole)
    expect(await smelt(folder.path, ['watch', 'hare.jsonl'])).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('here.jsonl'),
    })
    expect(await smelt(folder.path, ['watch', 'here.jsonl', '--speed', 'fast'])).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('--speed'),
    })
  })
})
