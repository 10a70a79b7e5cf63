import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { escapeControls, escapeJson, escapeScreen } from '#src/base/excerpt.js'
import { makeFolder } from '../support/smelt.js'
import { runHere, type Ran } from '../support/run-here.js'
import { writeSafetensors } from '../support/write-safetensors.js'

/** ESC, BEL, a carriage return, a line break, C1, bidi marks of every kind, and a line separator. */
const EVIL = 'x\u001b]0;t\u0007\r\n\u009b2J\u202e\u2066\u200e\u061c\u2028y'
const DRIVES = /(?![\u200c\u200d\n])[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u

const yaml = (text: string): string => escapeJson(JSON.stringify(text))
const file = (name: string): string => `${name}${EVIL}.safetensors`
const RECIPE = `smelt: 1
name: ${yaml(EVIL)}
models: { a: ${yaml(file('a'))}, b: ${yaml(file('b'))} }
adapters: { l: ${yaml(file('l'))} }
steps:
  m: { op: merge.blend, a: a, b: b }
  w: { op: report.adapter, adapter: l }
  d: { op: report.diff, a: a, b: m }
outputs:
  o: { from: m, path: ${yaml(file('o'))}, metadata: { ${yaml(EVIL)}: ${yaml(EVIL)} } }
  tags: { from: w, path: tags.txt }
  page: { from: w, path: tags.html }
  picture: { from: w, path: tags.svg }
  data: { from: w, path: tags.json }
  diff: { from: d, path: diff.txt }
  map: { from: d, path: diff.html }
`

const folder = makeFolder({
  'evil.yaml': RECIPE,
  'wrong.yaml': RECIPE.replace('op: merge.blend, a: a', `op: merge.blend, a: ${yaml(EVIL)}`),
})
/** All commands share a store. */
const run = (args: readonly string[]): Promise<Ran> =>
  runHere(folder.path, args, { SMELT_CACHE: join(folder.path, 'cache') })

beforeAll(() => {
  const names = [...Array(20).keys()].map(
    (i) => [`${EVIL}.${i}.weight`, { dtype: 'F32', shape: [2, 2], values: i }] as const,
  )
  for (const name of ['a', 'b'])
    writeSafetensors(join(folder.path, file(name)), Object.fromEntries(names), { [EVIL]: EVIL })
  const lora = {
    [`${EVIL}.lora_up.weight`]: { dtype: 'F32', shape: [2, 1], values: 1 },
    [`${EVIL}.lora_down.weight`]: { dtype: 'F32', shape: [1, 2], values: 1 },
  } as const
  writeSafetensors(join(folder.path, file('l')), lora, {
    [EVIL]: EVIL,
    ss_tag_frequency: JSON.stringify({ [EVIL]: { [EVIL]: 3, other: 1 } }),
  })
})
afterAll(() => folder.remove())

const COMMANDS: readonly (readonly string[])[] = [
  ['plan', 'evil.yaml'],
  ['plan', 'evil.yaml', '--format', 'json'],
  ['plan', 'evil.yaml', '--format', 'dot'],
  ['plan', 'evil.yaml', '--format', 'mermaid'],
  ['check', 'evil.yaml', 'wrong.yaml'],
  ['check', '--json', 'evil.yaml', 'wrong.yaml'],
  ['build', 'evil.yaml', '--workers', '1'],
  ['build', 'evil.yaml', '--workers', '1', '--json', '--attest', 'made.jsonl', '--report', 'run.html'],
  ['why', 'evil.yaml'],
  ['why', 'evil.yaml', '--json'],
  ['verify', 'evil.yaml', '--workers', '1'],
  ['verify', 'evil.yaml', '--workers', '1', '--json'],
  ['cache', 'ls'],
  ['cache', 'ls', '--json'],
  ['inspect', file('a')],
  ['inspect', file('a'), '--json'],
  ['inspect', file('l')],
  ['diff', file('a'), file('b')],
  ['diff', file('a'), file('b'), '--json'],
  ['inspect', file('none')],
  ['build', file('none')],
  ['build', 'evil.yaml', '--set', `${EVIL}=1`],
  [EVIL],
  ['ops', EVIL],
  ['ops', '--search', EVIL],
  ['init', '--force'],
]

it('shows names that hold controls, bidi marks and line breaks without letting them reach the terminal or a report', async () => {
  for (const command of COMMANDS) {
    const { screen, stdout } = await run(command)
    expect(DRIVES.exec(screen)?.[0], `${escapeControls(command.join(' '))}\n${escapeControls(screen)}`).toBeUndefined()
    if (command.includes('--json'))
      for (const line of command[0] === 'build' ? stdout.trim().split('\n') : [stdout]) JSON.parse(line)
  }
  const written = readdirSync(folder.path).filter((name) => /\.(txt|html|svg|json|jsonl|yaml)$/.test(name))
  expect(written).toEqual(
    expect.arrayContaining([
      'tags.txt',
      'tags.html',
      'tags.svg',
      'tags.json',
      'diff.txt',
      'diff.html',
      'run.html',
      'made.jsonl',
      'evil.lock.json',
    ]),
  )
  for (const name of written)
    expect(DRIVES.exec(readFileSync(join(folder.path, name), 'utf8'))?.[0], name).toBeUndefined()
})

it('prints JSON whose texts are still what the files say', async () => {
  const { stdout } = await run(['inspect', file('a'), '--json'])
  const { metadata, tensors } = JSON.parse(stdout) as {
    readonly metadata: unknown
    readonly tensors: readonly { readonly name: string }[]
  }
  expect(metadata).toEqual({ [EVIL]: EVIL })
  expect(tensors[0]!.name.startsWith(EVIL)).toBe(true)
  expect(stdout).toContain('\\u009b2J\\u202e\\u2066\\u200e\\u061c\\u2028y')
})

it('reads back the recipe and the lock that hold such names', async () => {
  writeFileSync(join(folder.path, 'again.yaml'), RECIPE)
  expect((await run(['build', 'evil.yaml', '--workers', '1', '--frozen'])).code).toBe(0)
})

it('keeps smelt’s own colours and redrawn lines on a screen, and nothing else that drives it', () => {
  const hostile = 'a\u001b[2J\u0007\u202eb\n\tc'
  expect(escapeScreen(`\r\u001b[K\u001b[1mbold\u001b[0m${hostile}`, true)).toBe(
    '\r\u001b[K\u001b[1mbold\u001b[0ma\\u{1b}[2J\\u{7}\\u{202e}b\n\tc',
  )
  expect(escapeScreen('\u001b[1mbold\r\u001b[K', false)).toBe('\\u{1b}[1mbold\\r\\u{1b}[K')
  expect(JSON.parse(escapeJson(JSON.stringify({ '\u{e0041}\u2029': '\u0085' })))).toEqual({
    '\u{e0041}\u2029': '\u0085',
  })
})
