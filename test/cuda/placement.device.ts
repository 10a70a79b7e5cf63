import { beforeAll, describe, expect, test } from 'vitest'
import { recordedKernels } from '#src/graph/provider-kernels.js'
import { CANDIDATES } from './kernel-model.js'
import { cudaMissing, loadStubs, placedOf } from './real-provider.js'

describe.skipIf(cudaMissing !== undefined)('the real provider for CUDA', () => {
  beforeAll(loadStubs)

  test('computes just the kernels the table says', async () => {
    expect((await placedOf(CANDIDATES, 'cuda')).toSorted()).toEqual(recordedKernels('cuda').toSorted())
  })
})
