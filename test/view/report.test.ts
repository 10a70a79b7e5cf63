import { describe, expect, test } from 'vitest'
import { REPORT_FORMATS, type ReportDocument } from '#src/operators/report-document.js'
import { formatShort, formatValue } from '#src/view/report/format.js'
import { renderReport } from '#src/view/report/render.js'
import { renderReportText } from '#src/view/report/text.js'

const LONG = 'model.diffusion_model.output_blocks.5.1.transformer_blocks.0.attn2.to_q.weight'

/** A report with every kind of section, and names that mean something in HTML and in a terminal. */
const document: ReportDocument = {
  title: 'Mask',
  subject: 'step <strong> & "co" \u001b[31m',
  facts: [
    { label: 'selected', value: 1234567, format: 'count' },
    { label: 'share', value: 0.25, format: 'share' },
    { label: 'norm', value: NaN, format: 'number' },
  ],
  sections: [
    { type: 'facts', title: 'Words', facts: [{ label: 'comment', value: 'x'.repeat(300), format: 'text' }] },
    {
      type: 'heatmap',
      title: 'Share',
      note: 'of all',
      axes: ['block', 'kind'],
      rows: ['in.0', 'in.1'],
      columns: ['attn', 'ff'],
      values: [
        [0, 1],
        [null, 0.5],
      ],
      format: 'share',
      low: 0,
      high: 1,
    },
    {
      type: 'heatmap',
      title: 'One layer',
      axes: ['row', 'column'],
      rows: ['0', '1'],
      columns: Array.from({ length: 20 }, (_, i) => String(i)),
      values: [0, 1].map((row) => Array.from({ length: 20 }, (_, i) => row * i)),
      format: 'number',
      low: 0,
      high: 19,
    },
    {
      type: 'curve',
      title: 'Curve',
      axes: ['block', 'number'],
      points: [
        { label: 'in.0', value: 0.5 },
        { label: 'in.1', value: null },
        { label: 'mid', value: 1 },
      ],
      format: 'number',
    },
    {
      type: 'bars',
      title: 'Bars',
      axes: ['name', 'count'],
      bars: [
        { label: 'one', value: 1 },
        { label: 'four', value: 4 },
      ],
      format: 'count',
    },
    { type: 'histogram', title: 'Values', axis: 'value', low: -1, high: 1, counts: [1, 4, 2, 0] },
    {
      type: 'tags',
      title: 'Tags',
      tags: [
        { label: '<b>ink</b>', count: 40 },
        { label: '1girl', count: 12 },
      ],
    },
    {
      type: 'table',
      title: 'Layers',
      columns: [
        { label: 'tensor', format: 'text' },
        { label: 'selected', format: 'count' },
        { label: 'share', format: 'share' },
      ],
      rows: [
        { group: 'in.0', cells: [LONG, 1000, 0.5] },
        { group: 'in.1', cells: ['b', null, 1] },
      ],
    },
  ],
}

const render = async (format: (typeof REPORT_FORMATS)[number]): Promise<string> =>
  Buffer.from(await renderReport(document, format)).toString()

test.each(REPORT_FORMATS)(
  'a report in %s has the same bytes each time, also when several are drawn at once',
  async (format) => {
    const all = await Promise.all([renderReport(document, format), renderReport(document, format)])
    expect(Buffer.compare(all[0], all[1])).toBe(0)
    expect(Buffer.compare(all[0], await renderReport(document, format))).toBe(0)
  },
)

test('JSON holds the document, with a version and no number that JSON has no word for', async () => {
  const { v, type, title, sections, facts } = JSON.parse(await render('json')) as ReportDocument & {
    readonly v: number
    readonly type: string
  }
  expect([v, type, title]).toEqual([1, 'report', 'Mask'])
  expect(sections).toEqual(document.sections)
  expect(facts[2]).toEqual({ label: 'norm', value: null, format: 'number' })
})

describe('text', () => {
  test('is at most 80 columns wide, whatever names it has to show', async () => {
    const lines = (await render('txt')).split('\n')
    expect(lines.filter((line) => [...line].length > 80 && !line.includes('xxx'))).toEqual([])
    expect(lines.find((line) => line.includes('1,000'))).toContain('model.diffusion_model')
  })

  test('shows every part, and nothing that drives the terminal', async () => {
    const text = await render('txt')
    expect(text).toContain('  selected  1,234,567\n  share     25%\n  norm      NaN\n')
    expect(text).toContain('        attn    ff\n  in.0    0%  100%\n  in.1         50%\n')
    expect(text).toContain(`  0 ${' '.repeat(20)}`.trimEnd())
    expect(text).toContain('  mid     1  ██████████████████████████████\n')
    expect(text).toContain('  four  4  ██████████████████████████████\n')
    expect(text).not.toContain('\u001b')
  })

  test('is coloured where it may be', () => {
    expect(renderReportText(document, { color: true, width: 80 })).toContain('\u001b[1mMask\u001b[0m')
  })
})

