import type { Spec } from 'vega'
import { escapeControls } from '../../base/excerpt.js'
import { greatest } from '../../base/lists.js'
import type { Format, Section } from '../../operators/report-document.js'
import { axisFormat, formatShort, formatValue } from './format.js'

/** How charts are to look: their colour for text and lines, and their font. */
export interface ChartStyle {
  readonly ink: string
  readonly font: string
}

/** A chart as an SVG element, and its size in pixels. */
export interface Chart {
  readonly svg: string
  readonly width: number
  readonly height: number
}

type Of<T extends Section['type']> = Extract<Section, { type: T }>

/** A section that can be drawn. */
export type Drawable = Of<'heatmap' | 'curve' | 'bars' | 'histogram' | 'tags'>

/** True for a section that can be drawn. */
export const isDrawable = (section: Section): section is Drawable =>
  section.type !== 'facts' && section.type !== 'table'

/** One hue that stands out on white and on black. */
const HUE = '#3987e5'
/** Even steps of lightness, told apart by people who see few colours, and visible on white and on black. */
const SCHEME = 'viridis'
/** Columns that a heat map may have to bear names and numbers; a finer one shows colours. */
const NAMED_COLUMNS = 14
/** Bars that a picture of tags shows. */
const MOST_BARS = 40

const axis = (scale: string, orient: 'left' | 'bottom' | 'top', title: string, more: object = {}) => ({
  scale,
  orient,
  title,
  ticks: false,
  domain: false,
  labelPadding: 5,
  labelLimit: 220,
  titlePadding: 8,
  ...more,
})

/** Labels that are looked up in a signal: places may share a name, and a scale needs them apart. */
const namedBy = (signal: string): object => ({
  encode: { labels: { update: { text: { signal: `${signal}[datum.value]` } } } },
})

/**
 * The ink that reads better on a colour of the scheme: white and black are equally far from its middle, a little below
 * one half.
 */
const inkOn = (share: number): string => (share < 0.46 ? '#ffffff' : '#111111')

const heatmap = (s: Of<'heatmap'>): Spec => {
  const named = s.columns.length <= NAMED_COLUMNS
  const [width, height] = named
    ? [Math.max(58, 8 * greatest(s.columns.map((c) => c.length))) * s.columns.length, 20 * s.rows.length]
    : [Math.max(320, 10 * s.columns.length), Math.max(24, Math.min(9, 432 / s.rows.length) * s.rows.length)]
  const span = s.high - s.low || 1
  const values = s.values.flatMap((row, i) =>
    row.flatMap((value, j) =>
      value === null || !Number.isFinite(value)
        ? []
        : [{ row: i, column: j, value, text: formatShort(value, s.format), ink: inkOn((value - s.low) / span) }],
    ),
  )
  const band = (name: string, count: number, range: 'width' | 'height') =>
    ({
      name,
      type: 'band',
      domain: Array.from({ length: count }, (_, i) => i),
      range,
      padding: named ? 0.06 : 0,
    }) as const
  const every = (count: number, most: number): number[] =>
    Array.from({ length: count }, (_, i) => i).filter((i) => i % Math.max(1, Math.ceil(count / most)) === 0)
  return {
    width,
    height,
    signals: [
      { name: 'rowNames', value: s.rows.map(escapeControls) },
      { name: 'columnNames', value: s.columns.map(escapeControls) },
    ],
    data: [{ name: 'cells', values }],
    scales: [
      band('x', s.columns.length, 'width'),
      band('y', s.rows.length, 'height'),
      { name: 'color', type: 'linear', range: { scheme: SCHEME }, domain: [s.low, s.low + span], zero: false },
    ],
    axes: [
      axis('x', 'top', named ? '' : s.axes[1], {
        ...namedBy('columnNames'),
        ...(named ? {} : { values: every(s.columns.length, 8) }),
      }),
      axis('y', 'left', named ? '' : s.axes[0], {
        ...namedBy('rowNames'),
        ...(named ? {} : { values: every(s.rows.length, 8) }),
      }),
    ] as never,
    legends: [
      {
        fill: 'color',
        gradientLength: Math.min(160, Math.max(60, height)),
        format: axisFormat(s.format),
        tickCount: 4,
      },
    ],
    marks: [
      {
        type: 'rect',
        from: { data: 'cells' },
        encode: {
          enter: {
            x: { scale: 'x', field: 'column' },
            y: { scale: 'y', field: 'row' },
            width: { scale: 'x', band: 1 },
            height: { scale: 'y', band: 1 },
            fill: { scale: 'color', field: 'value' },
            ...(named ? { cornerRadius: { value: 2 } } : {}),
          },
        },
      },
      ...(!named
        ? []
        : [
            {
              type: 'text',
              from: { data: 'cells' },
              encode: {
                enter: {
                  x: { scale: 'x', field: 'column', band: 0.5 },
                  y: { scale: 'y', field: 'row', band: 0.5 },
                  text: { field: 'text' },
                  fill: { field: 'ink' },
                  align: { value: 'center' },
                  baseline: { value: 'middle' },
                  fontSize: { value: 11 },
                },
              },
            } as const,
          ]),
    ],
  }
}

