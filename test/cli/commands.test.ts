import { spawnSync } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { wantsColor } from '#src/cli/console.js'
import { renderCrash } from '#src/cli/crash.js'
import { problemsOf } from '#src/cli/doctor.js'
import { readDevice, readSet, readWorkers } from '#src/cli/options.js'
import { renderMachine } from '#src/view/doctor.js'
import { makeEnvironment, makeFolder, smelt, steady } from '../support/smelt.js'
import { writeSafetensors } from '../support/write-safetensors.js'

const folder = makeFolder({
  'recipe.yaml': `smelt: 1
name: small
models: { a: a.safetensors, b: b.safetensors }
steps: { x: { op: merge.blend, a: a, b: b, layers: "x.weight" } }
outputs: { o: { from: x, path: o.safetensors, dtype: f16 } }
`,
})
const empty = makeFolder()

beforeAll(() => {
  const at = (name: string): string => join(folder.path, name)
  writeSafetensors(
    at('a.safetensors'),
    {
      'x.weight': { dtype: 'F32', shape: [2, 3], values: [1, 2, 3, NaN, -Infinity, 0] },
      'x.half': { dtype: 'BF16', shape: [4], values: [1, -1, 2, -2] },
      'x.count': { dtype: 'I64', shape: [], values: [7] },
    },
    { format: 'pt', 'evil\u001b[2J': 'a\nb\u001b]0;title\u0007', long: 'word '.repeat(100) },
  )
  writeSafetensors(at('b.safetensors'), {
    'x.weight': { dtype: 'F32', shape: [2, 3], values: 1 },
    'x.half': { dtype: 'BF16', shape: [4], values: 1 },
    'x.count': { dtype: 'I64', shape: [], values: [7] },
  })
})
afterAll(() => {
  folder.remove()
  empty.remove()
})

describe.concurrent('the command line', () => {
  it('suggests the command that was meant', async () => {
    expect(await smelt(empty.path, ['bild', 'r.yaml'])).toMatchObject({
      code: 2,
      stdout: '',
      stderr: 'error[command-line]: unknown command `bild`\nhelp: did you mean `build`?\n\n1 error\n',
    })
  })

  it('tells all that is wrong with the options at once, before it looks at the recipe', async () => {
    const done = await smelt(empty.path, [
      'build',
      'nowhere.yaml',
      '--workers',
      '0',
      '--device',
      'tpu',
      '--set',
      'keep',
      '--color',
    ])
    expect(done.code).toBe(2)
    expect(done.stderr.replace(/\u001b\[[\d;]*m/g, '').match(/^error\[[\w-]+\]/gm)).toEqual([
      'error[set-malformed]',
      'error[workers-out-of-range]',
      'error[device-unknown]',
    ])
    expect(done.stderr).toContain('\u001b[1;31merror')
  })

  it('prints its version', async () => {
    const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
      version: string
    }
    expect(await smelt(empty.path, ['--version'])).toEqual({
      code: 0,
      signal: null,
      stdout: `${version}\n`,
      stderr: '',
    })
  })

  it('does not mind a reader that goes away', () => {
    const main = fileURLToPath(new URL('../../dist/bin/smelt.js', import.meta.url))
    const { env, remove } = makeEnvironment()
    const done = spawnSync(
      'bash',
      ['-c', `set -o pipefail; "${process.execPath}" "${main}" plan recipe.yaml --format json | true`],
      { cwd: folder.path, encoding: 'utf8', env },
    )
    remove()
    expect(done).toMatchObject({ status: 0, stderr: '' })
  })
})

