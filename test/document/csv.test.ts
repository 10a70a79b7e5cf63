import { expect, test } from 'vitest'
import { formatCsv, readCsv } from '#src/document/csv.js'

const read = (text: string): readonly (readonly string[])[] | number => {
  const csv = readCsv({ path: 'x.csv', text })
  return csv.type === 'rows' ? csv.rows.map((row) => row.cells) : csv.range.start
}

test.each<[string, string, readonly (readonly string[])[]]>([
  [
    'values and lines',
    'a,b\n1,2\n',
    [
      ['a', 'b'],
      ['1', '2'],
    ],
  ],
  [
    'CRLF, a byte order mark, and no newline at the end',
    '\ufeffa,b\r\n1,2',
    [
      ['a', 'b'],
      ['1', '2'],
    ],
  ],
  ['quotes, commas and newlines inside them', '"a ""b""","c,\nd"\n', [['a "b"', 'c,\nd']]],
  [
    'spaces around values, and empty lines',
    ' a , "b" \n\n  \n1 2,',
    [
      ['a', 'b'],
      ['1 2', ''],
    ],
  ],
  [
    'empty values',
    ',\n,,x\n',
    [
      ['', ''],
      ['', '', 'x'],
    ],
  ],
  ['nothing', '', []],
])('reads %s', (_, text, rows) => expect(read(text)).toEqual(rows))

test.each<[string, number]>([
  ['a,"b\n', 2],
  ['"a" b\n', 0],
])('tells where a quote is wrong in %j', (text, at) => expect(read(text)).toBe(at))

test('what is written is read as it was', () => {
  const rows = [
    ['a', 'b,c'],
    ['"x"', 'line\nbreak'],
    [' y ', ''],
  ]
  expect(read(formatCsv(rows))).toEqual(rows)
})

test('places cover the rows', () => {
  const csv = readCsv({ path: 'x.csv', text: 'a,b\r\n\r\n1,2,3\nx' })
  expect(csv.type === 'rows' && csv.rows.map(({ range }) => range.source.text.slice(range.start, range.end))).toEqual([
    'a,b',
    '1,2,3',
    'x',
  ])
})
