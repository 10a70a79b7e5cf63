import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'

/** The installed ONNX Runtime. */
export interface InstalledRuntime {
  readonly version: string
  /** The folder of the package. */
  readonly folder: string
  /** Where its library lies on this platform, and so the only place where it looks for providers. */
  readonly binaries: string
}

/** Finds the installed package by asking Node.js, wherever an installer put it; undefined where there is none. */
export const findRuntime = (): InstalledRuntime | undefined => {
  try {
    const folder = dirname(dirname(createRequire(import.meta.url).resolve('onnxruntime-node')))
    const { version } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as { readonly version: string }
    return { version, folder, binaries: join(folder, 'bin', 'napi-v6', process.platform, process.arch) }
  } catch {
    return undefined
  }
}
