import { describe, expect, it } from 'vitest'
import { renderDiagnostics } from '#src/base/screen.js'
import { readDocument } from '#src/document/read.js'
import { toSource } from '#src/document/source.js'
import { find, keyRangeOf, rangeOf, toPlain } from '#src/document/value.js'
import { growthOf } from '../support/calls.js'
import { problemsOf, shown, sourceOf, valueOf } from './support.js'

const plain = (text: string): unknown => JSON.parse(JSON.stringify(toPlain(valueOf(text))))

describe('values', () => {
  it('reads the core schema of YAML 1.2', () => {
    expect(
      plain(
        'a: 1\nb: [x, 0.5, true, null, ~]\nc: {d: 1e-3}\ne:\nf: yes\ng: NO\nh: 010\ni: 0o10\nj: 0x1F\nk: 1:30\nl: "1"',
      ),
    ).toEqual({
      a: 1,
      b: ['x', 0.5, true, null, null],
      c: { d: 0.001 },
      e: null,
      f: 'yes',
      g: 'NO',
      h: 10,
      i: 8,
      j: 31,
      k: '1:30',
      l: '1',
    })
  })

  it('accepts an explicit %YAML 1.2, a byte order mark, document marks and CRLF', () => {
    expect(plain('\ufeff%YAML 1.2\r\n---\r\na: 1\r\nb: x\r\n...\r\n')).toEqual({ a: 1, b: 'x' })
  })

  it('reads an empty document as null', () => {
    for (const text of ['', '\n', '# nothing\n', '---\n'])
      expect(valueOf(text)).toMatchObject({ type: 'null', value: null })
  })

  it('keeps __proto__ and constructor as plain keys', () => {
    const value = toPlain(valueOf('__proto__: {polluted: 1}\nconstructor: {prototype: {polluted: 1}}')) as object
    expect(Object.getPrototypeOf(value)).toBe(null)
    expect(Object.keys(value)).toEqual(['__proto__', 'constructor'])
    expect(({} as { polluted?: number }).polluted).toBeUndefined()
  })

  it('takes a quoted << for a text', () => {
    expect(plain('"<<": 1')).toEqual({ '<<': 1 })
  })
})

describe('ranges', () => {
  const text = 'a: 1 # one\nb:\n  c: "x y"\n  d: [1, -2.5]\n  e:\n  # last\nf: |\n  text\n\n\ng: {h: true}\n'
  const value = valueOf(text)
  const written = (...path: (string | number)[]): string => {
    const { start, end } = rangeOf(value, path)
    return text.slice(start, end)
  }

  it('give every value exactly as written', () => {
    expect(written('a')).toBe('1')
    expect(written('b', 'c')).toBe('"x y"')
    expect(written('b', 'd')).toBe('[1, -2.5]')
    expect(written('b', 'd', 1)).toBe('-2.5')
    expect(written('f')).toBe('|\n  text')
    expect(written('g')).toBe('{h: true}')
  })

  it('give a block map from its first key to its last value, without comments and blank lines', () => {
    expect(written('b')).toBe('c: "x y"\n  d: [1, -2.5]\n  e')
    expect(written()).toBe(text.trimEnd())
  })

  it('give a key without a value its key', () => {
    expect(written('b', 'e')).toBe('e')
  })

  it('give keys, and where a path ends early the innermost value around it', () => {
    const { start, end } = keyRangeOf(value, ['b', 'd'])
    expect(text.slice(start, end)).toBe('d')
    expect(keyRangeOf(value, ['b', 'd', 0])).toEqual(rangeOf(value, ['b', 'd', 0]))
    expect(written('b', 'd', 7)).toBe('[1, -2.5]')
    expect(find(value, ['b', 'd', 7])).toBeUndefined()
    expect(find(value, ['b', 'd', 0])).toMatchObject({ type: 'number', value: 1 })
  })
})

