import { sizeOf } from '../../tensor/info.js'
import { defineOperator } from '../define.js'
import { choice, model, perLayer } from '../params.js'
import { regionOf } from '../region.js'

const ALONG = {
  rows: 'the first axis: the outputs of a layer, or the elements of a vector',
  columns: 'the second axis: the inputs of a layer; a vector, which has none, is taken by its first',
} as const

/** Copies a region of rows from `b` into `a`. */
export const tensorSum = defineOperator({
  id: 'merge.tensor_sum',
  aliases: [
    { name: 'tensor_sum', from: 'sd-mecha' },
    { name: 'copy_region', from: 'sd-mecha', settings: 'with `top_k` off' },
    {
      name: 'tensor',
      from: 'supermerger',
      settings: '`width` is alpha, `offset` is beta; supermerger rounds the ends of the region down',
    },
    {
      name: 'tensor2',
      from: 'supermerger',
      settings:
        '`along: columns`, `width` is alpha, `offset` is beta; supermerger rounds the ends of the region down, and counts the rows in place of the columns where there are at most 100 columns',
    },
    {
      name: 'tensor_sum',
      from: 'sd-meh',
      settings: '`width` is alpha, `offset` is beta; sd-meh rounds the ends of the region down',
    },
  ],
  version: 1,
  summary: 'Takes a region of rows from `b`, and the other rows from `a`.',
  details: [
    'Of `n` rows, the region is those from `offset·n` up to `(offset + width)·n`, both rounded to the nearest row (halves to the even one). Past the last row it goes on at the first. A negative `width` extends the region to the left of `offset`.',
    'Every number is copied as it is. A single number, which has no rows, is taken from `b` if `width` is above 0.5.',
  ].join('\n'),
  source: 'supermerger, calculation mode `tensor`; sd-mecha, `tensor_sum`',
  output: 'model',
  inputs: {
    a: model('The model or difference that is changed.', 'any'),
    b: model('The model or difference whose rows are taken.', 'any'),
  },
  params: {
    width: perLayer({
      default: 0.5,
      min: -1,
      max: 1,
      description: 'The share of rows that is taken from `b`: 0 gives `a`, 1 gives `b`.',
    }),
    offset: perLayer({
      default: 0,
      min: -1,
      max: 1,
      description: 'Where the region begins, as a share of the rows; a negative number counts from the end.',
    }),
    along: choice(ALONG, 'rows', 'What the region is made of.'),
  },
  merges: true,
  exact: true,
  draws: false,
  examples: [
    {
      inputs: { a: [1, 2, 3, 4], b: [5, 6, 7, 8] },
      params: { width: 0.5, offset: 0.25 },
      expect: [1, 6, 7, 4],
    },
    {
      title: 'past the end, and on at the start',
      inputs: { a: [1, 2, 3, 4], b: [5, 6, 7, 8] },
      params: { width: 0.5, offset: 0.75 },
      expect: [5, 2, 3, 8],
    },
    {
      title: 'the last column',
      inputs: {
        a: [
          [1, 2, 3, 4],
          [1, 2, 3, 4],
        ],
        b: [
          [5, 6, 7, 8],
          [5, 6, 7, 8],
        ],
      },
      params: { width: -0.25, along: 'columns' },
      expect: [1, 2, 3, 8, 1, 2, 3, 8],
    },
  ],
  build: (g, { a, b }, { width, offset, along }, { shape }) => {
    const axis = along === 'columns' && shape.length > 1 ? 1 : 0
    const n = shape[axis]
    if (n === undefined) return width > 0.5 ? b : a
    const { from, to, inside } = regionOf(width, offset, n)
    const [within, beyond] = inside ? [b, a] : [a, b]
    if (from >= to) return beyond
    if (to - from === n) return within
    const place = g.position(sizeOf(shape.slice(axis + 1)), n)
    return g.choose(g.and(g.compare('greater-equal', place, from), g.compare('less', place, to)), within, beyond)
  },
})