describe('what goes wrong', () => {
  it('says that its output was lost, and that it is worth trying again', () => {
    const main = fileURLToPath(new URL('../../dist/bin/smelt.js', import.meta.url))
    const done = spawnSync('bash', ['-c', `"${process.execPath}" "${main}" ops > /dev/full`], { encoding: 'utf8' })
    expect(done.status).toBe(75)
    expect(done.stderr).toContain('error[output-lost]: the output of this command could not be written: ENOSPC')
  })

  it('owns up to its own mistakes', () => {
    const screen = renderCrash(new Error('a port is missing'))
    expect(screen).toMatch(/^error\[bug\]: internal error: a port is missing\nhelp: please report it/)
    expect(screen).toContain('commands.test.ts')
    expect(renderCrash('odd')).toContain('internal error: odd\n')
  })

  it('explains what keeps a machine from building', () => {
    const machine = {
      smelt: '0.1.0',
      node: { version: '18.0.0', needed: '>=20', ok: false },
      platform: 'linux',
      cores: 1,
      memory: { total: 1e9, free: 5e8 },
      onnxruntime: { version: 'unknown', providers: [], problem: 'no such module' },
      kernels: { problem: 'no such file' },
      disk: undefined,
      cuda: undefined,
      webgpu: undefined,
    }
    expect(problemsOf(machine).map((d) => [d.code, d.message])).toEqual([
      ['runtime-broken', 'node does not work here: version 18.0.0 is older than >=20'],
      ['runtime-broken', 'onnxruntime does not work here: no such module'],
      ['runtime-broken', 'the WebAssembly module does not work here: no such file'],
    ])
    expect(renderMachine(machine, { color: false, width: 80 })).toBe(`smelt        0.1.0
node         18.0.0, needs >=20       problem
platform     linux
cores        1 core
memory       1.00 GB, 500 MB free
onnxruntime  unknown, providers none  problem
kernels      WebAssembly with SIMD    problem
this folder  unknown
`)
  })
})

describe.concurrent('smelt plan', () => {
  it('prints the plan to standard output', async () => {
    const done = await smelt(folder.path, ['plan', 'recipe.yaml', '--workers', '3'])
    expect(done).toMatchObject({ code: 0, stderr: '' })
    expect(
      steady(done.stdout, folder.path)
        .replace(/[\d.]+ k?B in 1 file/, 'SIZE in 1 file')
        .replace(/(write +)[\d.]+ k?B/, '$1SIZE'),
    ).toBe(`Plan of small, seed 0

Models
  a  a.safetensors  40 B  3 tensors  unknown architecture
  b  b.safetensors  40 B  3 tensors  unknown architecture

Steps, in order
  1  x  merge.blend  model
     uses a, b
     used by o
     never built before
     3 tensors: 1 merged

Outputs
  o  o.safetensors
     from x: 3 tensors; F16 2, I64 1; SIZE in 1 file

Work
  read          64 B
  hashing       16 B of input data that is read only to hash it for the lock
  write         SIZE
  compute       2 tensors with 2 programs
  device        cpu; auto: too little work to be worth starting CUDA (under 0.1 s on the CPU)
  time          about TIME
  peak memory   about MEMORY with 3 workers
  not computed  1 tensor, copied as they are; 16 B of the models not read
`)
  })

  it('prints it as JSON', async () => {
    const done = await smelt(folder.path, ['plan', 'recipe.yaml', '--format', 'json'])
    expect(JSON.parse(done.stdout)).toMatchObject({
      v: 1,
      name: 'small',
      outputs: [{ name: 'o', from: 'x', dtypes: { F16: 2, I64: 1 } }],
      work: { copied: 1, computed: 2, skippedBytes: 16 },
    })
  })
})

describe.concurrent('smelt inspect', () => {
  it('takes statistics of the tensors that patterns select', async () => {
    const done = await smelt(folder.path, ['inspect', 'a.safetensors', '**', '!x.count', '--stats', '--json'])
    const { tensors, dtypes } = JSON.parse(done.stdout) as {
      readonly tensors: readonly object[]
      readonly dtypes: object
    }
    expect(dtypes).toEqual({ F32: 1, BF16: 1, I64: 1 })
    expect(tensors).toEqual([
      {
        name: 'x.half',
        dtype: 'BF16',
        shape: [4],
        bytes: 8,
        statistics: {
          mean: 0,
          std: Math.sqrt(2.5),
          min: -2,
          max: 2,
          norm: Math.sqrt(10),
          nan: 0,
          infinite: 0,
          zeros: 0,
        },
      },
      {
        name: 'x.weight',
        dtype: 'F32',
        shape: [2, 3],
        bytes: 24,
        statistics: {
          mean: 1.5,
          std: Math.sqrt(1.25),
          min: 0,
          max: 3,
          norm: Math.sqrt(14),
          nan: 1,
          infinite: 1,
          zeros: 1,
        },
      },
    ])
  })

  it('shows what the file says of itself, and nothing in it drives the terminal', async () => {
    const done = await smelt(folder.path, ['inspect', 'a.safetensors', '--no-color'])
    expect(done).toMatchObject({ code: 0, stderr: '' })
    expect(done.stdout).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f]/)
    expect(done.stdout).toContain('  evil\\u{1b}[2J  a\\nb\\u{1b}]0;title\\u{7}\n')
    expect(done.stdout).toMatch(/word {2}…\s+\(500 characters\)\n/)
    expect(done.stdout).toContain(`
Tensors
  name      dtype  shape   size
  x.count   I64    scalar   8 B
  x.half    BF16   4        8 B
  x.weight  F32    2×3     24 B
`)
  })
})