const curve = (s: Of<'curve'>): Spec => {
  const points = s.points
    .map(({ label, value }, i) => ({ place: i, label: escapeControls(label), value }))
    .filter((p) => p.value !== null)
  const place = { x: { scale: 'x', field: 'place' }, y: { scale: 'y', field: 'value' } }
  return {
    width: Math.max(360, Math.min(900, 26 * s.points.length)),
    height: 220,
    signals: [{ name: 'names', value: s.points.map((p) => escapeControls(p.label)) }],
    data: [
      { name: 'points', values: points },
      { name: 'stretches', values: (s.stretches ?? []).map((t) => ({ ...t, wide: t.to - t.from >= 8 })) },
    ],
    scales: [
      { name: 'x', type: 'point', domain: s.points.map((_, i) => i), range: 'width', padding: 0.5 },
      {
        name: 'y',
        type: 'linear',
        domain: { data: 'points', field: 'value' },
        range: 'height',
        zero: true,
        nice: true,
      },
    ],
    axes: [
      axis('x', 'bottom', s.axes[0], {
        labelAngle: -50,
        labelAlign: 'right',
        labelBaseline: 'middle',
        labelOverlap: s.points.length > 40 ? 'parity' : false,
        ...namedBy('names'),
      }),
      axis('y', 'left', s.axes[1], { grid: true, tickCount: 5, format: axisFormat(s.format) }),
    ] as never,
    marks: [
      {
        type: 'rect',
        from: { data: 'stretches' },
        encode: {
          enter: {
            x: { scale: 'x', field: 'from' },
            x2: { scale: 'x', field: 'to', offset: 1 },
            y: { value: 0 },
            y2: { signal: 'height' },
            fill: { value: HUE },
            fillOpacity: { value: 0.12 },
          },
        },
      },
      {
        type: 'text',
        from: { data: 'stretches' },
        encode: {
          enter: {
            x: { scale: 'x', field: 'from', offset: 4 },
            y: { value: 6 },
            text: { field: 'label' },
            fontSize: { value: 11 },
            fill: { value: 'currentColor' },
            align: { signal: "datum.wide ? 'left' : 'right'" },
            baseline: { value: 'top' },
            angle: { signal: 'datum.wide ? 0 : -90' },
          },
        },
      },
      {
        type: 'line',
        from: { data: 'points' },
        encode: { enter: { ...place, stroke: { value: HUE }, strokeWidth: { value: 2 } } },
      },
      {
        type: 'symbol',
        from: { data: 'points' },
        encode: { enter: { ...place, fill: { value: HUE }, size: { value: 36 } } },
      },
    ],
  }
}

interface Bar {
  readonly label: string
  readonly value: number
  readonly text: string
}

