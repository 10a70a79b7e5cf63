import { cudaWords } from '../base/catalogue/screens.js'
import { dirname } from 'node:path'
import { toJson } from '../base/screen.js'
import { lacksCuda, type CudaReport } from '../run/devices/cuda-report.js'
import type { CudaEvent } from '../run/devices/import-libraries.js'
import type { ProgressPort } from './progress-line.js'
import { formatBytes } from './text.js'

/**
 * A row of a table of checks: what is checked, what was found, and whether that is good; undefined where it is neither.
 */
export type CheckRow = readonly [name: string, found: string, good: Verdict]

/** The state of one part; `absent` is not a fault. */
export type Verdict = 'good' | 'absent' | 'bad' | undefined

const summary = (report: CudaReport): CheckRow[] => {
  const { problem, devices } = report
  if (problem !== undefined)
    return [
      ['cuda', problem.message, lacksCuda(report) ? 'absent' : 'bad'],
      ...(lacksCuda(report) ? [['', problem.help ?? '', undefined] as const] : []),
    ]
  const wrong = devices.filter((device) => device.check !== undefined)
  if (wrong.length === 0) return [['cuda', 'usable', 'good']]
  return [
    [
      'cuda',
      wrong.length === devices.length
        ? cudaWords.unusable
        : cudaWords.usableBut(wrong.map((device) => `device ${device.index}`).join(', ')),
      'bad',
    ],
  ]
}

const parts = ({ needed, provider, driver, runtime, libraries, devices, problem }: CudaReport): CheckRow[] => [
  [
    '  provider',
    provider === undefined ? cudaWords.noProvider(needed) : `of ONNX Runtime ${provider.version ?? '(of no version)'}`,
    provider === undefined ? 'absent' : provider.version === needed ? 'good' : 'bad',
  ],
  [
    '  driver',
    driver === undefined ? 'none' : `CUDA ${driver}`,
    driver === undefined ? 'absent' : problem?.code === 'cuda-driver-old' ? 'bad' : 'good',
  ],
  [
    '  runtime',
    runtime === undefined ? 'none' : `CUDA ${runtime}`,
    runtime === undefined ? 'absent' : problem?.code === 'cuda-runtime-wrong' ? 'bad' : 'good',
  ],
  ...libraries.map(({ name, path }): CheckRow => [
    `  ${name}`,
    path === undefined ? 'not found' : path.includes('/') ? dirname(path) : cudaWords.onSystem,
    path === undefined ? 'absent' : problem?.at?.type === 'file' && problem.at.path === path ? 'bad' : 'good',
  ]),
  ...devices.flatMap((d): CheckRow[] => [
    [
      `  device ${d.index}`,
      cudaWords.device(d.name, d.capability, formatBytes(d.total), formatBytes(d.free)),
      problem !== undefined ? undefined : d.check === undefined ? 'good' : 'bad',
    ],
    ...(problem === undefined && d.check === undefined ? [['', cudaWords.correct(d.pins), undefined] as const] : []),
  ]),
]

/** The state of CUDA, as rows; without a GPU a single row says so, unless `all` is true. */
export const cudaRows = (report: CudaReport, all = false): readonly CheckRow[] => {
  const nothing =
    report.problem?.code === 'cuda-not-offered' ||
    (report.problem?.code === 'cuda-driver-missing' && report.provider === undefined)
  return [...summary(report), ...(nothing && !all ? [] : parts(report))]
}

/** What was found of CUDA as JSON shows it. */
export const cudaJson = ({ problem, devices, ...rest }: CudaReport): object => ({
  ...rest,
  devices: devices.map(({ check, ...device }) => ({
    ...device,
    ...(check === undefined ? {} : { problem: toJson([check])[0] }),
  })),
  ...(problem === undefined ? {} : { problem: toJson([problem])[0] }),
})

/** The least time between redraws of a line, in ms. */
const REDRAW = 100
const TO_START = '\r\u001b[K'

/** Shows what an installation does: a line that is redrawn on a terminal, a line for each step in a log. */
export interface CudaProgress {
  hear(event: CudaEvent): void
  /** Removes the line, so that other text can be written. */
  clear(): void
}

const sentence = (event: CudaEvent, counting: boolean): string => {
  if (event.type === 'downloading') return cudaWords.downloading(event.what, formatBytes(event.bytes))
  return cudaWords.unpacking(
    event.name,
    event.source,
    `${counting ? `${formatBytes(event.done)} of ` : ''}${formatBytes(event.bytes)}`,
  )
}

/** A progress line that has shown nothing yet. */
export const createCudaProgress = (port: ProgressPort): CudaProgress => {
  let drawn = -REDRAW
  let step = ''
  return {
    hear: (event) => {
      const name = event.type === 'downloading' ? event.what : `${event.source} ${event.name}`
      const now = port.now()
      if (name === step && (!port.terminal || now - drawn < REDRAW)) return
      step = name
      drawn = now
      port.write(
        port.terminal
          ? TO_START + sentence(event, true).slice(0, Math.max(10, port.columns() - 1))
          : `${sentence(event, false)}\n`,
      )
    },
    clear: () => {
      if (port.terminal && step !== '') port.write(TO_START)
      step = ''
    },
  }
}
