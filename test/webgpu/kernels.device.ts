import { describe, expect, test } from 'vitest'
import { recordedKernels } from '#src/graph/provider-kernels.js'
import { encode } from '#src/kernels/convert.js'
import { feedsOf } from '../cuda/feeds.js'
import { CANDIDATES, modelOf, programOf } from '../cuda/kernel-model.js'
import { deviceSession, ort, placedOf } from '../cuda/real-provider.js'
import { findWebgpuMissing } from './adapter.js'

const missing = await findWebgpuMissing()
if (missing !== undefined) process.stdout.write(`the tests of WebGPU are skipped: ${missing}\n`)

/** Lengths that are no multiples of what a shader takes at once, and of what it packs into one word. */
const LENGTHS = [1, 3, 4, 5, 1000, 4099]
const SPECIAL = Float32Array.of(
  0,
  -0,
  1,
  -1,
  NaN,
  Infinity,
  -Infinity,
  1e-40,
  -1e-45,
  1.17549435e-38,
  3.4e38,
  -3.4e38,
  65504,
  65520,
  65519.99,
  6e-8,
  2.98e-8,
  0.1,
  -0.3,
  2049,
  2051,
  1.5,
  2.5,
  -1.5,
  255,
  3.25,
)
const HALVES = encode('F16', SPECIAL)
/**
 * Whole numbers differ where they do not fit, and which zero a provider takes of two equal ones is its own: programs
 * must not depend on it.
 */
const IN_RANGE = /^Cast (f32|f16)>(u8|i32|u32|i64)$/
const ANY_ZERO = /^(Min|Max|Where) /

const valueOf = (kernel: string) => {
  const { inputs } = programOf(kernel)
  return (input: number, i: number): number => {
    const { type } = inputs[input]!
    if (kernel.startsWith('Gather') && input === 1) return 0
    const at = input === 0 ? i : Math.trunc(i / SPECIAL.length) + 7 * input
    if (type === 'f32') return IN_RANGE.test(kernel) ? (i % 500) / 2 : SPECIAL[at % SPECIAL.length]!
    if (type === 'f16')
      return IN_RANGE.test(kernel) ? encode('F16', Float32Array.of(i % 200))[0]! : HALVES[at % HALVES.length]!
    return type === 'bool' ? (at >> input) % 2 : ((i * 37 + input) % 200) + 1
  }
}

const SIGN_OF_HALF = 0x8000
const isZero = (kernel: string, x: number): boolean => x === 0 || (kernel.endsWith(',f16') && x === SIGN_OF_HALF)
const isSame = (kernel: string, x: number, y: number): boolean =>
  Object.is(x, y) || (ANY_ZERO.test(kernel) && isZero(kernel, x) && isZero(kernel, y))

/**
 * Kernels whose results differ from the processor's, with the first that does; those the processor lacks are left out.
 */
const differing = async (kernels: readonly string[]): Promise<readonly string[]> => {
  const found: string[] = []
  for (const kernel of kernels) {
    const [program, model] = [programOf(kernel), modelOf(kernel)]
    const here = await ort.InferenceSession.create(model, {
      executionProviders: ['cpu'],
      intraOpNumThreads: 1,
      graphOptimizationLevel: 'disabled',
      logSeverityLevel: 4,
    }).catch(() => undefined)
    if (here === undefined) continue
    const there = await deviceSession(model, 'webgpu', 'disabled')
    for (const length of LENGTHS) {
      const feeds = feedsOf(program, length, valueOf(kernel))
      const [x, y] = await Promise.all(
        [here, there].map(async (session) => [
          ...((await session.run(feeds))[program.outputs[0]!.name]!.data as Float32Array),
        ]),
      )
      const at = x!.findIndex((value, i) => !isSame(kernel, value, y![i]!))
      if (at >= 0 || x!.length !== y!.length)
        found.push(`${kernel}, element ${at} of ${length}: ${x![at]} and ${y![at]}`)
    }
    await here.release()
    await there.release()
  }
  return found
}

describe.skipIf(missing !== undefined)('the provider for WebGPU', () => {
  test('computes just the kernels the table says', async () => {
    expect((await placedOf(CANDIDATES, 'webgpu')).toSorted()).toEqual(recordedKernels('webgpu').toSorted())
  })

  test('computes them as the processor does, to the last bit', async () => {
    expect(await differing(recordedKernels('webgpu'))).toEqual([])
  })
})
