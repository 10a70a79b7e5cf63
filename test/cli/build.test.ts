import { readdirSync, readFileSync, statfsSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openModel } from '#src/safetensors/model.js'
import { formatBytes } from '#src/view/text.js'
import { makeFolder, smelt, steady } from '../support/smelt.js'
import { writeHollow, writeSafetensors } from '../support/write-safetensors.js'

const folder = makeFolder({
  'recipe.yaml': `smelt: 1
name: small
params: { keep: 0.25 }
models: { a: a.safetensors, b: b.safetensors }
steps:
  half: { op: merge.blend, a: a, b: b, keep: $keep }
  spare: { op: merge.blend, a: a, b: b }
outputs:
  merged: { from: half, path: out/merged.safetensors }
`,
  'nan.yaml': `smelt: 1
models: { a: a.safetensors, b: nan.safetensors }
steps: { half: { op: merge.blend, a: a, b: b } }
outputs: { merged: { from: half, path: out/nan.safetensors } }
`,
  'blocked.yaml': `smelt: 1
models: { a: a.safetensors }
outputs: { copy: { from: a, path: recipe.yaml/copy.safetensors } }
`,
  'huge.yaml': `smelt: 1
models: { a: huge.safetensors }
outputs: { copy: { from: a, path: out/huge.safetensors } }
`,
})

beforeAll(() => {
  const at = (name: string): string => join(folder.path, name)
  writeSafetensors(at('a.safetensors'), {
    'x.weight': { dtype: 'F32', shape: [2, 2], values: [0, 4, 8, -4] },
    'x.bias': { dtype: 'F16', shape: [1], values: [1] },
  })
  writeSafetensors(at('b.safetensors'), {
    'x.weight': { dtype: 'F32', shape: [2, 2], values: [4, 0, 0, 4] },
    'x.bias': { dtype: 'F16', shape: [1], values: [3] },
  })
  writeSafetensors(at('nan.safetensors'), {
    'x.weight': { dtype: 'F32', shape: [2, 2], values: [4, 0, NaN, 4] },
    'x.bias': { dtype: 'F16', shape: [1], values: [3] },
  })
})
afterAll(() => folder.remove())

const valuesOf = async (name: string, tensor: string): Promise<number[]> => {
  const model = await openModel(join(folder.path, name))
  if (model.type === 'failed') throw new Error(model.diagnostics[0]!.message)
  const { begin, end } = model.value.tensors.get(tensor)!
  return [...new Float32Array(new Uint8Array(readFileSync(join(folder.path, name)).subarray(begin, end)).buffer)]
}

describe.concurrent('smelt build', () => {
  it('shows the plan, warns, and says what was written', async () => {
    const done = await smelt(folder.path, ['build', 'recipe.yaml', '--workers', '1', '--out', 'first'])
    // The recipe's text is part of the file, so its size is no constant.
    const size = formatBytes(statSync(join(folder.path, 'first/out/merged.safetensors')).size)
    expect(
      steady(done.stderr, folder.path)
        .replace(/blake3:[0-9a-f]{64}/, 'DIGEST')
        // Other tests build the same recipe with other numbers, before or after.
        .replace(/^wrote recipe\.lock\.json.*\n/m, ''),
    ).toBe(`small: 2 models, 1 step, 1 output
  half  merge.blend  a, b  2 tensors
  -> merged  out/merged.safetensors  ${size}
reads 36 B, writes ${size}, about MEMORY of memory with 1 worker, about TIME
on cpu; auto: too little work to be worth starting CUDA (under 0.1 s on the CPU)

warning[unused-step]: step \`spare\` is not used, so it is not run
 --> recipe.yaml:7:3
  |
7 |   spare: { op: merge.blend, a: a, b: b }
  |   ^^^^^
help: use it in another step or an output, or remove it

1 warning
wrote out/merged.safetensors  ${size}, 2 tensors
      DIGEST
done in TIME: read 36 B and wrote 18 B of tensors, RATE; peak memory MEMORY
`)
    expect(done).toMatchObject({ code: 0, stdout: '' })
    expect(await valuesOf('first/out/merged.safetensors', 'x.weight')).toEqual([3, 1, 2, 2])
  })

  it('takes another value for a param, and only tells problems when it is to be quiet', async () => {
    const done = await smelt(folder.path, [
      'build',
      'recipe.yaml',
      '--set',
      'keep=0',
      '--set',
      'keep=1',
      '--out',
      'second',
      '--quiet',
    ])
    expect(done).toMatchObject({ code: 0, stdout: '' })
    expect(done.stderr).toMatch(/^warning\[unused-step\][^]*\n1 warning\n$/)
    expect(await valuesOf('second/out/merged.safetensors', 'x.weight')).toEqual([0, 4, 8, -4])
  })

  it('tells everything that happens as lines of JSON, and nothing else', async () => {
    const done = await smelt(folder.path, ['build', 'recipe.yaml', '--json', '--out', 'third', '--workers', '2'])
    const events = done.stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as { readonly v: number; readonly type: string; readonly [key: string]: unknown })
    expect(done).toMatchObject({ code: 0, stderr: '' })
    expect(new Set(events.map((e) => e.v))).toEqual(new Set([1]))
    const types = events
      .map((e) => e.type)
      .filter((type) => !['units-finished', 'work-planned', 'memory-measured'].includes(type))
    expect(types).toEqual([
      'plan-made',
      'problem-found',
      'run-started',
      'tensor-finished',
      'tensor-finished',
      'output-written',
      'lock-written',
      'run-finished',
      'command-ended',
    ])
    expect(events[1]).toMatchObject({
      diagnostic: { code: 'unused-step', at: { path: 'recipe.yaml', line: 7, column: 3 } },
    })
    expect(events.findLast((e) => e.type === 'units-finished')).toMatchObject({ readBytes: 36, writtenBytes: 18 })
    expect(events.at(-1)).toEqual({ v: 1, at: expect.any(Number), type: 'command-ended', exit: 0 })
  })

  it('stops before it writes a NaN, leaves no file behind and exits with 3', async () => {
    const done = await smelt(folder.path, ['build', 'nan.yaml', '--quiet', '--out', 'fourth'])
    expect(done.code).toBe(3)
    expect(done.stderr).toContain('error[non-finite]: step `half` produced NaN or infinity at element 2 of `x.weight`')
    expect(readdirSync(join(folder.path, 'fourth/out'))).toEqual([])
  })

  it('names the path that cannot be written', async () => {
    const done = await smelt(folder.path, ['build', 'blocked.yaml', '--quiet'])
    expect(done.code).toBeGreaterThan(0)
    expect(done.stderr).toContain(join(folder.path, 'recipe.yaml'))
    // Tests beside this one write the lock of another recipe here.
    expect(
      readdirSync(folder.path).filter((name) => name.endsWith('.partial') && !name.startsWith('.recipe.lock.json.')),
    ).toEqual([])
  })

  it('finds a disk that is too small before it begins, and exits with 75', async ({ skip }) => {
    const { bavail, bsize } = statfsSync(folder.path)
    try {
      // Far more than is free, for other programs free and fill the disk meanwhile.
      writeHollow(join(folder.path, 'huge.safetensors'), { x: { dtype: 'F32', shape: [bavail * bsize] } })
    } catch {
      skip('this file system has no files as large as four times its free room')
    }
    const done = await smelt(folder.path, ['build', 'huge.yaml', '--json', '--out', 'fifth'])
    expect(done.code).toBe(75)
    expect(done.stdout).toContain('"code":"disk-')
    expect(() => readdirSync(join(folder.path, 'fifth'))).toThrow('ENOENT')
  })
})
