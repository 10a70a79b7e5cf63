import { appendFileSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { buildEventLine } from '#src/view/json.js'
import type { BuildEvent } from '#src/view/dashboard/build-event.js'
import {
  made,
  nameOf,
  planned,
  started,
  tensorDone,
  units,
  ended,
  finished,
  written,
  locked,
  warned,
  memory,
} from '../view/dashboard/support.js'
import { openTerminal, SMELT, withoutTmux, type RealTerminal } from '../view/dashboard/tmux.js'
import { makeFolder } from '../support/smelt.js'
import { writeHollow } from '../support/write-safetensors.js'

const folder = makeFolder({
  'recipe.yaml': `smelt: 1
name: large
models: { a: a.safetensors, b: b.safetensors }
steps: { blend: { op: merge.dare, a: a, b: b } }
outputs: { merged: { from: blend, path: merged.safetensors } }
`,
  'small.yaml': `smelt: 1
name: small
models: { a: tiny.safetensors }
outputs: { copy: { from: a, path: copy.safetensors } }
`,
})
const file = join(folder.path, 'events.jsonl')
const tell = (at: number, ...events: readonly BuildEvent[]): void =>
  appendFileSync(file, events.map((event) => buildEventLine(event, at)).join(''))
const begin = (): void => {
  writeFileSync(file, '')
  tell(0, made, warned, started, planned)
  tell(1000, units(0, 0, 3e8, 1e8, nameOf(1)), memory(2e8))
  tell(2000, units(1, 3, 9e8, 3e8, nameOf(2)), tensorDone(3, 0.5, 'reused'))
}
const finish = (): void =>
  tell(8000, tensorDone(0, 1), tensorDone(1, 1), tensorDone(2, 1), written, locked, finished, ended)

let terminal: RealTerminal | undefined
/** Opens a terminal with something on it, and watches the events in it. */
const watching = async (
  columns: number,
  rows: number,
  env: Readonly<Record<string, string>> = {},
): Promise<RealTerminal> => {
  begin()
  terminal = openTerminal(folder.path, columns, rows, env)
  terminal.run('echo be""fore')
  await terminal.until((s) => s.includes('before'), 'what stood there before')
  terminal.run(`${SMELT} watch events.jsonl; echo "co""de $?"`)
  await terminal.until((s) => s.includes('anime-detail  building'), 'the dashboard')
  return terminal
}

beforeAll(() => {
  const tensors = Object.fromEntries(
    Array.from({ length: 64 }, (_, i) => [`layers.${i}.weight`, { dtype: 'F16', shape: [4096, 8192] } as const]),
  )
  for (const name of ['a', 'b']) writeHollow(join(folder.path, `${name}.safetensors`), tensors)
  writeHollow(join(folder.path, 'tiny.safetensors'), { x: { dtype: 'F16', shape: [4] } })
})
afterEach(() => terminal?.close())
afterAll(() => folder.remove())

describe.skipIf(withoutTmux !== undefined)('the dashboard in a real terminal', () => {
  it('fills the screen, follows keys, and gives the terminal back with a summary and what stood there before', async () => {
    const t = await watching(80, 24)
    await t.until((s) => s.trimEnd().split('\n').length === 24, 'a full screen')
    t.type('j', 'j', 'Enter')
    await t.until((s) => s.includes('Step blend') && s.includes('keep      0.5'), 'the step')
    t.type('Escape')
    await t.until((s) => /▸.* blend /.test(s), 'the steps again')
    t.type('l')
    await t.until((s) => s.includes('─ Log ─') && s.includes('is not used'), 'the log')
    t.type('/')
    t.type('-l', 'blocks.3')
    await t.until((s) => s.includes('1 of 4 ─') && s.includes('/blocks.3'), 'the tensors found')
    t.type('Escape')
    t.type('?')
    await t.until((s) => s.includes('─ Keys ─') && s.includes('leave'), 'the help')
    finish()
    const left = await t.until((s) => s.includes('code 0'), 'the end')
    expect(left).toMatch(
      /before\n[^]*warning\[unused-step\][^]*wrote build\/anime-detail\.safetensors {2}1\.00 GB, 4 tensors\n {6}blake3:[^]*wrote recipe\.lock\.json[^]*done in \d+\.\d s: [^]*code 0\n[$#]/,
    )
    expect(left).not.toContain('─ Keys ─')
    expect(t.scrollback()).not.toContain('Steps')
  })

  it('follows the size of the terminal', async () => {
    const t = await watching(80, 24)
    t.resize(200, 60)
    await t.until(
      (s) =>
        s.trimEnd().split('\n').length === 60 && s.includes('─ Throughput ─') && s.includes('─ Tensors of strong ─'),
      'the large screen',
    )
    t.resize(50, 12)
    const small = await t.until(
      (s) => s.trimEnd().split('\n').length === 12 && s.includes('─ Steps ─') && !s.includes('Throughput'),
      'the small screen',
    )
    expect(Math.max(...small.split('\n').map((line) => [...line].length))).toBeLessThanOrEqual(50)
    t.type('q')
    await t.until((s) => s.includes('code 0'), 'the shell')
  })

  it('has no colour with NO_COLOR, and only the sixteen without', async () => {
    const plain = await watching(80, 24, { NO_COLOR: '1' })
    expect(plain.screen(true).replaceAll(/\u001b\[(0|39|49|)m/g, '')).not.toContain('\u001b[')
    plain.close()
    const colored = await watching(80, 24)
    const screen = colored.screen(true)
    expect(screen).toContain('\u001b[32m')
    expect(screen).not.toMatch(/\u001b\[[\d;]*38[;:]/)
  })

  it('leaves with Ctrl-C and with a signal, the terminal as it was', async () => {
    const t = await watching(80, 24)
    t.type('C-c')
    await t.until((s) => s.includes('code 0'), 'the shell')
    t.run('stty -a | grep -o "[-]*icanon"; stty -a | grep -o "[-]*echo "')
    await t.until((s) => /\nicanon\necho/.test(s), 'a terminal that reads lines and echoes')
    t.run(`sh -c 'echo $$ > pid; exec ${SMELT.replaceAll("'", '')} watch events.jsonl'; echo "co""de2 $?"`)
    await t.until((s) => s.includes('anime-detail  building'), 'the dashboard once more')
    process.kill(Number(readFileSync(join(folder.path, 'pid'), 'utf8')), 'SIGTERM')
    await t.until((s) => s.includes('code2 143'), 'the shell once more')
  })

  it('goes to the shell with Ctrl-Z and comes back, and leaves the terminal alone while it is in the background', async () => {
    const t = await watching(80, 24)
    t.type('C-z')
    await t.until((s) => s.includes('before') && /[$#]$/.test(s.trimEnd()), 'the shell')
    t.run('fg')
    await t.until((s) => s.includes('anime-detail  building') && s.includes('─ Workers ─'), 'the dashboard again')
    t.type('C-z')
    await t.until((s) => s.includes('before'), 'the shell')
    t.run('bg; echo in the back""ground')
    await t.until((s) => s.includes('in the background'), 'the shell that goes on')
    finish()
    await t.until((s) => /done in \d+\.\d s/.test(s), 'the summary of the watch in the background')
  })

  it('stops a build after its chunk with Ctrl-C: no file is left, and the code is that of the signal', async () => {
    const t = (terminal = openTerminal(folder.path, 100, 30))
    t.run(`${SMELT} build recipe.yaml --workers 8; echo "co""de $?"`)
    await t.until((s) => s.includes('large  building') && s.includes('─ Workers ─'), 'the dashboard of the build')
    t.type('C-c')
    const left = await t.until((s) => s.includes('code 130'), 'the stop')
    expect(left).toContain('error[stopped]')
    expect(left).toContain('large: 2 models, 1 step, 1 output')
    expect(left).not.toContain('─ Workers ─')
    expect(readdirSync(folder.path).filter((name) => name.includes('merged'))).toEqual([])
  })

  it('gives the terminal back when a build is ended at once by two Ctrl-C', async () => {
    const t = (terminal = openTerminal(folder.path, 80, 24))
    t.run(`${SMELT} build recipe.yaml --workers 8`)
    await t.until((s) => s.includes('large  building'), 'the dashboard of the build')
    t.type('C-c', 'C-c')
    await t.until((s) => /\n[$#]$/.test(s.trimEnd()) && s.includes('large: 2 models'), 'the shell')
    t.run('stty -a | grep -o "[-]*icanon"')
    await t.until((s) => s.includes('\nicanon'), 'a terminal that reads lines')
  })

  it('is not shown for a build that is over at once, nor with --no-dashboard or --quiet', async () => {
    const t = (terminal = openTerminal(folder.path, 80, 24))
    t.run(`${SMELT} build small.yaml; echo "co""de $?"`)
    const left = await t.until((s) => s.includes('code 0'), 'the end')
    expect(left).toMatch(/small: 1 model[^]*wrote copy\.safetensors/)
    t.run(`${SMELT} build recipe.yaml --no-dashboard --workers 8`)
    // Where a dashboard is due, it comes as soon as the time left is known to be long; so far into the build it would
    // be there.
    const far = await t.until((s) => /\[[=> ]{20}\] +([5-9]|\d\d)%.*left/.test(s), 'one line of progress')
    expect(far).not.toContain('Workers')
    t.type('C-c')
    await t.until((s) => s.includes('error[stopped]'), 'the stop')
  })
})