describe.concurrent('smelt ops', () => {
  it('explains an operator by its short name too', async () => {
    const done = await smelt(empty.path, ['ops', 'ties'])
    expect(done).toMatchObject({ code: 0, stderr: '' })
    expect(done.stdout).toMatch(/^merge\.ties\n\n[^]*\nInputs\n[^]*\nParameters\n/)
  })

  it('suggests the operator that was meant', async () => {
    const done = await smelt(empty.path, ['ops', 'merge.tise'])
    expect(done).toMatchObject({ code: 2, stdout: '' })
    expect(done.stderr).toContain('help: did you mean `merge.ties`')
  })
})

describe('smelt init', () => {
  it('writes a recipe for the models it finds, which is sound and builds, and does not overwrite it', async () => {
    const place = makeFolder()
    const tensor = (dtype: 'F32' | 'F16', values: number) => ({ dtype, shape: [2], values })
    writeSafetensors(join(place.path, 'my model: v1.safetensors'), {
      w: { ...tensor('F32', 1) },
      more: tensor('F32', 1),
    })
    writeSafetensors(join(place.path, 'second.safetensors'), { w: tensor('F32', 3), more: tensor('F32', 3) })
    writeSafetensors(join(place.path, 'unlike.safetensors'), { other: { dtype: 'F32', shape: [100], values: 3 } })
    expect(await smelt(place.path, ['init'])).toMatchObject({ code: 0, stdout: 'recipe.yaml\n', stderr: '' })
    const text = readFileSync(join(place.path, 'recipe.yaml'), 'utf8')
    expect(text).toMatch(/^# yaml-language-server: \$schema=.*schema\/recipe\.schema\.json\n/)
    expect(text).toContain(
      '  my_model_v1: "my model: v1.safetensors"\n  second: second.safetensors\n  # unlike: unlike.safetensors\n',
    )
    expect(await smelt(place.path, ['check', 'recipe.yaml'])).toMatchObject({ code: 0, stderr: '' })
    expect(await smelt(place.path, ['build', 'recipe.yaml', '--quiet'])).toMatchObject({ code: 0, stderr: '' })
    const inspected = JSON.parse(
      (await smelt(place.path, ['inspect', 'build/merged.safetensors', '--stats', '--json'])).stdout,
    ) as { tensors: { statistics: { mean: number } }[] }
    expect(inspected.tensors.map((t) => t.statistics.mean)).toEqual([2, 2])
    const again = await smelt(place.path, ['init'])
    expect(again.code).toBe(1)
    expect(again.stderr).toContain('error[recipe-exists]')
    expect(readFileSync(join(place.path, 'recipe.yaml'), 'utf8')).toBe(text)
    place.remove()
  })

  it('writes a recipe that makes a folder of two folders, wherever they are', async () => {
    const place = makeFolder()
    for (const [name, value] of [
      ['models/org/Base-7B.v1', 1],
      ['models/org/tuned', 3],
      ['models/org/tuned/onnx', 9],
    ] as const) {
      mkdirSync(join(place.path, name), { recursive: true })
      writeSafetensors(join(place.path, name, 'model.safetensors'), { w: { dtype: 'F32', shape: [2], values: value } })
      place.write(`${name}/config.json`, '{"torch_dtype": "float32"}')
    }
    // A second copy of the tensors, as some repositories have.
    writeSafetensors(join(place.path, 'models/org/tuned/ema.safetensors'), {
      v: { dtype: 'F32', shape: [2], values: 3 },
    })
    expect(await smelt(place.path, ['init'])).toMatchObject({ code: 0, stdout: 'recipe.yaml\n', stderr: '' })
    const text = readFileSync(join(place.path, 'recipe.yaml'), 'utf8')
    expect(text).toContain('  Base-7B_v1: models/org/Base-7B.v1\n  tuned: models/org/tuned/model.safetensors\n')
    expect(text).not.toContain('onnx')
    expect(await smelt(place.path, ['build', 'recipe.yaml', '--quiet'])).toMatchObject({ code: 0, stderr: '' })
    expect(readdirSync(join(place.path, 'merged')).sort()).toEqual(['README.md', 'config.json', 'model.safetensors'])
    place.remove()
  })

  it('writes an example where there is no model, and says so', async () => {
    const done = await smelt(empty.path, ['init', 'new'])
    expect(done).toMatchObject({ code: 0, stdout: 'new/recipe.yaml\n' })
    expect(done.stderr).toContain('warning[no-models-here]')
    expect(readFileSync(join(empty.path, 'new/recipe.yaml'), 'utf8')).toContain('  first: first.safetensors\n')
    expect((await smelt(empty.path, ['init', 'no/such/place'])).stderr).toContain('error[folder-not-made]')
  })
})

describe('smelt doctor', () => {
  it('finds that this machine can build', async () => {
    const done = await smelt(empty.path, ['doctor', '--json'])
    expect(done.code).toBe(0)
    const machine = JSON.parse(done.stdout) as Record<string, unknown>
    expect(machine).toMatchObject({ v: 1, ok: true, node: { version: process.versions.node, ok: true }, kernels: {} })
    expect((machine['diagnostics'] as { severity: string }[]).filter((d) => d.severity === 'error')).toEqual([])
    expect(Object.keys(machine)).toEqual(expect.arrayContaining(['cuda', 'webgpu']))
    expect((machine['onnxruntime'] as { providers: string[] }).providers).toContain('cpu')
    expect((machine['disk'] as { free: number }).free).toBeGreaterThan(0)
  })
})

describe('options', () => {
  it.each([
    ['1', 1],
    ['64', 64],
    [undefined, 5],
  ])('take %s workers', (text, workers) => {
    expect(readWorkers(text, () => 5)).toMatchObject({ type: 'ok', value: workers })
  })

  it.each(['0', '65', '-1', '1.5', '2x', ''])('refuse %j workers', (text) => {
    expect(readWorkers(text, () => 5)).toMatchObject({
      type: 'failed',
      diagnostics: [{ code: 'workers-out-of-range', blame: 'usage' }],
    })
  })

  it('set a param to everything after the first =', () => {
    expect(readSet(['a=1', 'b=x=y', 'c=', 'a=2'])).toMatchObject({ value: { a: '2', b: 'x=y', c: '' } })
    expect(readSet(['=1', 'a'])).toMatchObject({
      type: 'failed',
      diagnostics: [{ code: 'set-malformed' }, { code: 'set-malformed' }],
    })
  })

  it('choose a device', () => {
    expect(['auto', 'cpu', 'cuda', 'webgpu', 'gpu'].map((d) => readDevice(d).type)).toEqual([
      'ok',
      'ok',
      'ok',
      'ok',
      'failed',
    ])
  })
})

describe('colour', () => {
  it.each([
    [{}, true, undefined, true],
    [{}, false, undefined, false],
    [{ TERM: 'dumb' }, true, undefined, false],
    [{ NO_COLOR: '1' }, true, undefined, false],
    [{ NO_COLOR: '' }, true, undefined, true],
    [{ FORCE_COLOR: '1' }, false, undefined, true],
    [{ FORCE_COLOR: '0' }, true, undefined, false],
    [{ NO_COLOR: '1', FORCE_COLOR: '1' }, true, undefined, false],
    [{ NO_COLOR: '1' }, false, true, true],
    [{ FORCE_COLOR: '1' }, true, false, false],
  ] as const)('with %j, terminal %s and choice %s is %s', (env, terminal, chosen, wanted) => {
    expect(wantsColor(env, terminal, chosen)).toBe(wanted)
  })
})
