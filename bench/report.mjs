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

/** What could not be measured, as a list below a table. */
const failures = (rows) => {
  const failed = rows.filter(({ reason }) => reason !== undefined)
  return failed.length === 0
    ? []
    : [
        '',
        'Not measured:',
        '',
        ...failed.map(({ work, program, reason }) => `- ${work}, ${program}: ${oneLine(reason)}`),
      ]
}
const measured = (rows) => rows.filter(({ reason }) => reason === undefined)
const aim = ({ target }) => (target === undefined ? '' : `at most ${target}`)

const merges = (rows) =>
  [
    table(
      ['work', 'program', 'seconds, median (range)', 'times the floor', 'aim', 'processor seconds', 'peak MB', 'runs'],
      measured(rows).map((row) => [
        row.work,
        row.program,
        spread(row),
        digits(row.ratio),
        aim(row),
        digits(row.processor),
        whole(row.megabytes),
        row.runs,
      ]),
    ),
    ...failures(rows),
  ].join('\n')

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

/** Methods beside their floors: a row for each. */
const methods = (rows) =>
  table(
    [
      'method',
      'seconds, median (range)',
      'times the floor',
      'aim',
      'times one reading',
      'processor seconds',
      'peak MB',
      'GFLOP (a second)',
      'runs',
    ],
    rows
      .filter(({ program }) => program === 'smelt')
      .map((row) => [
        row.work,
        spread(row),
        digits(row.ratio),
        aim(row),
        digits(row.once),
        digits(row.processor),
        whole(row.megabytes),
        row.gigaflop === undefined ? '' : `${row.gigaflop.toFixed(0)} (${digits(row.gigaflop / row.seconds)})`,
        row.runs,
      ]),
  )

/** Other tools beside smelt: a row for each method and tool. */
const beside = (rows, peers) => {
  const smelt = new Map(rows.filter(({ program }) => program === 'smelt').map((row) => [row.work, row]))
  return table(
    [
      'method',
      'program',
      'seconds',
      'times smelt’s',
      'processor seconds',
      'times smelt’s',
      'peak MB',
      'times smelt’s',
      'runs',
    ],
    peers.map((row) => {
      const own = smelt.get(row.work)
      const times = (name) => (own?.[name] === undefined ? '' : digits(row[name] / own[name]))
      return [
        row.work,
        row.program,
        spread(row),
        times('seconds'),
        digits(row.processor),
        times('processor'),
        whole(row.megabytes),
        times('megabytes'),
        row.runs,
      ]
    }),
  )
}

/** The tables of methods as Markdown, below a sentence that says where and when. */
export const renderMethods = (machine, rows) => {
  const done = measured(rows)
  const peers = done.filter(({ program }) => !['smelt', 'floor', 'one reading'].includes(program))
  return [
    machine,
    methods(done),
    ...(peers.length === 0 ? [] : [beside(done, peers)]),
    failures(rows).join('\n').trim(),
  ]
    .filter((text) => text !== '')
    .join('\n\n')
}

/** A table of merges as Markdown, below a sentence that says where and when. */
export const renderTable = (machine, rows) => `${machine}\n\n${merges(rows)}`

/** Puts figures between the marks of README.md that have their name. */
export const writeFigures = (figures, name = 'figures') =>
  writeFileSync(
    README,
    readFileSync(README, 'utf8').replace(marks(name), (_, begin, end) => `${begin}\n${figures}\n\n${end}`),
  )