describe('anchors and aliases', () => {
  it('share a value, with the alias for its outer range and the original inside', () => {
    const text = 'a: &x {k: 1}\nb: *x\nc: [*x]'
    const value = valueOf(text)
    expect(toPlain(value)).toMatchObject({ a: { k: 1 }, b: { k: 1 }, c: [{ k: 1 }] })
    expect(rangeOf(value, ['b'])).toMatchObject({ start: 16, end: 18 })
    expect(rangeOf(value, ['b', 'k'])).toEqual(rangeOf(value, ['a', 'k']))
  })

  it('read the last anchor of a name, and anchors on keys', () => {
    expect(plain('a: &x 1\nb: *x\nc: &x 2\nd: *x\n&y k: *y')).toEqual({ a: 1, b: 1, c: 2, d: 2, k: 'k' })
  })

  it('refuse recursion, missing anchors and bombs', () => {
    const levels = 'bcdefghi'
      .split('')
      .map((name, i) => `${name}: &${name} [${Array(9).fill(`*${'abcdefgh'[i]!}`).join(',')}]`)
    expect(problemsOf('a: &a [*a]')).toEqual(['recursive-alias *a'])
    expect(problemsOf('a: &layers 1\nb: *layer')).toEqual(['unknown-anchor *layer'])
    expect(problemsOf(['a: &a [x,x,x,x,x,x,x,x,x]', ...levels].join('\n'))).toEqual(['alias-too-large *d'])
    expect(
      problemsOf(
        ['a0: &a0 [x]', ...Array.from({ length: 64 }, (_, i) => `a${i + 1}: &a${i + 1} [*a${i}]`)].join('\n'),
      )[0],
    ).toBe('nested-too-deep *a62')
  })

  it('count what aliases stand for, not how often one is written', () => {
    expect(readDocument(sourceOf(`a: &a x\nb: [${'*a,'.repeat(10_000)}]`)).type).toBe('ok')
    expect(problemsOf(`a: &a x\nb: [${'*a,'.repeat(10_001)}]`)).toEqual(['alias-too-large *a'])
    expect(problemsOf(`a: &a [x]\nb: [${'*a,'.repeat(5_001)}]`)).toEqual(['alias-too-large *a'])
  })
})

const REFUSED: readonly [name: string, text: string, problems: readonly string[]][] = [
  ['a duplicate key', 'a: 1\na: 2', ['duplicate-key a']],
  ['a duplicate key in quotes', 'a: 1\n"a": 2', ['duplicate-key "a"']],
  ['a number for a key', '1: a\n"1": b', ['non-string-key 1', 'duplicate-key "1"']],
  ['a boolean for a key', 'true: a', ['non-string-key true']],
  ['a null key', '~: a', ['non-string-key ~']],
  ['a map for a key', '{a: 1}: x', ['non-string-key {a: 1}']],
  ['an alias for a key', 'a: &a x\n*a : y', ['non-string-key *a']],
  ['an empty key', ': x', ['empty-key ']],
  ['an empty explicit key', '? \n: x', ['empty-key ']],
  ['an empty quoted key', '"": x', ['empty-key ""']],
  ['a merge key', 'a: &a {x: 1}\nb: {<<: *a}', ['merge-key <<']],
  ['an integer past 2^53', 'n: 9007199254740993', ['integer-too-large 9007199254740993']],
  ['an infinity', 'n: -.inf', ['non-finite -.inf']],
  ['a NaN', 'n: .nan', ['non-finite .nan']],
  ['a number past the doubles', 'n: 1e400', ['non-finite 1e400']],
  ['an integer past the doubles', `n: 1${'0'.repeat(400)}`, [`non-finite 1${'0'.repeat(400)}`]],
  ['YAML 1.1', '%YAML 1.1\n---\na: yes', ['directive %YAML 1.1']],
  ['another directive', '%FOO bar\n---\na: 1', ['directive %FOO bar']],
  ['a tag directive', '%TAG ! tag:x,2000:\n---\na: 1', ['directive %TAG ! tag:x,2000:']],
  ['a language tag', 'a: !!js/function x', ['tag !!js/function']],
  ['a local tag', 'a: !foo bar', ['tag !foo']],
  ['a core tag', 'a: !!str 1\nb: !!binary aGk=', ['tag !!str', 'tag !!binary']],
  ['the bare tag', 'a: ! 1', ['tag !']],
  ['two documents', 'a: 1\n---\nb: 2\n---\nc: 3', ['many-documents ---']],
  ['a tab for indent', 'a:\n\tb: 1', ['indent b']],
  ['a NUL', 'a: b\0c', ['control-character \0']],
  ['a terminal escape', 'a: "\u001b[2J"', ['control-character \u001b']],
  ['a lone surrogate', 'a: \ud800', ['control-character \ud800']],
  ['an unclosed bracket', 'a: [1, 2\n\n', ['syntax ']],
  ['a bad escape', 'a: "\\q"', ['syntax \\']],
]

