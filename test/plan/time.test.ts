import { describe, expect, test } from 'vitest'
import { correctSpeed, estimateSeconds, TYPICAL_SPEED } from '#src/plan/time.js'
import type { Totals } from '#src/plan/plan.js'

const totals: Totals = {
  tensors: 2,
  copied: 0,
  computed: 2,
  reused: 0,
  cached: 0,
  readBytes: 3e9,
  digestBytes: 1e9,
  writeBytes: 2e9,
  skippedBytes: 0,
  operations: 10e9,
}
const speed = { read: 1e-9, write: 2e-9, compute: 0.5e-9 }

describe('the time that a plan takes', () => {
  test('is that of its bytes and operations, shared by the workers, and a start', () => {
    expect(estimateSeconds(totals, 1, speed) - 13).toBeCloseTo(estimateSeconds(totals, 2, speed) - 6.5, 9)
    expect(estimateSeconds(totals, 1, speed)).toBeGreaterThan(13)
  })

  test('grows with the number of tensors, however small they are', () => {
    const many = { ...totals, tensors: 2000, computed: 2000 }
    expect(estimateSeconds(many, 1) - estimateSeconds(totals, 1)).toBeCloseTo(0.6, 2)
  })

  test('is nothing where there is nothing to do', () => {
    expect(
      estimateSeconds({ ...totals, computed: 0, readBytes: 0, digestBytes: 0, writeBytes: 0, operations: 0 }, 2),
    ).toBe(0)
  })

  test('is what the last build took, once one was long enough', () => {
    const spent = { read: 8, write: 2, compute: 20 }
    const first = correctSpeed(undefined, totals, spent)!
    expect(first).toEqual({ read: 2e-9, write: 1e-9, compute: 2e-9 })
    expect(estimateSeconds(totals, 1, first)).toBeCloseTo(30, 0)
    expect(correctSpeed(first, totals, { read: 4, write: 2, compute: 20 })!.read).toBeCloseTo(1.5e-9, 20)
  })

  test('is not learnt from a build too short to tell, and not for what a build did not do', () => {
    expect(correctSpeed(undefined, totals, { read: 0.1, write: 0.1, compute: 0.1 })).toBeUndefined()
    expect(correctSpeed(undefined, { ...totals, writeBytes: 0 }, { read: 8, write: 0, compute: 20 })!.write).toBe(
      TYPICAL_SPEED.write,
    )
  })

  test('is not learnt from solvers of small matrices, which plans count no operations for', () => {
    const small = { ...totals, operations: 2000, readBytes: 1e6, digestBytes: 0, writeBytes: 1e6 }
    expect(correctSpeed(undefined, small, { read: 0.1, write: 0.1, compute: 20 })).toEqual(TYPICAL_SPEED)
  })
})
