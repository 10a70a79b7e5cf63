import { greatest } from '../../base/lists.js'
import { widthOf } from '../../base/columns.js'
import { formatBytes, formatCount } from '../text.js'
import { shortSeconds } from './clock.js'
import { shownSteps, type ShownStep } from './derive.js'
import { drawBar, type Glyphs, type StepStatus } from './glyphs.js'
import { drawGraph, type GraphRow } from './graph.js'
import { choose, cutLine, fitLine, fitText, span, type Line, type Tone } from './line.js'
import type { DashboardState } from './state.js'

const TONES: Readonly<Record<StepStatus, Tone>> = {
  waiting: 'faint',
  running: 'busy',
  done: 'good',
  reused: 'good',
  failed: 'bad',
  stopped: 'warn',
}

const BAR = 8
/** Columns from which reasons stand beside their steps rather than operators are written out. */
const WIDE = 100
/** Columns that a reason is worth showing in. */
const LEAST_REASON = 20
/** And those that are enough to tell operators apart. */
const LEAST_OP = 10
const WORDS: Readonly<Partial<Record<StepStatus, string>>> = { reused: 'reused', stopped: 'stopped' }
/** Columns that a path should have beside the name of its output. */
const LEAST_PATH = 24

/**
 * The step that a text names, if it is one of these; one with several results is named with the number of one behind
 * it.
 */
const stepIn = (names: ReadonlySet<string>, use: string | undefined): readonly string[] =>
  use === undefined
    ? []
    : names.has(use)
      ? [use]
      : names.has(use.replace(/\.\d+$/, ''))
        ? [use.replace(/\.\d+$/, '')]
        : []

interface Columns {
  readonly name: number
  readonly op: number
  readonly count: number
  readonly rest: number
}

/**
 * The graph and the figures take what they need; then come names, then reasons up to a width, and operators get what is
 * left of theirs.
 */
const columnsFor = (steps: readonly ShownStep[], graph: number, width: number, reason: number): Columns => {
  const widest = (texts: readonly string[]): number => greatest(texts.map(widthOf), 4)
  const count = widest(steps.map((s) => `${formatCount(s.total)}/${formatCount(s.total)}`))
  const room = Math.max(8, width - (graph + 5 + BAR + 1 + count + 1 + 5))
  const [name, op] = [widest(steps.map((s) => s.outlined.name)), widest(steps.map((s) => s.outlined.op))]
  const shown = Math.min(name, Math.max(6, room - LEAST_OP - 1))
  const left = room - shown - 1
  const ops = Math.max(0, Math.min(op, Math.max(left - reason - 2, Math.min(left, LEAST_OP))))
  return { name: shown, op: ops, count, rest: left - ops - 2 }
}

const drawStep = (
  step: ShownStep,
  row: GraphRow | undefined,
  columns: Columns,
  glyphs: Glyphs,
  picked: boolean,
  beside: boolean,
): Line => {
  const { outlined, standing, done, total, seconds, reason } = step
  const [filled, rest] = drawBar(glyphs, total === 0 ? (standing === 'done' ? 1 : 0) : done / total, BAR)
  const progress = `${formatCount(done)}/${formatCount(total)}`
  return [
    span(picked ? glyphs.mark : ' ', 'title'),
    span(row?.before ?? '', 'faint'),
    span(glyphs.standing[standing], TONES[standing]),
    span(`${row?.after ?? ''} `, 'faint'),
    span(fitText(outlined.name, columns.name), picked ? 'name' : 'plain'),
    span(' '),
    span(fitText(outlined.op, columns.op), 'faint'),
    span(' '),
    ...(WORDS[standing] === undefined
      ? [span(filled, TONES[standing]), span(rest, 'faint'), span(` ${progress.padStart(columns.count)}`)]
      : [span(fitText(WORDS[standing], BAR + 1 + columns.count), TONES[standing])]),
    span(` ${shortSeconds(seconds).padStart(5)}`),
    ...(beside ? [span(`  ${reason}`, 'faint')] : []),
  ]
}

/**
 * The steps in order beside their graph, then the outputs. A reason that does not fit beside its step stands below it.
 * The selected step is kept in view.
 */
export const drawSteps = (
  state: DashboardState,
  selected: number,
  width: number,
  height: number,
  glyphs: Glyphs,
): readonly Line[] => {
  const steps = shownSteps(state)
  const outputs =
    state.plan === undefined
      ? []
      : [
          ...state.plan.outputs.map((o) => ({ name: o.name, path: o.path, bytes: o.bytes, from: o.from })),
          ...state.plan.reports.map((r) => ({ name: r.name, path: r.path, bytes: undefined, from: r.from })),
        ]
  const inputs = new Set(steps.map((s) => s.outlined.name))
  const nodes = [
    ...steps.map((s) => ({ name: s.outlined.name, uses: s.outlined.uses.flatMap((use) => stepIn(inputs, use)) })),
    ...outputs.map((o, i) => ({ name: `output ${i}`, uses: stepIn(inputs, o.from) })),
  ]
  const graph = drawGraph(nodes, glyphs)
  const roomy = steps.length * 2 + outputs.length <= height
  const reasons = greatest(
    steps.map((s) => widthOf(s.reason)),
    0,
  )
  const columns = columnsFor(
    steps,
    widthOf((graph?.[0]?.before ?? '') + (graph?.[0]?.after ?? '')),
    width,
    roomy && width < WIDE ? 0 : reasons,
  )
  const beside = columns.rest >= (roomy ? reasons : LEAST_REASON)
  const rows = steps.flatMap((step, i): { readonly line: Line; readonly step: number }[] => {
    const picked = i === selected
    const line = drawStep(step, graph?.[i], columns, glyphs, picked, beside)
    // The selected step alone tells its reason where there is no room for all.
    const told = !beside && step.reason !== '' && (roomy || picked)
    return [
      { line: picked ? choose(fitLine(line, width)) : line, step: i },
      ...(told
        ? [{ line: [span(` ${graph?.[i]?.below ?? ''}   `, 'faint'), span(step.reason, 'faint')], step: i }]
        : []),
    ]
  })
  const written = new Map(state.outputs.map((o) => [o.name, o]))
  const drawn = new Set(state.reports.map((r) => r.name))
  const indent = widthOf((graph?.[0]?.before ?? '') + (graph?.[0]?.after ?? '')) + 4
  // Nothing stands beside outputs but their paths: names get the room they need.
  const nameRoom = Math.max(
    columns.name,
    Math.min(
      greatest(
        outputs.map((o) => widthOf(o.name)),
        0,
      ),
      width - indent - LEAST_PATH,
    ),
  )
  const ends = outputs.map((o, i): Line => {
    const row = graph?.[steps.length + i]
    const stands = written.has(o.name) || drawn.has(o.name)
    return [
      span(' '),
      span(row?.before ?? '', 'faint'),
      span(glyphs.output, stands ? 'good' : 'faint'),
      span(`${row?.after ?? ''} `, 'faint'),
      span(fitText(o.name, nameRoom)),
      span(' '),
      span(o.path),
      span(o.bytes === undefined ? '' : `  ${formatBytes(o.bytes)}`, 'faint'),
      span(written.get(o.name)?.kept === true ? '  unchanged' : stands ? '  written' : '', 'good'),
    ]
  })
  const all = [...rows, ...ends.map((line) => ({ line, step: steps.length }))]
  const at = all.findIndex((r) => r.step === selected)
  const top = Math.max(0, Math.min(all.length - height, at - Math.floor(height / 2)))
  return all.slice(top, top + height).map(({ line }) => cutLine(line, width))
}
