import { wrongSum } from '../base/catalogue/devices.js'
import { reasonOf } from '../base/reason.js'
import { createGraph } from '../graph/graph.js'
import { lowerFor } from '../graph/lower.js'
import { encodeOnnx } from '../graph/onnx.js'
import { cutPasses } from '../graph/passes.js'
import { loadKernels } from '../kernels/kernels.js'

/** What is known of ONNX Runtime on this machine. */
export interface RuntimeProbe {
  readonly version: string
  /** Execution providers that the installed binary has. */
  readonly providers: readonly string[]
  /** Why a small program does not compute what it should on the CPU; undefined where it does. */
  readonly problem: string | undefined
}

/**
 * Doubles three numbers in a session of its own: everything a build needs of ONNX Runtime. Loads it, so it costs some
 * 100 ms.
 */
export const probeRuntime = async (): Promise<RuntimeProbe> => {
  try {
    const ort = await import('onnxruntime-node')
    const known = {
      version: ort.env.versions.node ?? ort.env.versions.common,
      providers: ort.listSupportedBackends().map((b) => b.name),
    }
    return { ...known, problem: await tryProgram().catch(reasonOf) }
  } catch (error) {
    return { version: 'unknown', providers: [], problem: reasonOf(error) }
  }
}

const tryProgram = async (): Promise<string | undefined> => {
  const { createSession, feed } = await import('./sessions.js')
  const graph = createGraph()
  const x = graph.read({ name: 'x', dtype: 'F32', shape: [3], file: '', begin: 0, end: 12 })
  const { program } = cutPasses([{ value: graph.add(x, x), dtype: 'F32' }]).passes[0]!
  const session = await createSession(encodeOnnx(lowerFor('cpu', program), {}))
  const [input, output] = [program.inputs[0]!, program.outputs[0]!]
  const results = new Float32Array(3)
  await session.run({ [input.name]: feed(input, Float32Array.of(1, 2, -3)) }, { [output.name]: feed(output, results) })
  const found = results.join()
  return found === '2,4,-6' ? undefined : wrongSum('1, 2, -3 doubled', found)
}

/** Why the WebAssembly kernels cannot be used here; undefined where they count rightly. */
export const probeKernels = (): string | undefined => {
  try {
    const kernels = loadKernels()
    const at = kernels.alloc(16)
    kernels.view(Float32Array, at, 4).set([1, 2, 3, 4])
    const sum = kernels.sum(at, 4)
    return sum === 10 ? undefined : wrongSum('1 + 2 + 3 + 4', String(sum))
  } catch (error) {
    return reasonOf(error)
  }
}
