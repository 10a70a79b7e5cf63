import { stopped, unsolved } from '../base/catalogue/run.js'
import type { Diagnostic } from '../base/diagnostic.js'
import { failed, ok, type Result } from '../base/result.js'
import { findSolver } from '../kernels/solvers/index.js'
import { writeFully } from '../safetensors/positional.js'
import { createChunks } from './chunks.js'
import { createGeneratedInputs } from './generated-inputs.js'
import { createMaskBits } from './mask-bits.js'
import type { Stopwatch } from './stopwatch.js'
import type { ComputeOrder, SolveOrder, UntimedResult } from './unit.js'
import type { Workspace } from './workspace.js'

/** Computes the operands of a solver, has it make some rows of its result, and writes them to the scratch file. */
export type SolveUnit = (unit: SolveOrder, watch: Stopwatch) => Promise<Result<UntimedResult>>

/** Sets up what units of solvers need. */
export const createSolveUnit = (workspace: Workspace): SolveUnit => {
  const { kernels, cutting, engine } = workspace
  const maskBits = createMaskBits(kernels, cutting.block, workspace.open)
  const generated = createGeneratedInputs(workspace)
  let bytesRead = 0

  const operandOf = async (order: ComputeOrder, watch: Stopwatch): Promise<Float32Array | Diagnostic> => {
    const elements = new Float32Array(order.end - order.start)
    const chunks = createChunks(workspace, order, generated, maskBits, watch)
    const unloaded = chunks.load()
    if (unloaded !== undefined) return unloaded
    engine.grown(kernels.view(Uint8Array, 0, 1).buffer)
    for (let from = order.start; from < order.end; from += cutting.block) {
      const n = Math.min(cutting.block, order.end - from)
      const unread = chunks.read(from, n, [])
      if (unread !== undefined) return unread
      watch.lap('read')
      for (let start = from; start < from + n;) {
        if (workspace.stopping()) return stopped()
        const length = chunks.endOf(start, from + n) - start
        const ran = await chunks.run(from, start, length, chunks.outputs)
        if (ran === 'again') continue
        if (ran !== 'done') return ran
        elements.set(kernels.view(Float32Array, chunks.outputs[0]!, length), start - order.start)
        start += length
      }
      watch.lap('run')
    }
    bytesRead += chunks.bytesRead
    return elements
  }

  return async (unit, watch) => {
    bytesRead = 0
    const operands = []
    for (const { order, shape } of unit.operands) {
      const values = await operandOf(order, watch)
      if ('code' in values) return failed(values)
      operands.push({ shape, values })
    }
    const solved = findSolver(unit.solver).solve(operands, unit.settings, unit.shape)
    watch.lap('run')
    if (typeof solved === 'string') return failed(unsolved(solved, unit.tensor, unit.step))
    const rows = solved instanceof Float32Array ? solved : new Float32Array(solved)
    const { path, begin } = unit.result
    const bytes = new Uint8Array(rows.buffer, rows.byteOffset, rows.byteLength)
    const unwritten = writeFully(workspace.open(path, 'r+'), path, bytes, begin + 4 * unit.start)
    watch.lap('write')
    return unwritten === undefined
      ? ok({ id: unit.id, found: [], readDigests: [], writeDigests: [], bytesRead, bytesWritten: 0 })
      : failed(unwritten)
  }
}
