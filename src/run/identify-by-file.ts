import type { Identify } from '../plan/fingerprint.js'
import type { InputFile } from '../plan/plan.js'

/** Identifies stored tensors by the identity of their file, as it was when its header was read. */
export const identifyByFile = (files: readonly InputFile[]): Identify => {
  const tokens = new Map(
    files.map((f) => [f.path, [f.path, f.size, f.mtimeNs, f.ctimeNs, f.ino, f.dev].join(':')] as const),
  )
  return ({ file, begin, end }) => {
    const token = tokens.get(file)
    return token === undefined ? undefined : `${token}:${begin}:${end}`
  }
}
