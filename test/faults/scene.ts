import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { layoutFile } from '#src/safetensors/layout.js'
import { makeRandom } from '../safetensors/files.js'
import { command, eventsOf, type Ended, type Start } from './command.js'
import { judge, type Files, type Verdict } from './judge.js'
import { cleanup, times } from './machine.js'

/** Files that a build wrote, by name: outputs below `out/`, and the lock. */
export interface Golden {
  readonly old: Files
  readonly new: Files
}

/** Models, a recipe over them, and what an undisturbed build makes of it. */
export interface Scene {
  readonly folder: string
  /** Milliseconds from the first event of an undisturbed build's run to its end. */
  readonly runTime: number
  readonly outputBytes: number
  readonly golden: Golden
  /** A folder of its own with the recipe, in the scene's folder or in another. */
  stage(parent?: string): Stage
}

/** One folder in which builds are disturbed. */
export interface Stage {
  readonly folder: string
  /** Every file below the folder that smelt made, by path relative to it. */
  files(): readonly string[]
  build(start?: Partial<Start> & { readonly args?: readonly string[] }): Promise<Ended>
  /** Puts outputs of another build there, or none; nothing else stays. */
  reset(to: 'old' | 'new' | 'none', options?: { readonly lock?: boolean }): void
  judge(): Verdict
  /** What is there besides outputs, lock and store: temporaries, journals, claims. */
  leftovers(): readonly string[]
}

const MODELS = ['a', 'b', 'c'] as const

const recipeOf = (shardBytes: number | undefined): string => `smelt: 1
params: { drop: 0.5 }
models: { a: a.safetensors, b: b.safetensors, c: c.safetensors }
steps:
  ties: { op: merge.ties, base: a, models: [{ model: b, density: 0.3 }, { model: c, density: 0.6 }] }
  dare: { op: merge.dare, a: ties, b: c, drop: $drop }
outputs:
  merged: { from: dare, path: out/merged.safetensors${shardBytes === undefined ? '' : `, shard_size: ${shardBytes}`} }
`

/** The lock's name beside the recipe. */
export const LOCK = 'recipe.lock.json'

/** Writes a checkpoint of random F16 numbers. */
const writeModel = (path: string, seed: number, tensors: number, elements: number): void => {
  const outlines = Array.from(
    { length: tensors },
    (_, i) => ({ name: `layers.${i}.weight`, dtype: 'F16', shape: [elements / 512, 512] }) as const,
  )
  const layout = layoutFile(outlines, {})
  const bytes = new Uint8Array(layout.bytes)
  bytes.set(layout.header)
  const values = new Uint16Array(elements)
  const random = makeRandom(seed)
  for (const { begin, end } of layout.offsets.values()) {
    // Any sign and mantissa, and exponents that keep sums of them finite.
    for (let i = 0; i < elements; i++) values[i] = 0x3000 + (Math.floor(random() * 0x10000) & 0x8fff)
    bytes.set(new Uint8Array(values.buffer, 0, end - begin), begin)
  }
  writeFileSync(path, bytes)
}

/** What smelt left below a folder, by path relative to it. */
const readFiles = (folder: string): Files =>
  new Map(
    (readdirSync(folder, { recursive: true }) as string[])
      .filter((name) => statSync(join(folder, name)).isFile() && (name.startsWith('out/') || name === LOCK))
      .map((name) => [name, readFileSync(join(folder, name))]),
  )

/**
 * Makes models and builds two recipes over them that differ in one number: what is to be built, and what stands there
 * from earlier.
 */
export const makeScene = async ({
  sharded = false,
  shards = 4.5,
  tensors = 32,
  elements = times(1 << 15, 1 << 18),
} = {}): Promise<Scene> => {
  const recipe = recipeOf(sharded ? Math.ceil((tensors * elements * 2) / shards) : undefined)
  const folder = mkdtempSync(join(tmpdir(), 'smelt-faults-'))
  cleanup.add(() => rmSync(folder, { recursive: true, force: true }))
  for (const [i, name] of MODELS.entries()) writeModel(join(folder, `${name}.safetensors`), 17 + i, tensors, elements)
  const inputs = [...MODELS.map((name) => `${name}.safetensors`), 'recipe.yaml', 'cache']

  const stage = (parent = folder): Stage => {
    const place = mkdtempSync(join(parent, 'stage-'))
    for (const name of MODELS) symlinkSync(join(folder, `${name}.safetensors`), join(place, `${name}.safetensors`))
    writeFileSync(join(place, 'recipe.yaml'), recipe)
    const files = (): readonly string[] =>
      (readdirSync(place, { recursive: true }) as string[]).filter(
        (name) =>
          !inputs.includes(name.split('/')[0]!) &&
          statSync(join(place, name), { throwIfNoEntry: false })?.isDirectory() === false,
      )
    const reset: Stage['reset'] = (to, { lock = false } = {}) => {
      for (const name of readdirSync(place))
        if (!inputs.includes(name) || name === 'cache') rmSync(join(place, name), { recursive: true, force: true })
      if (to === 'none') return
      mkdirSync(join(place, 'out'))
      const source = join(folder, `golden-${to}`)
      for (const name of golden[to].keys())
        if (lock || name !== LOCK) copyFileSync(join(source, name), join(place, name))
    }
    return {
      folder: place,
      files,
      build: ({ args = [], env = {}, ...start } = {}) =>
        command(['build', 'recipe.yaml', '--json', '--workers', '2', ...args], {
          cwd: place,
          env: { SMELT_CACHE: join(place, 'cache'), ...env },
          ...start,
        }),
      reset,
      judge: () => judge(readFiles(place), golden),
      leftovers: () => files().filter((name) => !golden.new.has(name) && name !== LOCK),
    }
  }

  const build = async (
    name: string,
    ...args: readonly string[]
  ): Promise<{ readonly files: Files; readonly ended: Ended }> => {
    const place = join(folder, name)
    mkdirSync(place)
    for (const model of MODELS) symlinkSync(join(folder, `${model}.safetensors`), join(place, `${model}.safetensors`))
    writeFileSync(join(place, 'recipe.yaml'), recipe)
    const ended = await command(['build', 'recipe.yaml', '--json', '--workers', '2', ...args], {
      cwd: place,
      env: { SMELT_CACHE: join(place, 'cache') },
    })
    if (ended.code !== 0) throw new Error(`an undisturbed build failed: ${ended.stdout}${ended.stderr}`)
    return { files: readFiles(place), ended }
  }
  const before = await build('golden-old', '--set', 'drop=0.25')
  const after = await build('golden-new')
  const golden: Golden = { old: before.files, new: after.files }
  const finished = eventsOf(after.ended).find((e) => e.type === 'run-finished')
  return {
    folder,
    runTime: (finished?.['seconds'] as number) * 1000,
    outputBytes: [...golden.new].filter(([name]) => name !== LOCK).reduce((n, [, bytes]) => n + bytes.length, 0),
    golden,
    stage,
  }
}
