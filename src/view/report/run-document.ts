import { reportWords } from '../../base/catalogue/dashboard.js'
import type { JsonDiagnostic } from '../../base/screen.js'
import {
  columnsOf,
  count,
  words,
  type Fact,
  type ReportDocument,
  type Row,
  type Section,
} from '../../operators/report-document.js'
import type { StepDetails } from '../../run/step-reports.js'
import { formatBytes, formatDuration } from '../text.js'
import { shownSteps } from '../dashboard/derive.js'
import { history } from '../dashboard/rates.js'
import type { DashboardState, TensorState } from '../dashboard/state.js'

/** Stretches of time that a curve is drawn over, and tensors that a table of the slowest lists. */
const [STRETCHES, SLOWEST] = [60, 25]

const gigabytes = (bytes: number): number => bytes / 1e9

const facts = (state: DashboardState): readonly Fact[] => {
  const { run, plan, seconds, read, written, memory, finished } = state
  const seed = run?.seed ?? plan?.seed
  return [
    words('result', state.phase === 'finished' ? 'done' : 'not finished'),
    ...(seconds === undefined ? [] : [words('time', formatDuration(Math.max(seconds, state.heard / 1000)))]),
    words('read', formatBytes(read)),
    words('written', formatBytes(written)),
    ...(seconds === undefined || seconds === 0
      ? []
      : [words('throughput', `${formatBytes((read + written) / seconds)}/s`)]),
    ...(memory.peak === 0 ? [] : [words('peak memory', formatBytes(memory.peak))]),
    ...(state.longestPause === undefined
      ? []
      : [words(reportWords.pause, `${Math.round(1000 * state.longestPause)} ms`)]),
    ...(run === undefined
      ? []
      : [
          words('device', run.deviceReason === undefined ? run.device : `${run.device}: ${run.deviceReason}`),
          count('workers', run.workers),
        ]),
    ...(seed === undefined ? [] : [words('seed', String(seed))]),
    count('tensors computed', finished.computed),
    count(reportWords.copied, finished.copied),
    count(reportWords.reused, Math.max(finished.reused, run?.reused ?? 0)),
    ...(run?.cached === undefined ? [] : [count(reportWords.cached, run.cached)]),
  ]
}

const steps = (state: DashboardState): Section => {
  const shown = shownSteps(state)
  const numbers = shown.some(({ outlined }) => Object.keys(outlined.numbers ?? {}).length > 0)
  return {
    type: 'table',
    title: 'Steps',
    note: reportWords.seconds,
    columns: [
      ...columnsOf('text', 'step', 'operator', 'state'),
      ...columnsOf('count', 'tensors'),
      ...columnsOf('number', 'seconds'),
      { label: 'why', format: 'text', long: 'wrap' },
      ...(numbers ? [{ label: 'numbers', format: 'text', long: 'shorten' } as const] : []),
    ],
    rows: shown.map(({ outlined, standing, total, seconds, reason }): Row => ({
      cells: [
        outlined.name,
        outlined.op,
        standing === 'reused' ? 'reused' : standing,
        total,
        seconds,
        reason,
        ...(numbers
          ? [
              Object.entries(outlined.numbers ?? {})
                .map(([k, v]) => `${k} ${v}`)
                .join('; '),
            ]
          : []),
      ],
    })),
  }
}

const timings = (state: DashboardState): readonly Section[] => {
  const timed = shownSteps(state).filter((s) => s.seconds > 0)
  if (timed.length === 0) return []
  return [
    {
      type: 'bars',
      title: 'Worker time by step',
      axes: ['step', 'seconds'],
      format: 'number',
      bars: timed.map((s) => ({ label: s.outlined.name, value: s.seconds })),
    },
  ]
}

/**
 * What a command did besides moving bytes, in ms of its clock: before the run, until the first bytes, and after the
 * last.
 */
const quietStretches = ({
  samples,
  began = 0,
  heard,
}: DashboardState): readonly { readonly label: string; readonly from: number; readonly to: number }[] => {
  const first = samples.find((s) => s.read + s.written > 0)?.at ?? began
  const last = samples.at(-1)?.at ?? heard
  return [
    { label: 'planning', from: 0, to: began },
    { label: 'starting workers', from: began, to: first },
    { label: 'syncing and renaming', from: last, to: heard },
  ].filter(({ from, to }) => to - from >= 50)
}

