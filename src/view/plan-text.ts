import { planWords as say } from '../base/catalogue/screens.js'
import { escapeControls } from '../base/excerpt.js'
import { greatest } from '../base/lists.js'
import type { OutlinedOutput, PlanOutline } from './plan-outline.js'
import { widthOf } from '../base/columns.js'
import {
  align,
  countParts,
  countsText,
  cutMiddle,
  formatBytes,
  formatCount,
  formatDuration,
  formatTally,
  paint,
  plural,
  wrap,
  type Look,
} from './text.js'

type Step = PlanOutline['steps'][number]

const INDENT = '  '
const DEEP = '     '

const title = (look: Look, text: string): string => paint(look, 'title', text)
const listed = (look: Look, text: string): string[] =>
  wrap(text, look.width - 2, DEEP).map((line, i) => (i === 0 ? line : `  ${line}`))

/** Paths are what may be long: they get what the other columns leave. */
const withPath = (
  rows: readonly (readonly string[])[],
  column: number,
  look: Look,
  right: readonly number[],
): string[] => {
  const widest = (i: number): number => greatest(rows.map((row) => widthOf(row[i]!)))
  const others = rows[0]!.reduce((n, _, i) => (i === column ? n : n + widest(i) + 2), INDENT.length)
  const room = Math.max(16, look.width - others)
  return align(
    rows.map((row) => row.map((cell, i) => (i === column ? cutMiddle(cell, room) : cell))),
    right,
    INDENT,
  )
}

const models = ({ models }: PlanOutline, look: Look): string[] =>
  withPath(
    models.map((m) => [
      paint(look, 'name', m.name),
      escapeControls(m.path),
      formatBytes(m.bytes),
      plural(m.tensors, 'tensor'),
      m.architecture ?? 'unknown architecture',
    ]),
    1,
    look,
    [2, 3],
  )

const vocabularies = ({ vocabularies = [] }: PlanOutline, look: Look): string[] =>
  vocabularies.flatMap((v) => [
    ...wrap(
      say.vocabulary(
        v.from,
        v.owner,
        plural(v.tokens, 'token'),
        v.added === 0 ? '' : formatCount(v.added),
        plural(v.rows, 'row'),
      ),
      look.width - 2,
      INDENT,
    ),
    ...align(
      v.models.map(({ name, rows, counts: from }) => [
        paint(look, 'name', name),
        plural(rows, 'row'),
        Object.entries(from)
          .filter(([, n]) => n > 0)
          .map(([what, n]) => `${formatCount(n)} ${say.rowsFrom[what as keyof typeof from]}`)
          .join(', '),
      ]),
      [1],
      DEEP,
    ),
  ])

const counts = (step: Step): string => {
  const told = countsText(step.counts)
  return [plural(step.tensors, 'tensor'), ...(told === '' ? [] : [told])].join(': ')
}

const kindOf = ({ kind, space }: Step): string => (space === 'delta' ? 'difference' : kind)

const steps = (outline: PlanOutline, look: Look): string[] => {
  const heads = align(
    outline.steps.map((s, i) => [String(i + 1), paint(look, 'name', s.name), s.op, kindOf(s)]),
    [0],
    INDENT,
  )
  return outline.steps.flatMap((s, i) => [
    heads[i]!,
    ...listed(look, `uses ${s.uses.join(', ')}`).filter(() => s.uses.length > 0),
    ...listed(look, `used by ${s.wantedBy.join(', ')}`),
    ...listed(look, s.reason).filter(() => s.reason !== ''),
    ...listed(look, counts(s)),
  ])
}

const outputs = ({ outputs }: PlanOutline, look: Look): string[] =>
  outputs.flatMap((o) => [
    ...withPath([[paint(look, 'name', o.name), escapeControls(o.path)]], 1, look, []),
    ...listed(look, describeOutput(o)),
  ])

const reports = (outline: PlanOutline, look: Look): string[] =>
  outline.reports.flatMap((r) => [
    ...withPath([[paint(look, 'name', r.name), escapeControls(r.path)]], 1, look, []),
    ...listed(look, say.report(r.from, r.measured === 0 ? undefined : plural(r.measured, 'tensor'))),
  ])

const describeOutput = (o: OutlinedOutput): string => {
  const tensors = `from ${o.from}: ${plural(o.tensors, 'tensor')}${o.kept ? `, ${say.kept}` : ''}`
  const scales = o.unscaled === 0 ? '' : say.unscaled(plural(o.unscaled, 'tensor'), o.unscaled === 1)
  return [tensors, formatTally(o.dtypes), scales, `${formatBytes(o.bytes)} in ${plural(o.files.length, 'file')}`]
    .filter((part) => part !== '')
    .join('; ')
}

/** A device by the name that `--device` takes and the one its maker gave it. */
const nameDevice = ({ name, title }: PlanOutline['device']): string =>
  title === undefined ? name : `${name} (${escapeControls(title)})`

const describeRoom = ({ memory }: PlanOutline['device']): string =>
  memory === undefined ? '' : `; ${say.deviceRoom(formatBytes(memory.most), formatBytes(memory.free))}`

