import { expect, test } from 'vitest'
import type { Instruction, Program } from '#src/graph/program.js'
import { isCompilable, MOST_INSTRUCTIONS } from '#src/graph/wasm-program.js'
import { makeRandom } from '../safetensors/files.js'
import { agree, agreeOnMany, SPECIAL } from '../support/any-program.js'
import { collectPrograms } from '../support/programs.js'
import { runCompiled } from '../support/run-program.js'

test('every program that recipes, operators and reference cases ask for has the bits of ONNX Runtime', async () => {
  const random = makeRandom(7)
  const programs = await collectPrograms()
  expect(programs.length).toBeGreaterThan(200)
  for (const program of programs)
    await agree(program, 37, random, program.outputs.some((p) => p.type === 'i64') ? [0, 1, -5, 3.7] : SPECIAL)
}, 120_000)

test('random programs of all dtypes and lengths have the bits of ONNX Runtime', () => agreeOnMany(0, 300))

test('the largest program that is compiled fits into a function, and a larger one is left to ONNX Runtime', () => {
  const chain = (length: number): Program => {
    const instructions = Array.from({ length }, (_, i): Instruction => ({
      op: i % 2 === 0 ? 'Max' : 'Mul',
      inputs: [i === 0 ? 'x0' : `v${i - 1}`, 'x0'],
      output: `v${i}`,
    }))
    const port = (name: string) => ({ name, type: 'f32', rank: 1 }) as const
    return { key: '', inputs: [port('x0')], outputs: [port(`v${length - 1}`)], instructions }
  }
  expect([isCompilable(chain(MOST_INSTRUCTIONS)), isCompilable(chain(MOST_INSTRUCTIONS + 1))]).toEqual([true, false])
  const [left] = runCompiled(chain(MOST_INSTRUCTIONS), { x0: Float32Array.of(1, 0.5, -1) }, 3)
  expect([...new Float32Array(left!.slice().buffer)]).toEqual([1, 0.25, -1])
})
