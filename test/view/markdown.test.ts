import { describe, expect, it } from 'vitest'
import { operators } from '#src/operators/index.js'
import { renderMarkdown } from '#src/view/markdown.js'
import { renderOperator, renderOperators } from '#src/view/operators.js'
import { renderStarter } from '#src/view/starter.js'
import { widthOf } from '#src/base/columns.js'

const plain = { color: false, width: 60 }

describe('Markdown in a terminal', () => {
  it('wraps paragraphs without breaking code, indents fences and shows tables as definitions', () => {
    const page = [
      '## merge.x',
      '',
      'Some words that are long enough to wrap before `a piece of code` ends.',
      '',
      '| parameter | values | default | meaning |',
      '|---|---|---|---|',
      '| `keep` | number \\| text | `0.5` | How much. |',
      '',
      '```yaml',
      'op: merge.x',
      '```',
      '',
      'See [here](x.md).',
      '',
    ]
    expect(renderMarkdown(page.join('\n'), plain)).toBe(`merge.x

Some words that are long enough to wrap before
\`a piece of code\` ends.

Parameters
  \`keep\`  number | text; default \`0.5\`
      How much.

    op: merge.x

See here.
`)
  })

  it('shows code in colour instead of backticks', () => {
    expect(renderMarkdown('set `keep`', { ...plain, color: true })).toBe('set \u001b[36mkeep\u001b[0m\n')
  })
})

describe('operators in a terminal', () => {
  it('lists every operator once', () => {
    const listed = renderOperators(operators, plain)
      .split('\n')
      .flatMap((line) => /^  ([a-z]+\.[a-z_]+) /.exec(line)?.[1] ?? [])
    expect(listed).toEqual(operators.map((o) => o.id))
  })

  it.each(operators.map((o) => [o.id, o] as const))('explains %s with all its keys', (_, operator) => {
    const page = renderOperator(operator, { ...plain, width: 80 })
    // What follows a key is on its line, or, where it is long, on the next.
    for (const key of [...Object.keys(operator.inputs), ...Object.keys(operator.params)])
      expect(page).toMatch(new RegExp(`^  \`${key}\`(  |$)`, 'm'))
    expect(page).not.toMatch(/^\||```/m)
    // Examples stand as they are written.
    const prose = page.split('\n').filter((line) => !line.startsWith('    ') || line.startsWith('      '))
    expect(prose.filter((line) => widthOf(line) > 80 && line.includes('  ') && !line.includes('`'))).toEqual([])
  })
})

describe('a first recipe', () => {
  it('quotes file names that YAML would read as something else', () => {
    const model = (name: string, path: string) => ({ name, path, architecture: undefined })
    const text = renderStarter({
      name: '2024',
      schema: 's.json',
      pair: [model('a', 'my model: v1 #2.safetensors'), model('b', 'yes')],
      isFolder: false,
      others: [],
      missing: true,
      mismatch: true,
    })
    expect(text).toContain('  a: "my model: v1 #2.safetensors"\n  b: "yes"\n')
    expect(text).toContain('\nname: "2024"\n')
    expect(text).toContain('\n    missing: keep ')
    expect(text).toContain('\n    mismatch: keep ')
    expect(text.split('\n')[0]).toBe('# yaml-language-server: $schema=s.json')
  })
})
