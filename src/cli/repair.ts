import { stat } from 'node:fs/promises'
import { exitCode, type Diagnostic } from '../base/diagnostic.js'
import { nearPath, resolvePath } from '../base/resolve-path.js'
import { toJson } from '../base/screen.js'
import { checkOutputPath } from '../recipe/output-path.js'
import { repairFile, repairedName } from '../safetensors/repair.js'
import { repairIndex } from '../safetensors/repair-index.js'
import { toJsonText } from '../view/json.js'
import { renderRepaired } from '../view/repaired.js'
import type { Console } from './console.js'

/** What `smelt repair` takes besides the file. */
export interface RepairFlags {
  readonly out?: string
  readonly json?: boolean
}

/**
 * `smelt repair`: a whole copy of a file that breaks the format, or the index that shards lack. Nothing that is there
 * is changed.
 */
export const repair = async (console: Console, path: string, { out, json }: RepairFlags): Promise<number> => {
  const from = resolvePath(console.cwd, path)
  const wrong =
    out === undefined
      ? undefined
      : checkOutputPath({ name: 'repaired', path: out, at: { type: 'option', name: '--out' }, sharded: false }, 'model')
  if (wrong !== undefined) {
    const problem: Diagnostic = { ...wrong, blame: 'usage' }
    console.tell([problem])
    return exitCode([problem])
  }
  const isFolder = await stat(from).then(
    (found) => found.isDirectory(),
    () => false,
  )
  const result = isFolder
    ? await repairIndex(from)
    : await repairFile(from, out === undefined ? repairedName(from) : resolvePath(console.cwd, out))
  if (json === true) {
    console.out(
      toJsonText({
        type: 'repair',
        ...(result.type === 'ok' ? { ...result.value, out: result.value.out ?? null } : { path: from, out: null }),
        diagnostics: toJson(result.diagnostics),
      }),
    )
    return exitCode(result.type === 'failed' ? result.diagnostics : [])
  }
  console.tell(result.diagnostics)
  if (result.type === 'failed') return exitCode(result.diagnostics)
  const near = (place: string): string => nearPath(place, console.cwd)
  console.out(
    renderRepaired(
      {
        ...result.value,
        path: near(result.value.path),
        out: result.value.out === undefined ? undefined : near(result.value.out),
      },
      console.look('out'),
    ),
  )
  return 0
}
