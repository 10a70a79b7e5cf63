import { describe, expect, test } from 'vitest'
import type { Port, Program } from '#src/graph/program.js'
import { estimateDeviceMemory, estimateSession } from '#src/plan/device-memory.js'

const MIB = 1 << 20
const port = (name: string, type: Port['type'] = 'f32', rank: Port['rank'] = 1): Port => ({ name, type, rank })
/** A program that adds `x` to itself so many times, one sum after the other. */
const chain = (sums: number, input = port('x')): Program => ({
  key: `chain ${sums}`,
  inputs: [input, port('u', 'f32', 0)],
  instructions: [
    { op: 'Cast', inputs: ['x'], output: 'v0', to: 'f32' },
    ...Array.from({ length: sums }, (_, i) => ({ op: 'Add', inputs: [`v${i}`, 'u'], output: `v${i + 1}` })),
  ],
  outputs: [port(`v${sums}`)],
})
/** A program that keeps so many values until it has all of them. */
const wide = (values: number): Program => ({
  key: `wide ${values}`,
  inputs: [port('x')],
  instructions: Array.from({ length: values }, (_, i) => ({ op: 'Neg', inputs: ['x'], output: `v${i}` })),
  outputs: Array.from({ length: values }, (_, i) => port(`v${i}`)),
})
const looking: Program = {
  key: 'looking',
  inputs: [port('x', 'u16')],
  outputs: [port('v')],
  instructions: [
    { op: 'Cast', inputs: ['x'], output: 'w', to: 'i32' },
    { op: 'Gather', inputs: ['BF16', 'w'], output: 'v' },
  ],
}
const CHUNKS = Array.from({ length: 7 }, (_, i) => 1 << (14 + i))

describe('what a session takes of a device', () => {
  test('holds what one run holds at a time, and is not many times as much', () => {
    // The input, a sum and the one before it.
    const [narrow, broad] = [3 * 4 * MIB, 9 * 4 * MIB]
    for (const [program, held] of [
      [chain(5), narrow],
      [wide(8), broad],
    ] as const) {
      const taken = estimateSession(program, MIB)
      expect(taken).toBeGreaterThan(held)
      expect(taken).toBeLessThan(6 * held + 4 * MIB)
    }
  })

  test('counts a value no longer than it is used', () => {
    expect(estimateSession(chain(20), MIB)).toBe(estimateSession(chain(2), MIB))
    expect(estimateSession(wide(20), MIB)).toBeGreaterThan(estimateSession(wide(2), MIB))
  })

  test('counts numbers by their width, and tables that are looked up', () => {
    expect(estimateSession(chain(0, port('x', 'f64')), 4 * MIB)).toBeGreaterThan(
      estimateSession(chain(0, port('x', 'u8')), 4 * MIB),
    )
    const {
      inputs,
      outputs,
      instructions: [cast],
    } = looking
    const blind: Program = {
      key: 'blind',
      inputs,
      outputs,
      instructions: [cast!, { op: 'Cast', inputs: ['w'], output: 'v', to: 'f32' }],
    }
    const least = Math.min(...CHUNKS.map((chunk) => estimateSession(looking, chunk) - estimateSession(blind, chunk)))
    expect(least).toBeGreaterThanOrEqual(0)
    // A table of 65,536 float32 takes the whole of what little is taken for small chunks.
    expect(CHUNKS.some((chunk) => estimateSession(looking, chunk) > estimateSession(blind, chunk))).toBe(true)
  })

  test('grows with chunks, never less for a larger one', () => {
    for (const program of [chain(3), wide(5), looking]) {
      const taken = CHUNKS.map((chunk) => estimateSession(program, chunk))
      expect(taken).toEqual(taken.toSorted((a, b) => a - b))
      expect(taken.at(-1)).toBeGreaterThan(4 * taken[0]!)
    }
  })
})

test('a build takes what CUDA itself needs, and for every worker a session of every program', () => {
  const programs = [chain(3), wide(5), looking]
  const own = estimateDeviceMemory([], MIB, 4)
  expect(own).toBeGreaterThan(100 * MIB)
  const sessions = programs.reduce((n, program) => n + estimateSession(program, MIB), 0)
  for (const workers of [1, 2, 16]) expect(estimateDeviceMemory(programs, MIB, workers)).toBe(own + workers * sessions)
})