const throughput = (state: DashboardState): readonly Section[] => {
  const { samples, began, seconds, heard } = state
  const last = samples.at(-1)
  if (last === undefined || began === undefined || seconds === undefined || last.at - began < 1_000) return []
  const width = heard / STRETCHES
  const rates = history(samples, heard, STRETCHES, width)
  const quiet = quietStretches(state)
  return [
    {
      type: 'curve',
      title: 'Bytes read and written',
      axes: ['seconds', 'GB/s'],
      format: 'number',
      note:
        [
          'All workers together',
          ...quiet.map(({ label, from, to }) => `${label} took ${formatDuration((to - from) / 1000)}`),
        ].join('; ') + '.',
      stretches: quiet.map(({ label, from, to }) => ({
        label,
        from: Math.floor(from / width),
        to: Math.ceil(to / width) - 1,
      })),
      points: rates.map((rate, i) => ({
        label: (((i + 1) * width) / 1000).toFixed(1),
        value: rate === undefined ? null : gigabytes(rate.read + rate.written),
      })),
    },
  ]
}

const tensorRow = (t: TensorState): Row => ({
  cells: [t.name, t.steps.join(', '), t.how ?? null, formatBytes(t.bytes), t.seconds],
})

const slowest = ({ tensors }: DashboardState): readonly Section[] => {
  const timed = [...tensors.values()].filter((t) => t.seconds > 0).sort((x, y) => y.seconds - x.seconds)
  if (timed.length === 0) return []
  return [
    {
      type: 'table',
      title: 'Tensors that took longest',
      columns: [
        { label: 'tensor', format: 'text' },
        { label: 'steps', format: 'text', long: 'shorten' },
        ...columnsOf('text', 'how', 'size'),
        ...columnsOf('number', 'seconds'),
      ],
      rows: timed.slice(0, SLOWEST).map(tensorRow),
    },
  ]
}

const outputs = ({ outputs: list, reports }: DashboardState): readonly Section[] =>
  list.length + reports.length === 0
    ? []
    : [
        {
          type: 'table',
          title: 'Outputs',
          columns: [
            ...columnsOf('text', 'output', 'path', 'state', 'size'),
            ...columnsOf('count', 'tensors'),
            { label: 'digest', format: 'text', long: 'shorten' },
          ],
          rows: [
            ...list.map((o): Row => ({
              cells: [o.name, o.path, o.kept ? 'unchanged' : 'written', formatBytes(o.bytes), o.tensors, o.digest],
            })),
            ...reports.map((r): Row => ({ cells: [r.name, r.path, 'written', formatBytes(r.bytes), null, null] })),
          ],
        },
      ]

const problemRow = ({ severity, code, message, help }: JsonDiagnostic): Row => ({
  cells: [severity, code, message, help ?? null],
})

const problems = ({ problems: list }: DashboardState): readonly Section[] =>
  list.length === 0
    ? []
    : [
        {
          type: 'table',
          title: 'Warnings and errors',
          columns: [
            ...columnsOf('text', 'kind', 'code'),
            { label: 'what', format: 'text', long: 'wrap' },
            { label: 'what to do', format: 'text', long: 'wrap' },
          ],
          rows: list.map(problemRow),
        },
      ]

const lock = ({ lock: told }: DashboardState): readonly Section[] =>
  told === undefined || told.changes.length === 0
    ? []
    : [
        {
          type: 'table',
          title: 'Changes of the lock',
          columns: [{ label: 'change', format: 'text', long: 'wrap' }],
          rows: told.changes.map((change) => ({ cells: [change] })),
        },
      ]

/** The facts and sections of a mask's or weights' own report, under the name of their step. */
const details = (list: readonly StepDetails[]): readonly Section[] =>
  list.flatMap(({ step, document }): readonly Section[] => [
    { type: 'facts', title: `${document.title} of ${step}`, note: document.subject, facts: document.facts },
    ...document.sections.map((section) => ({ ...section, title: `${section.title} of ${step}` })),
  ])

/**
 * A finished build as a report: what it did, how long each part took, what it wrote, and what its masks and weights
 * look like.
 */
export const toRunDocument = (state: DashboardState, list: readonly StepDetails[]): ReportDocument => ({
  title: 'Build',
  subject: state.run?.recipe ?? state.plan?.name ?? '',
  facts: facts(state),
  sections: [
    steps(state),
    ...outputs(state),
    ...problems(state),
    ...timings(state),
    ...throughput(state),
    ...lock(state),
    ...details(list),
    ...slowest(state),
  ],
})
