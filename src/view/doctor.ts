import { align, formatBytes, paint, plural, type Look } from './text.js'

/** What a machine is found to be; `problem` fields say why something does not work. */
export interface Machine {
  readonly smelt: string
  readonly node: { readonly version: string; readonly needed: string; readonly ok: boolean }
  readonly platform: string
  readonly cores: number
  readonly memory: { readonly total: number; readonly free: number }
  readonly onnxruntime: { readonly version: string; readonly providers: readonly string[]; readonly problem: string | undefined }
  readonly kernels: { readonly problem: string | undefined }
  /** Of the current folder; undefined where the system does not tell. */
  readonly disk: { readonly free: number; readonly type: string } | undefined
}

/** The checks as rows of a table; what is wrong with them is told as problems. */
export const renderMachine = (machine: Machine, look: Look): string => {
  const { node, memory, onnxruntime, kernels, disk } = machine
  const verdict = (good: boolean | undefined): string => (good === undefined ? '' : good ? paint(look, 'good', 'ok') : paint(look, 'bad', 'problem'))
  const rows: (readonly [string, string, boolean | undefined])[] = [
    ['smelt', machine.smelt, undefined],
    ['node', `${node.version}, needs ${node.needed}`, node.ok],
    ['platform', machine.platform, undefined],
    ['cores', plural(machine.cores, 'core'), undefined],
    ['memory', `${formatBytes(memory.total)}, ${formatBytes(memory.free)} free`, undefined],
    ['onnxruntime', `${onnxruntime.version}, providers ${onnxruntime.providers.join(', ') || 'none'}`, onnxruntime.problem === undefined],
    ['kernels', 'WebAssembly with SIMD', kernels.problem === undefined],
    ['this folder', disk === undefined ? 'unknown' : `${formatBytes(disk.free)} free on ${disk.type}`, undefined],
  ]
  return `${align(rows.map(([name, text, good]) => [paint(look, 'name', name), text, verdict(good)])).join('\n')}\n`
}
