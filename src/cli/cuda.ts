import { exitCode, type Diagnostic } from '../base/diagnostic.js'
import { toJson } from '../base/screen.js'
import { faultsOf, lacksCuda, reportCuda } from '../run/devices/cuda-report.js'
import { installCuda, removeCuda, type Fetcher } from '../run/devices/install.js'
import type { CudaPlaces } from '../run/devices/places.js'
import { createCudaProgress, cudaJson, cudaRows } from '../view/cuda.js'
import { renderChecks } from '../view/doctor.js'
import { toJsonText } from '../view/json.js'
import { formatBytes } from '../view/text.js'
import type { Console } from './console.js'
import { cudaPlaces } from './cuda-places.js'

/** Options of `smelt cuda`. */
export interface CudaFlags {
  readonly json?: boolean
  readonly remove?: boolean
}

const remove = (console: Console, flags: CudaFlags, places: CudaPlaces): number => {
  const removed = removeCuda(places)
  if (flags.json === true)
    console.out(
      toJsonText({
        type: 'cuda',
        removed: removed.type === 'ok' ? removed.value : 0,
        diagnostics: toJson(removed.diagnostics),
      }),
    )
  else if (removed.type === 'ok') console.out(`removed ${formatBytes(removed.value)}\n`)
  if (flags.json !== true) console.tell(removed.diagnostics)
  return exitCode(removed.diagnostics)
}

/** Parts that smelt cannot install are only a warning here: the installation did what it could. */
const softened = (problem: Diagnostic | undefined): readonly Diagnostic[] =>
  problem === undefined ? [] : [{ ...problem, severity: 'warning' }]

/**
 * `smelt cuda`: installs CUDA's libraries from the sources, or downloads what is missing, then tests them; `--remove`
 * uninstalls. The exit code is that of the installation, or 3 if CUDA computes wrong results.
 */
export const cuda = async (
  console: Console,
  sources: readonly string[],
  flags: CudaFlags,
  places: CudaPlaces = cudaPlaces(),
  fetcher?: Fetcher,
): Promise<number> => {
  if (flags.remove === true) return remove(console, flags, places)
  const progress = createCudaProgress({
    terminal: console.errRedraws,
    write: (text) => console.err(text),
    columns: () => console.look('err').width,
    now: () => performance.now(),
  })
  const result = await installCuda(
    sources,
    places,
    flags.json === true ? () => undefined : (event) => progress.hear(event),
    fetcher,
  )
  progress.clear()
  const report = await reportCuda(places)
  const diagnostics = [
    ...result.diagnostics,
    ...(result.type === 'failed' ? [] : [...faultsOf(report), ...(lacksCuda(report) ? softened(report.problem) : [])]),
  ]
  if (flags.json === true)
    console.out(
      toJsonText({
        type: 'cuda',
        installed: result.type === 'ok' ? result.value.installed : [],
        ...cudaJson(report),
        diagnostics: toJson(diagnostics),
      }),
    )
  else {
    console.out(renderChecks(cudaRows(report, true), console.look('out')))
    console.tell(diagnostics)
  }
  return exitCode(diagnostics)
}