describe('SVG', () => {
  test('has every title, label and number as text, in the room there is', async () => {
    const svg = await render('svg')
    for (const text of [
      'Mask',
      'Share',
      'attn',
      'in.1',
      '50%',
      'Curve',
      'four',
      '1,234,567',
      'Tags',
      '1girl',
      'Layers',
    ])
      expect(svg).toContain(`>${text}</text>`)
    const [, width, height] = /viewBox="0 0 (\d+) (\d+)"/.exec(svg)!.map(Number)
    expect(width).toBeLessThan(1200)
    expect(height).toBeLessThan(3000)
  })

  test('is well-formed whatever names hold', async () => {
    const svg = await render('svg')
    expect(svg).not.toMatch(/<strong>|<b>|\u001b/)
    const open = [...svg.matchAll(/<([a-zA-Z]+)(?=[\s>])[^>]*?(\/?)>|<\/([a-zA-Z]+)>/g)].reduce(
      (depth, [, , closed, end]) => depth + (end !== undefined ? -1 : closed === '/' ? 0 : 1),
      0,
    )
    expect(open).toBe(0)
  })

  test('gives every gradient an id of its own', async () => {
    const ids = [...(await render('svg')).matchAll(/ id="([^"]+)"/g)].map((m) => m[1])
    expect(ids.length).toBe(2)
    expect(new Set(ids).size).toBe(ids.length)
  })
})

describe('PNG', () => {
  const pixelsOf = async (doc: ReportDocument): Promise<Buffer> => Buffer.from(await renderReport(doc, 'png'))

  test('is twice as fine as the drawing', async () => {
    const [png, svg] = [await pixelsOf(document), await render('svg')]
    expect(png.subarray(1, 4).toString()).toBe('PNG')
    expect([png.readUInt32BE(16), png.readUInt32BE(20)]).toEqual(
      /viewBox="0 0 (\d+) (\d+)"/
        .exec(svg)!
        .slice(1)
        .map((n) => 2 * Number(n)),
    )
  })

  test('shows its letters without a font of the system', async () => {
    const small = (label: string): ReportDocument => ({
      title: 'x',
      subject: '',
      facts: [{ label, value: 1, format: 'count' }],
      sections: [],
    })
    expect(Buffer.compare(await pixelsOf(small('letters')), await pixelsOf(small('       ')))).not.toBe(0)
  })
})

describe('HTML', () => {
  test('needs nothing from elsewhere and runs no script', async () => {
    const html = await render('html')
    expect(html).not.toMatch(/<script|<link|@import|url\((?!#)|src=/)
    expect([...html.matchAll(/(?:xlink:)?href="([^"]*)"/g)].every(([, target]) => target!.startsWith('#'))).toBe(true)
    expect([...html.matchAll(/https?:\/\/[^"\s]+/g)].every(([url]) => url.startsWith('http://www.w3.org/'))).toBe(true)
  })

  test('is for light and for dark', async () => {
    const html = await render('html')
    expect(html).toContain('@media (prefers-color-scheme: dark)')
    expect(html).toContain('fill="currentColor"')
  })

  test('folds tables away by group and says what charts show', async () => {
    const html = await render('html')
    expect(html).toContain('<details><summary>in.0<span>1 row</span></summary>')
    expect(html).toContain('aria-label="Share. Heat map of 2 rows and 2 columns, from 0% to 100%."')
    expect(html.match(/<svg role="img"/g)).toHaveLength(6)
  })

  test('shows names as they are', async () => {
    const html = await render('html')
    expect(html).toContain('step &#60;strong&#62; &#38; &#34;co&#34; \\u{1b}[31m')
    expect(html).not.toMatch(/<strong>|<b>ink/)
  })
})

test.each([
  [0, 'share', '0%'],
  [1e-6, 'share', '<0.1%'],
  [0.999999, 'share', '>99.9%'],
  [1, 'share', '100%'],
  [0.1234, 'share', '12.3%'],
  [1234567, 'count', '1,234,567'],
  [0.00001234, 'number', '1.23e−5'],
  [-1234.5678, 'number', '−1235'],
  [null, 'number', '–'],
  [Infinity, 'number', '∞'],
] as const)('%s as %s is written %s', (value, format, text) => {
  expect(formatValue(value, format)).toBe(text)
})

test.each([
  [0.5, 'share', '50%'],
  [0.004, 'share', '0.4%'],
  [0.012345, 'number', '0.012'],
  [123456, 'number', '1e5'],
  [-0.00002, 'number', '−2e−5'],
] as const)('%s as %s fits a cell as %s', (value, format, text) => {
  expect(formatShort(value, format)).toBe(text)
})
