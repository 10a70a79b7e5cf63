import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { makeFolder, smelt } from '../support/smelt.js'
import { writeSafetensors } from '../support/write-safetensors.js'

let folder: ReturnType<typeof makeFolder>
beforeAll(() => {
  folder = makeFolder()
  for (const [name, value] of [
    ['a', 0],
    ['b', 1],
  ] as const) {
    writeSafetensors(join(folder.path, `${name}.safetensors`), {
      'x.weight': { dtype: 'F32', shape: [2], values: [value, value] },
    })
  }
})
afterAll(() => folder.remove())

describe.concurrent('one operator without a recipe', () => {
  it('smelt blend writes the blend, and no lock', async () => {
    const done = await smelt(folder.path, [
      'blend',
      'a.safetensors',
      'b.safetensors',
      '-o',
      'half.safetensors',
      '--keep',
      '0.25',
      '--quiet',
    ])
    expect(done).toMatchObject({ code: 0, stderr: '' })
    const bytes = readFileSync(join(folder.path, 'half.safetensors'))
    expect([bytes.readFloatLE(bytes.length - 8), bytes.readFloatLE(bytes.length - 4)]).toEqual([0.75, 0.75])
    expect(existsSync(join(folder.path, 'command line.lock.json'))).toBe(false)
  })

  it('smelt run prints the recipe that a command line stands for, by the short name of an operator', async () => {
    const done = await smelt(folder.path, [
      'run',
      'linear',
      'a.safetensors',
      'b.safetensors',
      '--weight=1,3',
      '--normalize',
      'false',
      '--print',
    ])
    expect(done).toMatchObject({ code: 0, stderr: '' })
    expect(done.stdout).toContain(
      '    op: merge.linear\n    models:\n      - { model: a, weight: 1 }\n      - { model: b, weight: 3 }\n    normalize: false\n',
    )
    expect(done.stdout).toContain('path: out.safetensors')
  })

  it('smelt run leaves `--dtype` to a step whose subject it is', async () => {
    const done = await smelt(folder.path, ['run', 'model.cast', 'a.safetensors', '--dtype', 'f16', '--print'])
    expect(done).toMatchObject({ code: 0, stderr: '' })
    expect(done.stdout).toContain('    op: model.cast\n    model: a\n    dtype: f16\noutputs:')
    expect(done.stdout.match(/dtype/g)).toHaveLength(1)
  })

  it.each([
    ['an operator that is none', ['run', 'merge.blnd', 'a', 'b', '-o', 'x'], 'did you mean `merge.blend`?'],
    ['a key that it does not have', ['blend', 'a', 'b', '-o', 'x', '--kep', '1'], 'did you mean `keep`?'],
    ['no place to write', ['blend', 'a', 'b'], 'add `-o OUT.safetensors`'],
    ['a file too many', ['blend', 'a', 'b', 'c', '-o', 'x'], 'has no input for `c`'],
    [
      'an option that is given twice',
      ['run', 'linear', 'a', 'b', '-o', 'x', '--weight', '1', '--weight=3'],
      '`--weight` is given twice',
    ],
    ['an option without its value', ['blend', 'a', 'b', '-o', 'x', '--keep'], '`--keep` needs a value'],
  ])('refuses %s', async (_, args, words) => {
    const done = await smelt(folder.path, args)
    expect(done).toMatchObject({ code: 2, stdout: '' })
    expect(done.stderr).toContain(words)
  })

  it('completes commands, options and operators for a shell', async () => {
    expect((await smelt(folder.path, ['completion', 'bash'])).stdout).toContain('complete -F __smelt_complete smelt')
    expect((await smelt(folder.path, ['complete', '--', 'run', 'merge.bl'])).stdout).toMatch(/^merge\.blend\t/)
    expect((await smelt(folder.path, ['complete', '--', 'bu'])).stdout).toMatch(/^build\t/)
    expect((await smelt(folder.path, ['complete', '--', 'ops', 'weighted_'])).stdout).toMatch(
      /^weighted_sum\tsd-mecha: merge\.blend\n/,
    )
    const untyped = (await smelt(folder.path, ['complete', '--', 'ops', ''])).stdout
    expect(untyped).toContain('merge.blend\t')
    expect(untyped).not.toContain('weighted_sum')
    expect((await smelt(folder.path, ['complete', '--', 'ops', '--se'])).stdout).toMatch(/^--search\t/)
    expect(await smelt(folder.path, ['completion', 'tcsh'])).toMatchObject({ code: 2 })
  })
})
