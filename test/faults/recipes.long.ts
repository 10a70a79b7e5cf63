import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect } from 'vitest'
import { command } from './command.js'
import { fault, FULL } from './machine.js'
import { makeScene } from './scene.js'
import { createTally } from './tally.js'

/**
 * Runs the program with at most five seconds of the processor, its start included: other work may share the machine.
 */
const FIVE_SECONDS = ['bash', '-c', 'ulimit -t 5 && exec "$@"', 'limited']

const bomb = [
  'a: &a [x,x,x,x,x,x,x,x,x]',
  ...'bcdefghi'.split('').map((name, i) => `${name}: &${name} [${Array<string>(9).fill(`*${'abcdefgh'[i]}`).join()}]`),
].join('\n')

/** Texts that stop, mislead or exhaust readers of YAML. */
const TEXTS: Readonly<Record<string, string>> = {
  'a billion laughs': bomb,
  'an alias of itself': 'a: &a [*a]',
  '100,000 brackets': '['.repeat(100_000),
  '100,000 pairs of brackets': '['.repeat(100_000) + ']'.repeat(100_000),
  '260,000 closing brackets': ']'.repeat(260_000),
  '500 question marks': '? '.repeat(500),
  '260,000 quotes': '"'.repeat(260_000),
  '87,000 duplicates': 'a:\n'.repeat(87_000),
  '700 levels of indent': Array.from({ length: 700 }, (_, i) => `${' '.repeat(i)}a:`).join('\n'),
  '16,000 unknown keys': Array.from({ length: 16_000 }, (_, i) => `k${i}: ${i}`).join('\n'),
  '50,000 keys': Array.from({ length: 50_000 }, (_, i) => `k${i}:`)
    .join('\n')
    .slice(0, 256 * 1024),
  'a megabyte': 'a: '.padEnd(1 << 20, 'x'),
  'YAML 1.1': '%YAML 1.1\n---\nsmelt: 1\nseed: 010',
  'a merge key': 'a: &a {x: 1}\nb: {<<: *a}',
  'a language tag': 'smelt: !!js/function "function () {}"',
  'a binary tag': 'smelt: !!binary aGVsbG8=',
  'a number past the doubles': 'smelt: 1e400',
  'an infinity': 'smelt: .inf',
  'an integer past 2^53': 'smelt: 1\nseed: 9007199254740993',
  'keys that are no texts': '1: a\n"1": b\n{a: 1}: x',
  'a prototype': 'smelt: 1\n__proto__: { polluted: 1 }\nconstructor: { prototype: { polluted: 1 } }',
  'two documents': 'smelt: 1\n---\nsmelt: 1',
  'bytes that are no text': '\u0000\u0001\u0002',
}

const layered = (pattern: string): string => `smelt: 1
models: { a: a.safetensors, b: b.safetensors }
steps: { x: { op: merge.blend, a: a, b: b, layers: [${JSON.stringify(pattern)}] } }
outputs: { out: { from: x, path: out.safetensors } }
`

/** Patterns that stop matchers of globs. */
const PATTERNS: Readonly<Record<string, string>> = {
  'twenty globstars': `${'**.a.'.repeat(20)}b`,
  'nested extended globs': `${'*('.repeat(60)}a${')'.repeat(60)}.zz`,
  'alternating extended globs': '+(a|aa|a?|l*)'.repeat(60),
  'thirty stars': `${'*a'.repeat(30)}b`,
  'two thousand stars': `${'*a'.repeat(2000)}.b`,
  'braces of braces': '{a,b}'.repeat(30),
  'a range of a billion': '{1..1000000000}',
  'a range by tiny steps': '{1..1000000000..1}{a..z}',
  'a hundred thousand letters': 'a'.repeat(100_000),
  'brackets without end': '['.repeat(4000),
  backslashes: '\\'.repeat(4001),
}

describe('F23: a hostile recipe', () => {
  fault('is refused within five seconds, and the program ends by itself', ['linux'], async () => {
    const scene = await makeScene({ tensors: 16, elements: 1024 })
    const stage = scene.stage()
    const texts = {
      ...TEXTS,
      ...Object.fromEntries(Object.entries(PATTERNS).map(([name, pattern]) => [name, layered(pattern)])),
    }
    const tally = createTally('F23', 'hostile recipes')
    const wrong: string[] = []
    let slowest = 0
    const names = Object.keys(texts)
    for (const name of FULL ? names : ['a billion laughs', 'alternating extended globs']) {
      writeFileSync(join(stage.folder, 'hostile.yaml'), texts[name]!)
      const ended = await command(['plan', 'hostile.yaml'], {
        cwd: stage.folder,
        env: { SMELT_CACHE: join(stage.folder, 'cache') },
        wrap: FIVE_SECONDS,
      })
      const right = !ended.hung && ended.code === 1 && ended.stderr.includes('error[')
      slowest = Math.max(slowest, ended.milliseconds)
      tally.see('refused', !right)
      if (!right)
        wrong.push(
          `${name}: code ${ended.code} ${ended.signal} after ${Math.round(ended.milliseconds)} ms ${ended.stderr.slice(0, 300)}`,
        )
    }
    tally.end(`${Math.ceil(slowest / 100) / 10} s at most`)
    expect(wrong).toEqual([])
  })
})
