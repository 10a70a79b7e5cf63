import { RUN_ACCOUNT } from '../base/catalogue/screens.js'
import { escapeControls } from '../base/excerpt.js'
import { stageUnused } from '../base/catalogue/stage.js'
import type { Diagnostic } from '../base/diagnostic.js'
import type { PartAccount } from '../cluster/account.js'
import { columnsOf, count, words, type ReportDocument } from '../operators/report-document.js'
import { formatBytes, formatDuration, plural } from './text.js'

const { title, subject, sections, facts, columns } = RUN_ACCOUNT

interface HostAccount {
  readonly host: string
  readonly device: string
  readonly parts: number
  readonly seconds: number
  readonly readBytes: number
  readonly writtenBytes: number
  /** What it had of copies of inputs on its disk, if it was to use some. */
  readonly staged: { readonly copied: number; readonly found: number } | undefined
}

const sumStaged = (x: HostAccount['staged'], y: HostAccount['staged']): HostAccount['staged'] =>
  x === undefined || y === undefined ? (x ?? y) : { copied: x.copied + y.copied, found: x.found + y.found }

/** What each machine did on each device, in the order of their names. */
const byHost = (parts: readonly PartAccount[]): readonly HostAccount[] => {
  const hosts = new Map<string, HostAccount>()
  for (const { host, device, seconds, readBytes, writtenBytes, staged } of parts) {
    const key = `${host}\0${device}`
    const known = hosts.get(key) ?? {
      host,
      device,
      parts: 0,
      seconds: 0,
      readBytes: 0,
      writtenBytes: 0,
      staged: undefined,
    }
    hosts.set(key, {
      host,
      device,
      parts: known.parts + 1,
      seconds: known.seconds + seconds,
      readBytes: known.readBytes + readBytes,
      writtenBytes: known.writtenBytes + writtenBytes,
      staged: sumStaged(known.staged, staged),
    })
  }
  return [...hosts].sort(([x], [y]) => (x < y ? -1 : 1)).map(([, host]) => host)
}

/** Which machine did what of a run, one a line. */
export const renderAccount = (parts: readonly PartAccount[]): string =>
  byHost(parts)
    .map(
      ({ host, device, parts: own, seconds, readBytes, writtenBytes, staged }) =>
        `  ${escapeControls(host)} (${escapeControls(device)})  ${plural(own, 'part')} in ${formatDuration(seconds)}, ${RUN_ACCOUNT.moved(formatBytes(readBytes), formatBytes(writtenBytes))}${staged === undefined ? '' : RUN_ACCOUNT.staged(formatBytes(staged.copied), formatBytes(staged.found))}\n`,
    )
    .join('')

/** Which machines read inputs directly although they should have copied them, and why; each once. */
export const stageWarnings = (parts: readonly PartAccount[]): readonly Diagnostic[] =>
  [
    ...new Map(
      parts.flatMap(({ host, staged }) =>
        staged?.problem === undefined ? [] : [[`${host}\0${staged.problem}`, [host, staged.problem] as const] as const],
      ),
    ).values(),
  ].map(([host, problem]) => stageUnused(host, problem))

const seconds = (value: number): number => Math.round(value * 1000) / 1000

/** Who did what of a run, as a report: by machine, and part by part. */
export const documentAccount = (recipe: string, run: string, parts: readonly PartAccount[]): ReportDocument => ({
  title,
  subject: recipe,
  facts: [
    words(facts.run, run),
    count(facts.parts, parts.length),
    count(
      facts.again,
      parts.reduce((n, { attempts }) => n + Math.max(0, attempts.length - 1), 0),
    ),
    words(facts.time, formatDuration(parts.reduce((n, part) => n + part.seconds, 0))),
  ],
  sections: [
    {
      type: 'table',
      title: sections.machines,
      columns: [
        ...columnsOf('text', columns.host, columns.device),
        ...columnsOf('count', columns.parts),
        ...columnsOf('number', columns.seconds),
        ...columnsOf('count', columns.read, columns.written),
      ],
      rows: byHost(parts).map((h) => ({
        cells: [h.host, h.device, h.parts, seconds(h.seconds), h.readBytes, h.writtenBytes],
      })),
    },
    {
      type: 'table',
      title: sections.parts,
      note: subject,
      columns: [
        ...columnsOf('count', columns.part),
        ...columnsOf('text', columns.did, columns.host, columns.device, columns.gpus, columns.job),
        ...columnsOf('count', columns.attempts),
        ...columnsOf('number', columns.seconds),
        ...columnsOf('count', columns.read, columns.written),
        ...columnsOf('text', columns.reason),
      ],
      rows: parts.map((p) => {
        const own = p.attempts.find(({ attempt }) => attempt === p.attempt)
        return {
          cells: [
            p.part,
            RUN_ACCOUNT.did[p.type],
            p.host,
            p.device,
            own?.gpus ?? null,
            own?.job ?? null,
            p.attempts.length,
            seconds(p.seconds),
            p.readBytes,
            p.writtenBytes,
            p.reason,
          ],
        }
      }),
    },
    ...(parts.some(({ staged }) => staged !== undefined) ? [tableOfCopies(parts)] : []),
  ],
})

const tableOfCopies = (parts: readonly PartAccount[]): ReportDocument['sections'][number] => ({
  type: 'table',
  title: sections.copies,
  columns: [
    ...columnsOf('count', columns.part),
    ...columnsOf('text', columns.host),
    ...columnsOf('count', columns.copied, columns.found),
    ...columnsOf('text', columns.unstaged),
  ],
  rows: parts.flatMap(({ part, host, staged }) =>
    staged === undefined ? [] : [{ cells: [part, host, staged.copied, staged.found, staged.problem ?? null] }],
  ),
})
