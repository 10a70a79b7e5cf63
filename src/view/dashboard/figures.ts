import { progressWords } from '../../base/catalogue/dashboard.js'
import { greatest } from '../../base/lists.js'
import { formatBytes, formatCount } from '../text.js'
import { clock } from './clock.js'
import { rateNow, savings, secondsLeft, secondsSpent, tensorsDone } from './derive.js'
import { drawBar, drawColumns, drawLevels, type Glyphs } from './glyphs.js'
import { cutLine, span, spread, type Line, type Tone } from './line.js'
import { history, type Rate } from './rates.js'
import type { DashboardState } from './state.js'

/** Columns of the time that is left. */
const LEFT = 5

const PHASES: Readonly<Record<DashboardState['phase'], readonly [text: string, tone: Tone]>> = {
  waiting: ['waiting', 'faint'],
  running: ['building', 'busy'],
  stopping: [progressWords.stopping, 'warn'],
  finished: ['done', 'good'],
  failed: ['not finished', 'bad'],
}

/** What is built, how far it is as a whole, and for how long: the two lines that stand on every screen. */
export const drawHead = (state: DashboardState, now: number, width: number, glyphs: Glyphs): readonly Line[] => {
  const { run, plan, phase } = state
  const [word, tone] = PHASES[phase]
  const [spent, left, { share }] = [secondsSpent(state, now), secondsLeft(state, now), state]
  const seed = run?.seed ?? plan?.seed
  const { done, total } = tensorsDone(state)
  const title: Line = [
    span(` ${run?.recipe ?? plan?.name ?? 'smelt'}`, 'title'),
    span('  '),
    span(word, tone),
    ...(total === undefined ? [] : [span(`  ${formatCount(done)} of ${formatCount(total)} tensors`)]),
    ...(seed === undefined ? [] : [span(`  seed ${seed}`, 'faint')]),
  ]
  // Numbers that change keep their width, so that nothing beside them moves.
  const figures = `${String(Math.floor(share * 100)).padStart(3)}%  ${left === undefined ? ' '.repeat(LEFT + 5) : `${clock(left).padStart(LEFT)} left`} `
  const [filled, rest] = drawBar(glyphs, share, Math.max(0, width - figures.length - 2))
  return [
    spread(title, [span(spent === undefined ? '' : `${clock(spent)} `, 'title')], width),
    cutLine([span(' '), span(filled, phase === 'failed' ? 'bad' : 'good'), span(rest, 'faint'), span(figures)], width),
  ]
}

const LABEL = 8
/** Stretches of the history beside a rate, in number and ms. */
const [STRETCHES, STRETCH] = [16, 1_000]

/** Histories end with the last whole stretch: they change once in a stretch, and not with every frame. */
const wholeStretch = (now: number): number => Math.floor(now / STRETCH) * STRETCH

const flow = (
  name: 'read' | 'written',
  state: DashboardState,
  rate: Rate | undefined,
  past: readonly (Rate | undefined)[],
  glyphs: Glyphs,
): Line => {
  const { run } = state
  const [done, total] = [state[name], name === 'read' ? run?.readBytes : run?.writeBytes]
  const values = past.map((p) => p?.[name])
  const most = greatest(
    values.map((v) => v ?? 0),
    0,
  )
  return [
    span(` ${(name === 'read' ? 'read' : 'write').padEnd(LABEL)}`, 'faint'),
    span(`${formatBytes(done)} of ${total === undefined ? '?' : formatBytes(total)}`.padEnd(20)),
    span(rate === undefined ? ''.padStart(12) : `${formatBytes(rate[name])}/s`.padStart(12), 'title'),
    span('  '),
    span(drawLevels(glyphs, values, most), 'busy'),
  ]
}

const speed = ({ best }: DashboardState, rate: Rate | undefined): Line => {
  if (rate === undefined || best === 0) return []
  const percent = Math.min(100, Math.round((100 * (rate.read + rate.written)) / best))
  return [span('  '), span(`${String(percent).padStart(3)}% of peak rate, ${formatBytes(best)}/s`, 'faint')]
}

const memory = ({ memory: { now, peak }, run, plan }: DashboardState): Line => {
  const limit = run?.memoryBudget ?? plan?.work.peakMemory
  const shown = now ?? (peak === 0 ? undefined : peak)
  const text =
    shown === undefined ? 'unknown' : `${formatBytes(shown)}${peak > shown ? `, at most ${formatBytes(peak)}` : ''}`
  return [
    span(` ${'memory'.padEnd(LABEL)}`, 'faint'),
    span(text, limit !== undefined && peak > limit ? 'warn' : 'plain'),
    span(limit === undefined ? '' : `  of ${formatBytes(limit)} expected`, 'faint'),
  ]
}

/** Where the work goes on: throughput with its history, memory, what need not be computed, and the device. */
export const drawFigures = (state: DashboardState, now: number, width: number, glyphs: Glyphs): readonly Line[] => {
  const [rate, past, saved] = [
    rateNow(state, now),
    history(state.samples, wholeStretch(now), STRETCHES, STRETCH),
    savings(state),
  ]
  const { run } = state
  return [
    flow('read', state, rate, past, glyphs),
    [...flow('written', state, rate, past, glyphs), ...(width >= 90 ? speed(state, rate) : [])],
    ...(width >= 90 || rate === undefined ? [] : [[span(' '.repeat(LABEL - 1)), ...speed(state, rate)]]),
    memory(state),
    ...(saved.length === 0 ? [] : [[span(` ${'cache'.padEnd(LABEL)}`, 'faint'), span(saved.join(', '))]]),
    ...(run === undefined
      ? []
      : [
          [
            span(` ${'device'.padEnd(LABEL)}`, 'faint'),
            span(run.device),
            span(run.deviceReason === undefined ? '' : `  ${run.deviceReason}`, 'faint'),
          ],
        ]),
  ].map((line) => cutLine(line, width))
}

/** The throughput of the last minutes as columns, one for each second or more, with its scale. */
export const drawThroughput = (
  state: DashboardState,
  now: number,
  width: number,
  rows: number,
  glyphs: Glyphs,
): readonly Line[] => {
  const scale = 10
  const columns = Math.max(1, width - scale - 2)
  const values = history(state.samples, wholeStretch(now), columns, STRETCH).map((p) =>
    p === undefined ? undefined : p.read + p.written,
  )
  const most = greatest(
    values.map((v) => v ?? 0),
    0,
  )
  return drawColumns(glyphs, values, most, rows).map((text, i): Line => [
    span((i === 0 ? `${formatBytes(most)}/s` : i === rows - 1 ? '0' : '').padStart(scale), 'faint'),
    span(' '),
    span(text, 'busy'),
  ])
}
