import { expect, test } from 'vitest'
import { kernelsOf, lowerFor } from '#src/graph/lower.js'
import { hasKernel, recordedKernels } from '#src/graph/provider-kernels.js'
import { collectPrograms } from '../support/programs.js'

const programs = await collectPrograms()

test.each(['cuda', 'webgpu'] as const)(
  'every instruction of every program, as %s runs it, is one that its provider computes',
  (provider) => {
    const missing = programs.map((program) =>
      kernelsOf(lowerFor(provider, program)).filter((kernel) => !hasKernel(provider, kernel)),
    )
    expect([...new Set(missing.flat())]).toEqual([])
    // Enough programs to mean something: the edges of each dtype alone are more.
    expect(programs.length).toBeGreaterThan(200)
  },
)

test('the tables name kernels that differ, and know what no provider has', () => {
  for (const provider of ['cuda', 'webgpu'] as const) {
    const kernels = recordedKernels(provider)
    expect(new Set(kernels).size).toBe(kernels.length)
    expect(kernels.every((kernel) => hasKernel(provider, kernel))).toBe(true)
    expect(
      ['BitCast u16>bf16', 'BitwiseXor u32,u32', 'Where bool,u16,u16'].filter((kernel) => hasKernel(provider, kernel)),
    ).toEqual([])
  }
  expect(hasKernel('cuda', 'Or bool,bool')).toBe(true)
  expect(hasKernel('webgpu', 'Or bool,bool')).toBe(false)
})