const bars = (title: readonly [string, string], items: readonly Bar[], format: Format): Spec => ({
  width: 460,
  height: 20 * items.length,
  signals: [{ name: 'names', value: items.map(({ label }) => escapeControls(label)) }],
  data: [{ name: 'bars', values: items.map((item, place) => ({ ...item, place })) }],
  scales: [
    { name: 'y', type: 'band', domain: items.map((_, i) => i), range: 'height', padding: 0.2 },
    { name: 'x', type: 'linear', domain: { data: 'bars', field: 'value' }, range: 'width', zero: true, nice: true },
  ],
  axes: [
    axis('x', 'top', title[1], { grid: true, tickCount: 5, format: axisFormat(format) }),
    axis('y', 'left', title[0], namedBy('names')),
  ] as never,
  marks: [
    {
      type: 'rect',
      from: { data: 'bars' },
      encode: {
        enter: {
          x: { scale: 'x', value: 0 },
          x2: { scale: 'x', field: 'value' },
          y: { scale: 'y', field: 'place' },
          height: { scale: 'y', band: 1 },
          fill: { value: HUE },
        },
      },
    },
    {
      type: 'text',
      from: { data: 'bars' },
      encode: {
        enter: {
          x: { scale: 'x', field: 'value', offset: 5 },
          y: { scale: 'y', field: 'place', band: 0.5 },
          text: { field: 'text' },
          baseline: { value: 'middle' },
          fontSize: { value: 11 },
        },
      },
    },
  ],
})

const histogram = (s: Of<'histogram'>): Spec => {
  const step = (s.high - s.low || 1) / s.counts.length
  return {
    width: 560,
    height: 200,
    data: [
      {
        name: 'bins',
        values: s.counts.map((count, i) => ({ from: s.low + i * step, to: s.low + (i + 1) * step, count })),
      },
    ],
    scales: [
      { name: 'x', type: 'linear', domain: [s.low, s.low + step * s.counts.length], range: 'width', zero: false },
      { name: 'y', type: 'linear', domain: { data: 'bins', field: 'count' }, range: 'height', zero: true, nice: true },
    ],
    axes: [
      axis('x', 'bottom', s.axis, { tickCount: 7, format: '~g' }),
      axis('y', 'left', 'elements', { grid: true, tickCount: 4, format: '~s' }),
    ] as never,
    marks: [
      {
        type: 'rect',
        from: { data: 'bins' },
        encode: {
          enter: {
            x: { scale: 'x', field: 'from' },
            x2: { scale: 'x', field: 'to', offset: -0.5 },
            y: { scale: 'y', field: 'count' },
            y2: { scale: 'y', value: 0 },
            fill: { value: HUE },
          },
        },
      },
    ],
  }
}

const specOf = (s: Drawable): Spec => {
  switch (s.type) {
    case 'heatmap':
      return heatmap(s)
    case 'curve':
      return curve(s)
    case 'bars':
      return bars(
        s.axes,
        s.bars.map((b) => ({ ...b, text: formatValue(b.value, s.format) })),
        s.format,
      )
    case 'histogram':
      return histogram(s)
    case 'tags':
      return bars(
        ['', 'images'],
        s.tags
          .slice(0, MOST_BARS)
          .map(({ label, count }) => ({ label, value: count, text: formatValue(count, 'count') })),
        'count',
      )
  }
}

const configOf = ({ ink, font }: ChartStyle): object => {
  const titles = { titleColor: ink, titleFont: font, titleFontSize: 11, titleFontWeight: 'normal', titleOpacity: 0.75 }
  const labels = { labelColor: ink, labelFont: font, labelFontSize: 11, ...titles, aria: false }
  return {
    axis: { ...labels, gridColor: ink, gridOpacity: 0.15 },
    legend: labels,
    text: { font, fill: ink },
    mark: { aria: false },
    style: {},
  }
}

/**
 * Draws a section. Needs neither a browser nor fonts; the same section gives the same bytes.
 * `id` must differ between the charts of a page: it begins the ids inside, which vega counts over the life of the
 * process.
 */
export const drawChart = async (section: Drawable, style: ChartStyle, id: string): Promise<Chart> => {
  const { None, parse, View } = await import('vega')
  const spec = { ...specOf(section), padding: 4, autosize: 'pad', config: configOf(style) } as Spec
  const view = new View(parse(spec), { renderer: 'none', logLevel: None })
  const svg = (await view.toSVG()).replaceAll(/\b(gradient|clip)_?(\d+)\b/g, `${id}-$1`)
  view.finalize()
  const [, width, height] = /^<svg[^>]* width="(\d+)" height="(\d+)"/.exec(svg)!
  return { svg, width: Number(width), height: Number(height) }
}