describe('refusals', () => {
  it.each(REFUSED)('%s is refused at its place', (_, text, problems) => {
    const result = problemsOf(text)
    if (problems[0]!.startsWith('syntax')) expect(result.map((p) => p.split(' ')[0])).toEqual(['syntax'])
    else expect(result).toEqual(problems)
  })

  it('shows an unclosed bracket where the text ends, not on the blank lines after', () => {
    const [problem] = readDocument(sourceOf('a: [1, 2\n\n')).diagnostics
    expect(problem?.at).toMatchObject({ range: { start: 8, end: 8 } })
  })

  it('relates a duplicate key to the first', () => {
    const [problem] = readDocument(sourceOf('a: 1\na: 2')).diagnostics
    expect(problem?.related).toMatchObject([{ at: { range: { start: 0, end: 1 } } }])
  })

  it('reports everything at once, in order of place', () => {
    expect(problemsOf('a: !x 1\nb: .inf\na: 2\n<<: 3\nc: *no\n"d": "\\q"\n')).toEqual([
      'tag !x',
      'non-finite .inf',
      'duplicate-key a',
      'merge-key <<',
      'unknown-anchor *no',
      'syntax \\',
    ])
  })

  it('shows everything on one screen', () => {
    const text =
      "smelt: 1\nseed: 9007199254740993\nsteps:\n  blend: &blend {op: merge.lerp}\n  other: *blned\n  blend: !model {<<: *blend}\n  note: it's: odd\n"
    expect(renderDiagnostics(readDocument(sourceOf(text)).diagnostics, { color: false })).toMatchInlineSnapshot(`
      "error[integer-too-large]: \`9007199254740993\` is too large to be held exactly
       --> recipe.yaml:2:7
        |
      2 | seed: 9007199254740993
        |       ^^^^^^^^^^^^^^^^
      help: whole numbers go from -9007199254740991 to 9007199254740991; put it in quotes if it is a string

      error[unknown-anchor]: the alias \`*blned\` has no anchor before it
       --> recipe.yaml:5:10
        |
      5 |   other: *blned
        |          ^^^^^^
      help: did you mean \`blend\`?

      error[duplicate-key]: the key \`blend\` is given twice
       --> recipe.yaml:6:3
        |
      6 |   blend: !model {<<: *blend}
        |   ^^^^^
      note: first given here
       --> recipe.yaml:4:3
        |
      4 |   blend: &blend {op: merge.lerp}
        |   ^^^^^
      help: keep one of the two, or rename one

      error[tag]: the tag \`!model\` is not supported
       --> recipe.yaml:6:10
        |
      6 |   blend: !model {<<: *blend}
        |          ^^^^^^
      help: delete it; a value in quotes is a string

      error[merge-key]: merge keys (\`<<\`) are not supported
       --> recipe.yaml:6:18
        |
      6 |   blend: !model {<<: *blend}
        |                  ^^
      help: write the keys out, or share a whole value with an anchor (\`&name\`) and an alias (\`*name\`)

      error[syntax]: this is not YAML: nested mappings are not allowed in compact mappings
       --> recipe.yaml:7:9
        |
      7 |   note: it's: odd
        |         ^
      help: start each key on a line of its own; put a string that contains \`: \` in quotes

      6 errors
      "
    `)
  })

  it('says one complaint about the syntax of a line', () => {
    expect(problemsOf('a: ] ] ] ]\n').length).toBe(1)
  })

  it('names the bracket that is missing', () => {
    const open = 'steps:\n  x: { op: merge.blend, a: a\noutputs: { o: 1 }\n'
    expect(readDocument(sourceOf(open)).diagnostics[0]).toMatchObject({
      code: 'syntax',
      help: 'add the `}` that is missing before this place, or indent what is between the brackets',
    })
  })

  it('cuts the list after fifty and counts the rest', () => {
    const { diagnostics } = readDocument(sourceOf('a: 1\n'.repeat(60)))
    expect(diagnostics.length).toBe(51)
    expect(diagnostics.at(-1)).toMatchObject({
      code: 'more-problems',
      message: 'and 9 more problems, the first of them here',
      at: { range: { start: 255 } },
    })
  })

  it('refuses what is too large or not text', () => {
    const large = 'a: '.padEnd(256 * 1024 + 1, 'x')
    expect(problemsOf(large)).toEqual(['document-too-large recipe.yaml'])
    expect(readDocument(sourceOf(large.slice(0, -1))).type).toBe('ok')
    expect(shown(toSource('m.safetensors', Buffer.alloc(256 * 1024 + 1)).diagnostics)).toEqual([
      'document-too-large m.safetensors',
    ])
    expect(shown(toSource('m.safetensors', Buffer.from([0xff, 0xfe, 0x61, 0])).diagnostics)).toEqual([
      'not-utf8 m.safetensors',
    ])
    expect(toSource('r.yaml', Buffer.from('a: é'))).toMatchObject({
      type: 'ok',
      value: { path: 'r.yaml', text: 'a: é' },
    })
  })

  it('refuses more than 100,000 values', () => {
    expect(readDocument(sourceOf(`[${'a,'.repeat(99_999)}]`)).type).toBe('ok')
    expect(problemsOf(`[${'a,'.repeat(100_000)}]`)).toEqual(['too-many-values a'])
  })

  it('allows 64 levels and no more', () => {
    expect(readDocument(sourceOf(`${'['.repeat(64)}${']'.repeat(64)}`)).type).toBe('ok')
    expect(problemsOf(`${'['.repeat(65)}${']'.repeat(65)}`)).toEqual(['nested-too-deep ['])
  })
})

