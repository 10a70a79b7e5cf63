import type { Program } from '../../graph/program.js'
import { ARGUMENT, encodeWasm, fedPorts } from '../../graph/wasm-program.js'
import type { Kernels, RunProgram } from '../../kernels/kernels.js'
import type { Engine } from './engine.js'

/** Programs compiled for the processor. */
export interface CompiledOptions {
  readonly type: 'compiled'
  readonly programs: readonly Program[]
  readonly chunk: number
}

/** Sets up the compiled programs of one worker; each is compiled when it is first needed and kept. */
export const createCompiledEngine = ({ programs, chunk }: CompiledOptions, kernels: Kernels): Engine => {
  const compiled = new Map<number, RunProgram>()
  const most = programs.reduce((n, p) => Math.max(n, fedPorts(p).length + p.outputs.length), 0)
  const args = kernels.alloc(ARGUMENT * most)

  const compile = (program: number): RunProgram => {
    const known = compiled.get(program)
    if (known !== undefined) return known
    const run = kernels.link(encodeWasm(programs[program]!))
    compiled.set(program, run)
    return run
  }
  return {
    programs,
    chunk,
    takesBlocks: true,
    pins: false,
    pin: () => undefined,
    grown: () => undefined,
    run: (program, { inputs, scalars, outputs, length }) => {
      const count = inputs.length + scalars.length + outputs.length
      const words = kernels.view(Uint32Array, args, count)
      words.set(inputs)
      kernels.view(Float32Array, args + ARGUMENT * inputs.length, scalars.length).set(scalars)
      words.set(outputs, inputs.length + scalars.length)
      compile(program)(length, args)
      return 'done'
    },
    close: async () => compiled.clear(),
  }
}
