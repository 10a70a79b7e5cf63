// The tables, and their place in README.md.
import { readFileSync, writeFileSync } from 'node:fs'

const README = new URL('README.md', import.meta.url)
const marks = (name) => new RegExp(`(<!-- ${name}: begin -->\n)[^]*(<!-- ${name}: end -->)`)

const table = (head, rows) =>
  [head, head.map((_, i) => (i === 0 ? '---' : '---:')), ...rows].map((row) => `| ${row.join(' | ')} |`).join('\n')
const digits = (x) => (x === undefined ? '' : x < 9.995 ? x.toFixed(2) : x.toFixed(1))
const spread = ({ seconds, least, most, runs }) =>
  runs === 1 ? digits(seconds) : `${digits(seconds)} (${digits(least)} to ${digits(most)})`
const whole = (x) => (x === undefined ? '' : x.toFixed(0))
/** What a program that failed said, as one line: the first that speaks of an error, else the last. */
const oneLine = (text) => {
  const lines = text.trim().split('\n')
  return (lines.find((line) => /error/i.test(line)) ?? lines.at(-1))
    .replace(/\s+/g, ' ')
    .replace(/\|/g, '/')
    .slice(0, 200)
}

const merges = (rows, more = []) => {
  const failures = rows.filter(({ reason }) => reason !== undefined)
  return [
    table(
      [
        'work',
        'program',
        'seconds, median (range)',
        'times the floor',
        ...more.map(({ head }) => head),
        'aim',
        'processor seconds',
        'peak MB',
        'runs',
      ],
      rows
        .filter(({ reason }) => reason === undefined)
        .map((row) => [
          row.work,
          row.program,
          spread(row),
          digits(row.ratio),
          ...more.map(({ cell }) => cell(row)),
          row.target === undefined ? '' : `at most ${row.target}`,
          digits(row.processor),
          whole(row.megabytes),
          row.runs,
        ]),
    ),
    ...(failures.length === 0
      ? []
      : [
          '',
          'Not measured:',
          '',
          ...failures.map(({ work, program, reason }) => `- ${work}, ${program}: ${oneLine(reason)}`),
        ]),
  ].join('\n')
}

const memory = (rows) =>
  table(
    ['work', 'inputs', 'peak MB', 'aim', 'seconds'],
    rows.map((row) =>
      row.reason === undefined
        ? [row.work, row.size, whole(row.megabytes), 'at most 400', whole(row.seconds)]
        : [row.work, row.size, oneLine(row.reason), '', ''],
    ),
  )

const commands = (rows) =>
  table(
    [
      'what',
      'seconds, median (range)',
      'aim',
      'processor seconds',
      'an empty Node.js',
      'its processor seconds',
      'runs',
    ],
    rows.map((row) =>
      row.reason === undefined
        ? [
            row.work,
            spread(row),
            row.target === undefined ? '' : `under ${row.target}`,
            digits(row.processor),
            digits(row.floor),
            digits(row.floorProcessor),
            row.runs,
          ]
        : [row.work, oneLine(row.reason), '', '', '', '', ''],
    ),
  )

const rebuilds = (rows) =>
  table(
    ['what', 'seconds, median', 'beside', 'times that', 'aim', 'processor seconds'],
    rows.map((row) => [
      row.title,
      digits(row.seconds),
      digits(row.floor),
      digits(row.ratio),
      row.target ?? '',
      digits(row.processor),
    ]),
  )

/** All tables as Markdown, below a sentence that says where and when. */
export const renderFigures = ({ machine, rows }) =>
  [
    machine,
    ...[
      ['Merges', rows.merges, merges],
      ['Memory', rows.memory, memory],
      ['Building again', rows.rebuilds, rebuilds],
      ['Waiting', rows.commands, commands],
    ].flatMap(([title, found, render]) => (found.length === 0 ? [] : [`### ${title}`, render(found)])),
  ].join('\n\n')

/** What the table of methods has besides. */
const OF_METHODS = [
  { head: 'times one reading', cell: ({ once }) => digits(once) },
  {
    head: 'GFLOP (a second)',
    cell: ({ gigaflop, seconds }) =>
      gigaflop === undefined ? '' : `${gigaflop.toFixed(0)} (${digits(gigaflop / seconds)})`,
  },
]

/** The table of methods as Markdown, below a sentence that says where and when. */
export const renderMethods = (machine, rows) => `${machine}\n\n${merges(rows, OF_METHODS)}`

/** Puts figures between the marks of README.md that have their name. */
export const writeFigures = (figures, name = 'figures') =>
  writeFileSync(
    README,
    readFileSync(README, 'utf8').replace(marks(name), (_, begin, end) => `${begin}\n${figures}\n\n${end}`),
  )
