import { describe, expect, it } from 'vitest'
import { entry } from '#src/base/catalogue/entry.js'
import type { Diagnostic, Place, Source } from '#src/base/diagnostic.js'
import { escapeControls } from '#src/base/excerpt.js'
import { lineAt, positionOf } from '#src/base/position.js'
import { renderDiagnostics, sortDiagnostics, toJson } from '#src/base/screen.js'

const placeOf = (source: Source, part: string, length = part.length): Place => {
  const start = source.text.indexOf(part)
  return { type: 'text', range: { source, start, end: start + length } }
}

const render = (text: string, part: string, options: { width?: number; length?: number } = {}): string[] => {
  const at = placeOf({ path: 'r.yaml', text }, part, options.length)
  const width = options.width === undefined ? {} : { width: options.width }
  return renderDiagnostics([entry('x', 'm', { at })], { color: false, ...width })
    .split('\n')
    .slice(3, -3)
}

describe('renderDiagnostics', () => {
  it('shows places, related places and help, sorted, with a count', () => {
    const recipe = { path: '/srv/me/recipe.yaml', text: 'smelt: 1\na: 1\nb: 2\na: 3\n' }
    const diagnostics: Diagnostic[] = [
      entry('unplaced', 'nothing is written'),
      entry('corrupt', 'the header ends early', {
        at: { type: 'file', path: '/data/m.safetensors', tensor: 'w.\u001b[31m', offset: 8 },
        severity: 'warning',
      }),
      entry('duplicate-key', 'the key `a` is given twice', {
        at: { type: 'text', range: { source: recipe, start: 19, end: 20 } },
        related: [{ at: placeOf(recipe, 'a: 1', 1), message: 'first given here' }],
        help: 'keep one of the two',
      }),
      entry('unknown-option', 'there is no option --sed', {
        at: { type: 'option', name: '--sed' },
        help: 'did you mean `--seed`?',
      }),
    ]
    expect(renderDiagnostics(diagnostics, { color: false, cwd: '/srv/me' })).toMatchInlineSnapshot(`
      "error[unknown-option]: there is no option --sed
       --> --sed
      help: did you mean \`--seed\`?

      warning[corrupt]: the header ends early
       --> /data/m.safetensors, tensor w.\\u{1b}[31m, byte 8

      error[duplicate-key]: the key \`a\` is given twice
       --> recipe.yaml:4:1
        |
      4 | a: 3
        | ^
      note: first given here
       --> recipe.yaml:2:1
        |
      2 | a: 1
        | ^
      help: keep one of the two

      error[unplaced]: nothing is written

      3 errors, 1 warning
      "
    `)
  })

  it('writes colours only when asked', () => {
    const diagnostics = [entry('x', 'm', { at: placeOf({ path: 'r', text: 'abc' }, 'b'), help: 'h' })]
    const plain = renderDiagnostics(diagnostics, { color: false })
    const colored = renderDiagnostics(diagnostics, { color: true })
    expect(plain).not.toContain('\u001b')
    expect(colored).toContain('\u001b[1;31merror[x]\u001b[0m')
    expect(colored.replaceAll(/\u001b\[[\d;]*m/g, '')).toBe(plain)
  })

  it('is empty for no problems', () => {
    expect(renderDiagnostics([], { color: true })).toBe('')
  })

  it('underlines under tabs, wide and combining characters', () => {
    expect(render('\ta: x', 'x')).toEqual(['1 |     a: x', '  |        ^'])
    expect(render('模型: x', 'x')).toEqual(['1 | 模型: x', '  |       ^'])
    expect(render('模型: x', '型')).toEqual(['1 | 模型: x', '  |   ^^'])
    expect(render('e\u0301: x', 'x')).toEqual(['1 | e\u0301: x', '  |    ^'])
    expect(render('👩‍👩‍👧: x', 'x')).toEqual(['1 | 👩‍👩‍👧: x', '  |     ^'])
    expect(render('a: [', '', { length: 0 })).toEqual(['1 | a: [', '  | ^'])
  })

  it('cuts long lines around the place', () => {
    const long = `${'a'.repeat(100_000)}HERE${'b'.repeat(100_000)}`
    const [text, marks] = render(long, 'HERE', { width: 40 })
    expect(text).toBe('  |'.replace('  ', '1 ') + ` …${'a'.repeat(12)}HERE${'b'.repeat(22)}…`)
    expect(marks).toBe(`  | ${' '.repeat(13)}^^^^`)
    expect(render(`x: ${'b'.repeat(100)}`, 'b'.repeat(100), { width: 40 })[1]).toBe(`  |    ${'^'.repeat(35)}`)
  })

  it('shows the first and last line of a longer range', () => {
    expect(render('a:\n  b: 1\n  c: 2\n  d: 3\ne: 4', 'b: 1\n  c: 2\n  d: 3')).toEqual([
      '2 |   b: 1',
      '  |   ^^^^',
      '...',
      '4 |   d: 3',
      '  |   ^^^^',
    ])
    expect(render('b: 1\r\nc: 2\r\n', 'b: 1\r\nc: 2')).toEqual(['1 | b: 1', '  | ^^^^', '2 | c: 2', '  | ^^^^'])
  })

  it('marks the end of a text that ends too early', () => {
    expect(render('a: [', 'a', { length: 0 }).length).toBe(2)
    const source = { path: 'r.yaml', text: 'a: [' }
    const screen = renderDiagnostics([entry('x', 'm', { at: { type: 'text', range: { source, start: 4, end: 4 } } })], {
      color: false,
    })
    expect(screen).toContain('r.yaml:1:5\n  |\n1 | a: [\n  |     ^\n')
  })

  it('lets nothing drive the terminal', () => {
    const evil = '\u001b]0;x\u0007\u009b2J\r\n\u202e\u0000\u2028'
    const at = placeOf({ path: `f${evil}`, text: `a: ${evil.replace('\n', '')}` }, 'a')
    const diagnostics = [
      entry('x', `m${evil}`, {
        at,
        help: `h${evil}`,
        related: [{ at: { type: 'file', path: evil, tensor: evil }, message: evil }],
      }),
      entry('y', 'm', { at: { type: 'option', name: evil } }),
    ]
    expect(renderDiagnostics(diagnostics, { color: false })).toMatch(
      /^[^\u0000-\u0009\u000b-\u001f\u007f-\u009f\u2028\u202e]*$/,
    )
    expect(escapeControls('\u001b[2J\n\t')).toBe('\\u{1b}[2J\\n\\t')
  })
})

describe('sortDiagnostics', () => {
  it('orders by file, then offset, then tensor, options first and the unplaced last', () => {
    const [a, b] = [
      { path: 'a', text: 'xy' },
      { path: 'b', text: 'xy' },
    ]
    const named = (code: string, at?: Place): Diagnostic => entry(code, code, { at })
    const sorted = sortDiagnostics([
      named('6'),
      named('4', placeOf(b, 'y')),
      named('3', placeOf(b, 'x')),
      named('2', placeOf(a, 'y')),
      named('1', { type: 'option', name: '--x' }),
      named('5b', { type: 'file', path: 'c', tensor: 'u' }),
      named('5a', { type: 'file', path: 'c', tensor: 't' }),
    ])
    expect(sorted.map(({ code }) => code)).toEqual(['1', '2', '3', '4', '5a', '5b', '6'])
  })
})

describe('positionOf', () => {
  it('counts lines and code points from 1', () => {
    const source = { path: 'r', text: 'a\r\n👍b\n' }
    expect(positionOf(source, 0)).toEqual({ line: 1, column: 1 })
    expect(positionOf(source, 5)).toEqual({ line: 2, column: 2 })
    expect(positionOf(source, 7)).toEqual({ line: 3, column: 1 })
    expect(lineAt(source, 1)).toEqual({ number: 1, start: 0, end: 1 })
  })
})

describe('toJson', () => {
  it('gives plain objects with lines and columns', () => {
    const source = { path: 'r.yaml', text: 'a: 1\nb: [\n]' }
    const diagnostics = [
      entry('x', 'm', {
        at: placeOf(source, '[\n]'),
        related: [{ at: { type: 'file', path: 'm', tensor: 't' }, message: 'n' }],
      }),
      entry('y', 'm', { at: { type: 'option', name: '--seed' }, blame: 'usage', help: 'h' }),
    ]
    expect(JSON.parse(JSON.stringify(toJson(diagnostics)))).toEqual([
      { code: 'y', severity: 'error', blame: 'usage', message: 'm', help: 'h', at: { option: '--seed' }, related: [] },
      {
        code: 'x',
        severity: 'error',
        blame: 'input',
        message: 'm',
        at: { path: 'r.yaml', line: 2, column: 4, endLine: 3, endColumn: 2 },
        related: [{ at: { path: 'm', tensor: 't' }, message: 'n' }],
      },
    ])
  })
})
