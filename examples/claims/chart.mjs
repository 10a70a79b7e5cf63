import { None, parse, View } from 'vega'

const COLORS = { rescaled: '#1f77b4', unscaled: '#d95f02' }
const LABELS = { rescaled: 'rescaled', unscaled: 'not rescaled' }
const INK = '#1c1e21'
const FONT = 'Roboto, Segoe UI, Helvetica Neue, Arial, sans-serif'

const text = (size) => ({
  labelFont: FONT,
  titleFont: FONT,
  labelColor: INK,
  titleColor: INK,
  titleFontWeight: 'normal',
  labelFontSize: size,
  titleFontSize: size,
})

/** Hundredths of a pixel are enough. */
const shorten = (svg) => svg.replace(/\d+\.\d{3,}/g, (number) => String(Number(Number(number).toFixed(2))))

/**
 * Draws how much skill is left at each share that is dropped, one panel for each network: a line through the means, and
 * an area from the worst run to the best. Points are {net, kind, drop, mean, low, high}; gives an SVG.
 */
export const drawKeptSkill = async (points) => {
  const x = { scale: 'x', field: 'drop' }
  const color = { scale: 'color', field: 'kind' }
  const [nets, drops] = ['net', 'drop'].map((key) => [...new Set(points.map((point) => point[key]))])
  const spec = {
    padding: 8,
    background: 'white',
    title: {
      text: 'Share of a specialist’s gain over the base that is left after DARE (%)',
      font: FONT,
      color: INK,
      fontSize: 15,
      fontWeight: 500,
      anchor: 'start',
      offset: 12,
    },
    layout: { padding: { column: 24 }, columns: nets.length, bounds: 'full', align: 'all' },
    data: [{ name: 'points', values: points }],
    scales: [
      { name: 'color', type: 'ordinal', domain: Object.keys(COLORS), range: Object.values(COLORS) },
      { name: 'names', type: 'ordinal', domain: Object.values(LABELS), range: Object.values(COLORS) },
    ],
    legends: [
      {
        stroke: 'names',
        symbolType: 'stroke',
        symbolStrokeWidth: 3,
        orient: 'bottom',
        direction: 'horizontal',
        ...text(12),
      },
    ],
    marks: nets.map((net, i) => ({
      type: 'group',
      title: { text: net, font: FONT, color: INK, fontSize: 13, fontWeight: 'normal' },
      encode: { enter: { width: { value: 240 }, height: { value: 200 } } },
      data: [{ name: 'own', source: 'points', transform: [{ type: 'filter', expr: `datum.net === '${net}'` }] }],
      scales: [
        { name: 'x', type: 'point', domain: drops, range: [0, 240], padding: 0.3 },
        { name: 'y', type: 'linear', domain: [-10, 110], range: [200, 0] },
      ],
      axes: [
        {
          scale: 'x',
          orient: 'bottom',
          title: 'dropped (%)',
          encode: { labels: { update: { text: { signal: 'round(100 * datum.value)' } } } },
          ...text(11),
        },
        { scale: 'y', orient: 'left', grid: true, tickCount: 6, labels: i === 0, ...text(11) },
      ],
      marks: [
        {
          type: 'group',
          from: { facet: { name: 'runs', data: 'own', groupby: 'kind' } },
          marks: [
            {
              type: 'area',
              from: { data: 'runs' },
              encode: {
                enter: {
                  x,
                  y: { scale: 'y', field: 'low' },
                  y2: { scale: 'y', field: 'high' },
                  fill: color,
                  fillOpacity: { value: 0.18 },
                },
              },
            },
            {
              type: 'line',
              from: { data: 'runs' },
              encode: { enter: { x, y: { scale: 'y', field: 'mean' }, stroke: color, strokeWidth: { value: 2 } } },
            },
            {
              type: 'symbol',
              from: { data: 'runs' },
              encode: { enter: { x, y: { scale: 'y', field: 'mean' }, fill: color, size: { value: 30 } } },
            },
          ],
        },
      ],
    })),
  }
  return `${shorten(await new View(parse(spec), { renderer: 'none', logLevel: None }).toSVG())}\n`
}
