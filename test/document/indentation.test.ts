import { describe, expect, it } from 'vitest'
import { parse } from '#src/recipe/parse.js'
import { growthOf } from '../support/calls.js'
import { problemsOf, shown, sourceOf } from './support.js'

const RECIPE = `smelt: 1
# a comment
models:
  anime: anime.safetensors
  photo: { path: photo.safetensors }
params:
  keep: 0.5
steps:
  blended:
    op: merge.blend
    a: anime
    b: photo
    keep:
      default: $keep
      "**.attn2": 0.2
  averaged:
    op: merge.linear
    models:
      - model: anime
        weight: 0.4
      - blended
    layers:
      - "**.attn2"
      - "!*.bias"
outputs:
  merged:
    from: averaged
    path: merged.safetensors
    metadata:
      note: |
        a text
          that is indented as it likes
`
const LINES = RECIPE.split('\n')

const shift = (line: number, by: number): string =>
  LINES.map((text, i) => (i !== line ? text : by > 0 ? ' '.repeat(by) + text : text.slice(-by))).join('\n')

const indentOf = (line: number): number => /^ */.exec(LINES[line]!)![0].length
const lineOf = (start: number, text: string): number => text.slice(0, start).split('\n').length - 1

/**
 * The lines that a shifted one can be at odds with: itself, those that stand beside it or belong to it, and the next
 * one.
 */
const nearby = (line: number): readonly number[] => {
  let next = line + 1
  while (next < LINES.length - 1 && indentOf(next) > indentOf(line)) next++
  let first = line
  while (first > 0 && indentOf(first - 1) >= indentOf(line)) first--
  return [...Array(next + 1 - first).keys()].map((i) => first + i)
}

const moved = LINES.flatMap((text, line) =>
  text === '' || text.startsWith('#') || line >= 31
    ? []
    : [-2, -1, 1, 2].filter((by) => indentOf(line) + by >= 0).map((by) => [line, by] as const),
)

describe('a line of a recipe that is indented otherwise', () => {
  it('is sound before', () => expect(parse(sourceOf(RECIPE)).diagnostics).toEqual([]))

  it.each(moved)('line index %i by %i is read as it was, or told as one wrong indent near it', (line, by) => {
    const text = shift(line, by)
    const { type, diagnostics } = parse(sourceOf(text))
    if (type === 'ok') return
    expect(
      shown(diagnostics).map((d) => d.split(' ')[0]),
      text,
    ).toEqual(['indent'])
    const [{ at, help }] = diagnostics as [(typeof diagnostics)[0]]
    expect(at?.type === 'text' ? nearby(line) : [], text).toContain(
      at?.type === 'text' ? lineOf(at.range.start, text) : -1,
    )
    expect(help).toMatch(/^(indent|move|remove) /)
  })

  it('is seldom read as something else', () => {
    expect(moved.filter(([line, by]) => parse(sourceOf(shift(line, by))).type === 'ok').length).toBeLessThan(
      moved.length / 4,
    )
  })
})

describe('what only looks like wrong indentation', () => {
  it.each([
    ['an unclosed bracket', 'a: [1, 2\n  , 3\nb:\n    c: 1\n', ['syntax ']],
    ['a text over several lines', 'a: one\n  two three\n   four\nb: ] \n', ['syntax ]']],
    ['a block of text', 'a: |\n     x\n    y:\n  z\nb: 1\n', ['syntax']],
    ['a list at the column of its key', 'a:\n- b: 1\n  c: 2\n- d\nb: "x\n', ['syntax']],
  ])('%s is told as what it is', (_, text, codes) => {
    expect(problemsOf(text).map((p) => p.split(' ')[0])).toEqual(codes.map((c) => c.split(' ')[0]))
  })
})

it('blames a misspelt section, not the lines below it', () => {
  expect(
    shown(
      parse(
        sourceOf(
          RECIPE.replace('params:\n  keep: 0.5', 'params:').replace('outputs:', 'output:').replace('$keep', '0.5'),
        ),
      ).diagnostics,
    ),
  ).toEqual(expect.arrayContaining(['unknown-key output']))
})

it.each<[string, number, (n: number) => string]>([
  ['nested keys', 20_000, (n) => `${'a:\n '.repeat(n)}: ]`],
  ['spaces', 100_000, (n) => `${' '.repeat(n)}x: ]\ny`],
  ['open lists', 50_000, (n) => `a: ${'['.repeat(n)}`],
  ['quotes', 100_000, (n) => `${'"'.repeat(n)}\n ] a`],
  ['dashes', 60, (n) => `${'- '.repeat(n)}x\n ]`],
])('reads hostile texts with work that grows as they do: %s', async (_, size, text) => {
  problemsOf(text(size))
  expect(
    await growthOf(
      () => problemsOf(text(size / 20)),
      () => problemsOf(text(size / 10)),
    ),
  ).toBeLessThan(2.5)
})
