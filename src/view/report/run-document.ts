import type { JsonDiagnostic } from '../../base/screen.js'
import { columnsOf, count, words, type Fact, type ReportDocument, type Row, type Section } from '../../operators/report-document.js'
import { formatBytes, formatDuration } from '../text.js'
import { shownSteps } from '../dashboard/derive.js'
import { history } from '../dashboard/rates.js'
import type { DashboardState, TensorState } from '../dashboard/state.js'

/** What a mask or some weights of a build look like, as the report operators draw them. */
export interface StepDetails {
  readonly step: string
  readonly document: ReportDocument
}

/** Stretches of time that a curve is drawn over, and tensors that a table of the slowest lists. */
const [STRETCHES, SLOWEST] = [60, 25]

const gigabytes = (bytes: number): number => bytes / 1e9

const facts = (state: DashboardState): readonly Fact[] => {
  const { run, plan, seconds, read, written, memory, finished } = state
  const seed = run?.seed ?? plan?.seed
  return [
    words('result', state.phase === 'finished' ? 'done' : 'not finished'),
    ...(seconds === undefined ? [] : [words('time', formatDuration(seconds))]),
    words('read', formatBytes(read)), words('written', formatBytes(written)),
    ...(seconds === undefined || seconds === 0 ? [] : [words('throughput', `${formatBytes((read + written) / seconds)}/s`)]),
    ...(memory.peak === 0 ? [] : [words('peak memory', formatBytes(memory.peak))]),
    ...(state.longestPause === undefined ? [] : [words('longest pause of the main thread', `${Math.round(1000 * state.longestPause)} ms`)]),
    ...(run === undefined ? [] : [
      words('device', run.deviceReason === undefined ? run.device : `${run.device}: ${run.deviceReason}`), count('workers', run.workers),
    ]),
    ...(seed === undefined ? [] : [words('seed', String(seed))]),
    count('tensors computed', finished.computed), count('tensors copied from inputs', finished.copied),
    count('tensors kept from last build', Math.max(finished.reused, run?.reused ?? 0)),
    ...(run?.cached === undefined ? [] : [count('thresholds and sums remembered', run.cached)]),
  ]
}

const steps = (state: DashboardState): Section => {
  const shown = shownSteps(state)
  const numbers = shown.some(({ outlined }) => Object.keys(outlined.numbers ?? {}).length > 0)
  return {
    type: 'table', title: 'Steps', note: 'Seconds are of worker time. The steps that made a tensor share its time: they run as one program.',
    columns: [...columnsOf('text', 'step', 'operator', 'state'), ...columnsOf('count', 'tensors'), ...columnsOf('number', 'seconds'), ...columnsOf('text', 'why', ...(numbers ? ['numbers'] : []))],
    rows: shown.map(({ outlined, standing, total, seconds, reason }): Row => ({
      cells: [
        outlined.name, outlined.op, standing === 'reused' ? 'kept' : standing, total, seconds, reason,
        ...(numbers ? [Object.entries(outlined.numbers ?? {}).map(([k, v]) => `${k} ${v}`).join(', ')] : []),
      ],
    })),
  }
}

const timings = (state: DashboardState): readonly Section[] => {
  const timed = shownSteps(state).filter((s) => s.seconds > 0)
  if (timed.length === 0) return []
  return [{ type: 'bars', title: 'Worker time by step', axes: ['step', 'seconds'], format: 'number', bars: timed.map((s) => ({ label: s.outlined.name, value: s.seconds })) }]
}

const throughput = ({ samples, began, seconds }: DashboardState): readonly Section[] => {
  const last = samples.at(-1)
  if (last === undefined || began === undefined || seconds === undefined || last.at - began < 1_000) return []
  const width = (last.at - began) / STRETCHES
  const rates = history(samples, last.at, STRETCHES, width)
  return [{
    type: 'curve', title: 'Bytes read and written', axes: ['seconds', 'GB/s'], format: 'number',
    note: 'Of all workers together, over equal stretches of the run.',
    points: rates.map((rate, i) => ({ label: (((i + 1) * width) / 1000).toFixed(1), value: rate === undefined ? null : gigabytes(rate.read + rate.written) })),
  }]
}

const tensorRow = (t: TensorState): Row => ({ cells: [t.name, t.steps.join(', '), t.how ?? null, formatBytes(t.bytes), t.seconds] })

const slowest = ({ tensors }: DashboardState): readonly Section[] => {
  const timed = [...tensors.values()].filter((t) => t.seconds > 0).sort((x, y) => y.seconds - x.seconds)
  if (timed.length === 0) return []
  return [{
    type: 'table', title: 'Tensors that took longest', columns: [...columnsOf('text', 'tensor', 'steps', 'how', 'size'), ...columnsOf('number', 'seconds')],
    rows: timed.slice(0, SLOWEST).map(tensorRow),
  }]
}

const outputs = ({ outputs: list, reports }: DashboardState): readonly Section[] => (list.length + reports.length === 0 ? [] : [{
  type: 'table', title: 'Outputs', columns: [...columnsOf('text', 'output', 'path', 'state', 'size'), ...columnsOf('count', 'tensors'), ...columnsOf('text', 'digest')],
  rows: [
    ...list.map((o): Row => ({ cells: [o.name, o.path, o.kept ? 'kept' : 'written', formatBytes(o.bytes), o.tensors, o.digest] })),
    ...reports.map((r): Row => ({ cells: [r.name, r.path, 'written', formatBytes(r.bytes), null, null] })),
  ],
}])

const problemRow = ({ severity, code, message, help }: JsonDiagnostic): Row => ({ cells: [severity, code, message, help ?? null] })

const problems = ({ problems: list }: DashboardState): readonly Section[] =>
  (list.length === 0 ? [] : [{ type: 'table', title: 'Warnings and errors', columns: columnsOf('text', 'kind', 'code', 'what', 'what to do'), rows: list.map(problemRow) }])

const lock = ({ lock: told }: DashboardState): readonly Section[] =>
  (told === undefined || told.changes.length === 0 ? [] : [{ type: 'table', title: 'Changes of the lock', columns: columnsOf('text', 'change'), rows: told.changes.map((change) => ({ cells: [change] })) }])

/** The facts and sections of a mask's or weights' own report, under the name of their step. */
const details = (list: readonly StepDetails[]): readonly Section[] => list.flatMap(({ step, document }): readonly Section[] => [
  { type: 'facts', title: `${document.title} of ${step}`, note: document.subject, facts: document.facts },
  ...document.sections.map((section) => ({ ...section, title: `${section.title} of ${step}` })),
])

/** Everything about a build that has ended, as a report: what it did, how long each part took, what it wrote, and what its masks and weights are like. */
export const toRunDocument = (state: DashboardState, list: readonly StepDetails[]): ReportDocument => ({
  title: 'Build',
  subject: state.run?.recipe ?? state.plan?.name ?? '',
  facts: facts(state),
  sections: [steps(state), ...outputs(state), ...problems(state), ...timings(state), ...throughput(state), ...lock(state), ...details(list), ...slowest(state)],
})
