import { describe, expect, test } from 'vitest'
import { lacksAddressSpace } from '#src/run/address-space.js'
import { explainLimit } from '#src/run/limits.js'

describe('a limit as the cause of an error', () => {
  test.each([
    ["EMFILE: too many open files, open '/x.js'", 'too-many-open-files', 'retry'],
    ['libcuda.so.1: cannot open shared object file: Too many open files', 'too-many-open-files', 'retry'],
    ['Worker initialization failure: EMFILE', 'too-many-open-files', 'retry'],
    ['libonnxruntime.so.1: failed to map segment from shared object', 'too-little-memory', 'run'],
    ['WebAssembly.Instance(): Out of memory: Cannot allocate Wasm memory for new instance', 'too-little-memory', 'run'],
    ['Array buffer allocation failed', 'too-little-memory', 'run'],
  ])('is told from its words: %s', (reason, code, blame) => {
    expect(explainLimit(reason)).toMatchObject({ code, blame })
  })

  test.each([
    'x is not a function',
    'exit code 1',
    '',
    'Worker terminated due to reaching memory limit: JS heap out of memory',
    'ENOENT: no such file or directory\nEMFILE',
  ])('is not seen in other words: %j', (reason) => {
    expect(explainLimit(reason)).toBeUndefined()
  })
})

describe('workers', () => {
  test('are as many as the address space has room for, or the number that would fit is told', () => {
    expect(lacksAddressSpace(2, { used: 1.5e9, limit: 40e9 })).toBeUndefined()
    expect(lacksAddressSpace(4, { used: 1.5e9, limit: 40e9 })).toMatchObject({
      code: 'address-space-too-small',
      message: '4 workers would reserve 45.2 GB of address space, but this process has 38.5 GB of 40.0 GB left',
      help: expect.stringContaining('`--workers 3`'),
    })
    expect(lacksAddressSpace(1, { used: 1.5e9, limit: 2e9 })?.help).toMatch(/^raise the limit/)
    expect(lacksAddressSpace(0, { used: 1.5e9, limit: 2e9 })).toBeUndefined()
  })

  test('are as many as wished for where there is no limit', () => expect(lacksAddressSpace(64)).toBeUndefined())
})
