import { sep } from 'node:path'
import { nullInPath, otherHome, outputEnding, outputNamesFolder, windowsPath } from '../base/catalogue/paths.js'
import type { Diagnostic, Place } from '../base/diagnostic.js'
import type { Kind } from '../operators/value.js'

/** Endings of files that are no safetensors; what stands before them is the name. */
const FOREIGN =
  /(?:\.safetensors)?\.(?:bin|ckpt|ckp|gguf|h5|hdf5|html|index\.json|jpe?g|json|msgpack|npy|npz|onnx|pickle|pkl|png|pt|pth|safe|safe_?tensors?|st|svg|tensors?|txt|webp|ya?ml|zip)$/i
const OWN = /\.(?:safetensors|sft)$/i

/** A folder with a name of its own. */
const FOLDER = /(?:^|\/)(?!\.{1,2}\/$|~\/$)[^/\\]+\/$/

/** The path with the separators of this system, and without a drive. */
const withSlashes = (path: string): string => path.replaceAll('\\', '/').replace(/^[A-Za-z]:\/*/, '')

/**
 * What is wrong with the path of an output, as far as its text tells: a folder where only a
 * file can be written or one without a name, a name that only another system reads
 * as a path, or an
 * ending that promises another kind of file. `kind` is undefined where it is not known what is written.
 */
export const checkOutputPath = (
  output: { readonly name: string; readonly path: string; readonly at: Place; readonly sharded: boolean },
  kind: Kind | undefined,
): Diagnostic | undefined => {
  const { name, path, at, sharded } = output
  if (path.includes('\0')) return nullInPath(path, at)
  if (/^~[^/\\]+\//.test(path)) return otherHome(path, at)
  if (sep === '/' && (path.includes('\\') || /^[A-Za-z]:\//.test(path))) return windowsPath(path, withSlashes(path), at)
  if ((kind === 'model' || kind === 'adapter' || kind === undefined) && FOLDER.test(path)) return undefined
  if (/(?:^|[/\\])(?:\.{0,2}|~)$/.test(path))
    return outputNamesFolder(
      path,
      `${path === '' ? '' : path.replace(/[/\\]*$/, '/')}${name}.${kind === 'report' ? 'html' : 'safetensors'}`,
      at,
    )
  if (kind !== 'model' && kind !== 'mask' && kind !== 'adapter') return undefined
  if (OWN.test(path) || (sharded && (!FOREIGN.test(path) || path.endsWith('.index.json')))) return undefined
  return outputEnding(path, kind, `${path.replace(FOREIGN, '').replace(OWN, '')}.safetensors`, at)
}