const work = ({ models, work: w, unused, device }: PlanOutline, look: Look): string[] => {
  const remote = new Map(models.flatMap((m) => (m.download === undefined ? [] : [[m.path, m.download] as const])))
  const rows: (readonly [string, string])[] = [
    ...(remote.size === 0
      ? []
      : [['download', say.download(formatBytes([...remote.values()].reduce((n, b) => n + b, 0)))] as const]),
    ['read', `${formatBytes(w.readBytes)}${w.sweeps > 1 ? `, ${say.sweeps(w.sweeps)}` : ''}`],
    ...(w.digestBytes === 0 ? [] : [['hashing', say.hashed(formatBytes(w.digestBytes))] as const]),
    ['write', formatBytes(w.writeBytes)],
    ['compute', `${plural(w.computed, 'tensor')} with ${plural(w.programs, 'program')}`],
    ['device', `${nameDevice(device)}${device.reason === '' ? '' : `; ${device.reason}`}`],
    ...(device.memory === undefined
      ? []
      : [
          [
            'its memory',
            say.deviceMemory(
              formatBytes(device.memory.most),
              formatBytes(device.memory.free),
              formatCount(device.chunk),
            ),
          ] as const,
        ]),
    ...device.notes.map((note) => ['', note] as const),
    ...(w.computed + w.copied + w.digestBytes === 0 ? [] : [['time', `about ${formatDuration(w.seconds)}`] as const]),
    ['peak memory', `about ${formatBytes(w.peakMemory)} with ${plural(w.workers, 'worker')}`],
    ...(w.reused === 0 ? [] : [['reused', say.reused(plural(w.reused, 'tensor'))] as const]),
    ...(w.cached === 0 ? [] : [['cached', say.cached(formatCount(w.cached))] as const]),
    ['not computed', say.notComputed(plural(w.copied, 'tensor'), formatBytes(w.skippedBytes))],
    ...unused.map((name) => ['not run', say.unused(name)] as const),
  ]
  const head = greatest(rows.map(([key]) => key.length))
  return rows.flatMap(([key, text]) =>
    wrap(text, look.width - head - 4).map(
      (line, i) => `${INDENT}${paint(look, 'faint', (i === 0 ? key : '').padEnd(head))}  ${line}`,
    ),
  )
}

/**
 * The whole plan for a terminal: what goes in, each step with what it uses and why it runs, what comes out, and what
 * that costs.
 */
export const renderPlan = (outline: PlanOutline, look: Look): string => {
  const section = (name: string, lines: readonly string[]): string[] =>
    lines.length === 0 ? [] : ['', title(look, name), ...lines]
  return `${[
    title(look, `Plan of ${escapeControls(outline.name)}, seed ${escapeControls(String(outline.seed))}`),
    ...section('Models', models(outline, look)),
    ...section('Vocabulary', vocabularies(outline, look)),
    ...section('Steps, in order', steps(outline, look)),
    ...section('Outputs', outputs(outline, look)),
    ...section('Reports', reports(outline, look)),
    ...section('Work', work(outline, look)),
  ].join('\n')}\n`
}

/** How long the work takes, where there is some that takes a moment. */
const duration = ({ seconds, computed, copied, digestBytes }: PlanOutline['work']): string =>
  computed + copied + digestBytes === 0 ? '' : `, about ${formatDuration(seconds)}`

/** The plan in a few lines, as a build shows it before it begins. */
export const renderPlanShort = (outline: PlanOutline, look: Look): string => {
  const { work: w, device } = outline
  const rows = outline.steps.map((s) => [
    paint(look, 'name', s.name),
    s.op,
    s.uses.join(', '),
    `${formatCount(s.tensors)} tensors`,
  ])
  const outs = [
    ...outline.outputs.map((o) => [paint(look, 'name', o.name), escapeControls(o.path), formatBytes(o.bytes)]),
    ...outline.reports.map((r) => [paint(look, 'name', r.name), escapeControls(r.path), 'report']),
  ]
  const { models, outputs, reports } = outline
  const counted = countParts(models, outline.steps.length, outputs.length + reports.length)
  const cost = say.cost(formatBytes(w.readBytes + w.digestBytes), formatBytes(w.writeBytes), formatBytes(w.peakMemory))
  return `${[
    title(look, `${escapeControls(outline.name)}: ${counted}`),
    ...(rows.length === 0 ? [] : withPath(rows, 2, look, [3])),
    ...withPath(
      outs.map(([name, path, size]) => [`-> ${name!}`, path!, size!]),
      1,
      look,
      [2],
    ),
    paint(look, 'faint', `${cost} with ${plural(w.workers, 'worker')}${duration(w)}`),
    ...(device.name === 'cpu' && !device.reason.startsWith('auto: ')
      ? []
      : wrap(`on ${nameDevice(device)}; ${device.reason}${describeRoom(device)}`, look.width).map((line) =>
          paint(look, 'faint', line),
        )),
    ...device.notes.flatMap((note) => wrap(note, look.width).map((line) => paint(look, 'faint', line))),
  ].join('\n')}\n`
}
