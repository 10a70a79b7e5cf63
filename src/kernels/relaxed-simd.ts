import { setFlagsFromString } from 'node:v8'

/**
 * Lets V8 of Node.js 20 compile the instructions of relaxed SIMD, which later versions do unasked: it has them as they
 * were standardised, behind a flag. To be called before anything is compiled that uses them.
 */
export const allowRelaxedSimd = (): void => {
  if (process.versions.v8.startsWith('11.') && (process.arch === 'x64' || process.arch === 'arm64'))
    setFlagsFromString('--experimental-wasm-relaxed-simd')
}
