import { dashboardHelp, progressWords } from '../../base/catalogue/dashboard.js'
import { greatest } from '../../base/lists.js'
import { formatCount, wrap } from '../text.js'
import { shortSeconds } from './clock.js'
import { shownSteps, type OutlinedStep } from './derive.js'
import type { Glyphs } from './glyphs.js'
import { cutLine, span, type Line } from './line.js'
import { countDone, drawLog, drawTensors, drawTitle } from './panels.js'
import type { DashboardState, TensorState } from './state.js'

/** Tensors of one step that have been told, those at work first, then what waits, then what is done, last first. */
export const tensorsOf = (state: DashboardState, step: string | undefined): readonly TensorState[] => {
  const order = { working: 0, waiting: 1, done: 2 } as const
  const mine = [...state.tensors.values()].filter((t) => step !== undefined && t.steps.includes(step))
  const done = mine.filter((t) => t.state === 'done').reverse()
  return [...mine.filter((t) => t.state !== 'done').sort((x, y) => order[x.state] - order[y.state]), ...done]
}

/** Tensors whose names, or whose steps, hold a text; capitals do not matter. */
export const tensorsLike = ({ tensors }: DashboardState, query: string): readonly TensorState[] => {
  const wanted = query.toLowerCase()
  return [...tensors.values()].filter(
    (t) => t.name.toLowerCase().includes(wanted) || t.steps.some((s) => s.toLowerCase().includes(wanted)),
  )
}

const facts = (rows: readonly (readonly [string, string])[], width: number): readonly Line[] => {
  const head =
    greatest(
      rows.map(([label]) => label.length),
      0,
    ) + 2
  return rows.flatMap(([label, text]) =>
    wrap(text, Math.max(8, width - head - 1)).map((line, i): Line => [
      span(` ${(i === 0 ? label : '').padEnd(head)}`, 'faint'),
      span(line),
    ]),
  )
}

const numbersOf = ({ counts, numbers = {} }: OutlinedStep): readonly (readonly [string, string])[] => [
  ...Object.entries(numbers).map(([name, value]) => [name, String(value)] as const),
  ...(Object.keys(counts).length === 0
    ? []
    : [
        [
          'planned',
          Object.entries(counts)
            .map(([what, n]) => `${formatCount(n)} ${what}`)
            .join(', '),
        ] as const,
      ]),
]

const KINDS: Readonly<Record<OutlinedStep['kind'], string>> = {
  model: 'a model',
  mask: 'a mask',
  weights: 'weights',
  adapter: 'an adapter',
  report: 'a report',
}

/** One step: what it is, why it runs, its numbers, and its tensors. */
export const drawStepPage = (
  state: DashboardState,
  selected: number,
  at: number,
  width: number,
  height: number,
  glyphs: Glyphs,
): readonly Line[] => {
  const step = shownSteps(state)[selected]
  if (step === undefined) return [drawTitle('Step', width, glyphs), [span(` ${progressWords.waiting}`, 'faint')]]
  const { outlined, done, total, seconds, reason, standing } = step
  const tensors = tensorsOf(state, outlined.name)
  const lines = facts(
    [
      ['operator', `${outlined.op}, which gives ${outlined.space === 'delta' ? 'a difference' : KINDS[outlined.kind]}`],
      ...(outlined.uses.length === 0 ? [] : [['uses', outlined.uses.join(', ')] as const]),
      ...(outlined.wantedBy.length === 0 ? [] : [['used by', outlined.wantedBy.join(', ')] as const]),
      ...(outlined.reason === undefined ? [] : [['why', reason] as const]),
      ...numbersOf(outlined),
      [
        'progress',
        `${standing}, ${formatCount(done)} of ${formatCount(total)} tensors${seconds < 0.05 ? '' : `, ${progressWords.workerTime(shortSeconds(seconds))}`}`,
      ],
    ],
    width,
  )
  const room = Math.max(1, height - Math.min(lines.length, height - 3) - 2)
  const list =
    tensors.length === 0 ? [[span(' no tensors yet', 'faint')]] : drawTensors(tensors, at, width, room, glyphs)
  return [
    drawTitle(`Step ${outlined.name}`, width, glyphs),
    ...lines.slice(0, Math.max(0, height - 3)),
    drawTitle('Tensors', width, glyphs, tensors.length === 0 ? '' : countDone(tensors)),
    ...list,
  ].map((line) => cutLine(line, width))
}

/** The log, whole or as far back as was gone. */
export const drawLogPage = (
  state: DashboardState,
  back: number,
  width: number,
  height: number,
  glyphs: Glyphs,
): readonly Line[] => [
  drawTitle(
    'Log',
    width,
    glyphs,
    back === 0 ? `${formatCount(state.log.length)} lines` : progressWords.back(formatCount(back)),
  ),
  ...drawLog(state, back, width, height - 1),
]

/** The tensors that a text finds. */
export const drawFindPage = (
  state: DashboardState,
  query: string,
  at: number,
  width: number,
  height: number,
  glyphs: Glyphs,
): readonly Line[] => {
  const found = tensorsLike(state, query)
  const none: Line = [span(state.tensors.size === 0 ? ' no tensors yet' : ' no tensor matches', 'faint')]
  return [
    drawTitle('Tensors', width, glyphs, `${formatCount(found.length)} of ${formatCount(state.tensors.size)}`),
    ...(found.length === 0 ? [none] : drawTensors(found, at, width, height - 1, glyphs)),
  ]
}

const { keys } = dashboardHelp
const KEYS: readonly (readonly [string, string])[] = [
  ['up down, j k', keys.move],
  ['PgUp PgDn, g G', keys.page],
  ['Enter', keys.open],
  ['l', keys.log],
  ['/', keys.find],
  ['Esc', keys.back],
  ['Ctrl-Z', keys.shell],
  ['?', keys.help],
]

/** Keys and signs. */
export const drawHelpPage = (stop: string, width: number, glyphs: Glyphs): readonly Line[] =>
  [
    drawTitle('Keys', width, glyphs),
    ...facts([...KEYS.slice(0, -2), ['q, Ctrl-C', stop], ...KEYS.slice(-2)], width),
    [],
    drawTitle('Signs', width, glyphs),
    ...Object.entries(glyphs.standing).map(([standing, glyph]): Line => [
      span(`   ${glyph}  `),
      span(standing === 'reused' ? dashboardHelp.reused : standing),
    ]),
    [span(`   ${glyphs.output}  `), span(dashboardHelp.output)],
    [],
    ...dashboardHelp.times.map((text): Line => [span(` ${text}`, 'faint')]),
  ].map((line) => cutLine(line, width))
