import { exitCode, type Diagnostic } from '../base/diagnostic.js'
import { nearPath, resolvePath } from '../base/resolve-path.js'
import { toJson } from '../base/screen.js'
import { convert as convertFile, convertedName } from '../pytorch/convert.js'
import { checkOutputPath } from '../recipe/output-path.js'
import { renderConverted } from '../view/converted.js'
import { toJsonText } from '../view/json.js'
import type { Console } from './console.js'

/** What `smelt convert` takes besides the checkpoint. */
export interface ConvertFlags {
  readonly output?: string
  readonly key?: string
  readonly json?: boolean
}

/** `smelt convert`: a safetensors file of a checkpoint that PyTorch saved. Nothing in it is run, nothing overwritten. */
export const convert = async (console: Console, path: string, { output, key, json }: ConvertFlags): Promise<number> => {
  const from = resolvePath(console.cwd, path)
  const wrong =
    output === undefined
      ? undefined
      : checkOutputPath(
          { name: 'converted', path: output, at: { type: 'option', name: '--output' }, sharded: false },
          'model',
        )
  if (wrong !== undefined) {
    const problem: Diagnostic = { ...wrong, blame: 'usage' }
    console.tell([problem])
    return exitCode([problem])
  }
  const out = output === undefined ? await convertedName(from) : resolvePath(console.cwd, output)
  const result = await convertFile(from, out, key)
  if (json === true) {
    console.out(
      toJsonText({
        type: 'convert',
        ...(result.type === 'ok' ? result.value : { path: from, out: null }),
        diagnostics: toJson(result.diagnostics),
      }),
    )
    return exitCode(result.type === 'failed' ? result.diagnostics : [])
  }
  console.tell(result.diagnostics)
  if (result.type === 'failed') return exitCode(result.diagnostics)
  const near = (place: string): string => nearPath(place, console.cwd)
  console.out(
    renderConverted(
      { ...result.value, path: near(result.value.path), out: near(result.value.out) },
      console.look('out'),
    ),
  )
  return 0
}