/** Texts that are made to take long, with a size. */
const HOSTILE: readonly [name: string, size: number, text: (size: number) => string][] = [
  ['brackets', 100_000, (n) => '['.repeat(n) + ']'.repeat(n)],
  ['question marks', 500, (n) => '? '.repeat(n)],
  ['dashes', 100_000, (n) => '- '.repeat(n)],
  ['colons', 130_000, (n) => ': '.repeat(n)],
  ['levels of indent', 700, (n) => Array.from({ length: n }, (_, i) => `${' '.repeat(i)}a:`).join('\n')],
  ['duplicates', 20_000, (n) => 'a:\n'.repeat(n)],
  ['quotes', 60_000, (n) => '"'.repeat(n)],
  ['closing brackets', 60_000, (n) => ']'.repeat(n)],
  ['anchors on one value', 20_000, (n) => '&a '.repeat(n)],
  [
    'anchors and as many misspelt aliases',
    2000,
    (n) =>
      `[${Array.from({ length: n }, (_, i) => `&a${i} x,`).join('')}${Array.from({ length: n }, (_, i) => `*b${i}`).join()}]`,
  ],
  ['tags', 30_000, (n) => '! '.repeat(n)],
  ['bad escapes', 30_000, (n) => `"${'\\q'.repeat(n)}"`],
  ['unclosed lists', 15_000, (n) => '- [\n'.repeat(n)],
]

describe('hostile texts', () => {
  it.each(HOSTILE)('%s are refused, with work that grows as they do: %i of them', async (_, size, text) => {
    const read = (n: number) => readDocument(sourceOf(text(n)))
    expect(read(size).type).toBe('failed')
    expect(
      await growthOf(
        () => read(size / 20),
        () => read(size / 10),
      ),
    ).toBeLessThan(2.5)
  })

  it('different keys are read with work that grows as they do', async () => {
    const read = (n: number) => () =>
      expect(readDocument(sourceOf(Array.from({ length: n }, (_, i) => `k${i}: ${i}`).join('\n'))).type).toBe('ok')
    read(16_000)()
    expect(await growthOf(read(800), read(1600))).toBeLessThan(2.5)
  })
})
