import { greatest } from '../base/lists.js'
import type { CudaReport } from '../run/devices/cuda-report.js'
import { cudaRows, type CheckRow, type Verdict } from './cuda.js'
import { align, formatBytes, paint, plural, wrap, type Look, type Style } from './text.js'

/** What a machine is found to be; `problem` fields say why something does not work. */
export interface Machine {
  readonly smelt: string
  readonly node: { readonly version: string; readonly needed: string; readonly ok: boolean }
  readonly platform: string
  readonly cores: number
  readonly memory: { readonly total: number; readonly free: number }
  readonly onnxruntime: {
    readonly version: string
    readonly providers: readonly string[]
    readonly problem: string | undefined
  }
  readonly kernels: { readonly problem: string | undefined }
  /** Of the current folder; undefined where the system does not tell. */
  readonly disk: { readonly free: number; readonly type: string } | undefined
  /** Undefined where it was not looked for. */
  readonly cuda: CudaReport | undefined
  /** Undefined where it was not looked for. */
  readonly webgpu: { readonly problem: string | undefined } | undefined
}

const SHOWN: Readonly<Record<Exclude<Verdict, undefined>, readonly [Style, string]>> = {
  good: ['good', 'ok'],
  absent: ['faint', 'no'],
  bad: ['bad', 'problem'],
}

/** Rows of checks as a table; what is long goes on in lines of its own. */
export const renderChecks = (rows: readonly CheckRow[], look: Look): string => {
  const verdict = (good: Verdict): string => (good === undefined ? '' : paint(look, SHOWN[good][0], SHOWN[good][1]))
  const names = greatest(rows.map(([name]) => name.length))
  const room = Math.max(30, look.width - names - 2 - '  problem'.length)
  const lines = rows.flatMap(([name, text, good]) =>
    wrap(text, room).map((line, i) => [i === 0 ? paint(look, 'name', name) : '', line, i === 0 ? verdict(good) : '']),
  )
  return `${align(lines).join('\n')}\n`
}

const verdictOf = (good: boolean): Verdict => (good ? 'good' : 'bad')

/** The checks as rows of a table; what is wrong with them is told as problems. */
export const renderMachine = (machine: Machine, look: Look): string => {
  const { node, memory, onnxruntime, kernels, disk, cuda, webgpu } = machine
  return renderChecks(
    [
      ['smelt', machine.smelt, undefined],
      ['node', `${node.version}, needs ${node.needed}`, verdictOf(node.ok)],
      ['platform', machine.platform, undefined],
      ['cores', plural(machine.cores, 'core'), undefined],
      ['memory', `${formatBytes(memory.total)}, ${formatBytes(memory.free)} free`, undefined],
      [
        'onnxruntime',
        `${onnxruntime.version}, providers ${onnxruntime.providers.join(', ') || 'none'}`,
        verdictOf(onnxruntime.problem === undefined),
      ],
      ['kernels', 'WebAssembly with SIMD', verdictOf(kernels.problem === undefined)],
      ['this folder', disk === undefined ? 'unknown' : `${formatBytes(disk.free)} free on ${disk.type}`, undefined],
      ...(cuda === undefined ? [] : cudaRows(cuda)),
      ...(webgpu === undefined
        ? []
        : [['webgpu', webgpu.problem ?? 'usable', webgpu.problem === undefined ? 'good' : 'absent'] as const]),
    ],
    look,
  )
}
