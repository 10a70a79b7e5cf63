import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { commitRun } from '#src/cluster/commit.js'
import { readResult } from '#src/cluster/layout.js'
import { openStage, stageRoot, type Stage, type StageOptions } from '#src/cluster/stage.js'
import { partsIn } from '#src/cluster/run-state.js'
import { identityOf, readHeader } from '#src/safetensors/open.js'
import type { TensorInfo } from '#src/tensor/info.js'
import { inFolder } from '../support/build-run.js'
import { smelt } from '../support/smelt.js'
import { contentsOf, doPart, finish, laidOut, valueOf, writeProject } from './small-project.js'

const models = [
  { model: 'a', density: 0.3 },
  { model: 'b', density: 0.4 },
]
const RECIPE = {
  steps: { x: { op: 'merge.ties', base: 'base', models, scope: 'model' } },
  outputs: { x: { from: 'x', path: 'out.safetensors' } },
}

/** All tensors are copied, however small they are and however full the disk. */
const ALL = { least: 1, reserve: 0 }

/** A project, its run laid out, and a folder for copies. */
const begin = async (folder: string) => {
  const [one, disk] = [join(folder, 'one'), join(folder, 'disk')]
  mkdirSync(disk)
  const laid = await laidOut(writeProject(one, RECIPE), { parts: 2 })
  const stage = { folder: disk, ...ALL }
  const part = async (number: number) => valueOf(await doPart(laid.run, number, { stage }))
  return { one, disk, laid, part }
}
const copiesIn = (disk: string): readonly string[] =>
  (readdirSync(stageRoot(disk), { recursive: true }) as string[])
    .map((name) => join(stageRoot(disk), name))
    .filter((path) => statSync(path).isFile())
/** Builds the same in another folder, without copies, and compares. */
const expectSame = async (folder: string, one: string): Promise<void> => {
  const other = join(folder, 'other')
  expect((await finish(await laidOut(writeProject(other, RECIPE), { parts: 2 }))).type).toBe('ok')
  expect(contentsOf(one)).toEqual(contentsOf(other))
}

test('tasks copy what they read, later ones find it, and the files are the same', () =>
  inFolder(async (folder) => {
    const { one, disk, laid, part } = await begin(folder)
    const staged = []
    for (let n = 0; n < partsIn(laid.plan); n++) staged.push((await part(n)).staged)
    expect(staged[0]).toEqual({ copied: expect.any(Number) as number, found: 0 })
    expect(staged[0]!.copied).toBeGreaterThan(0)
    // The first part reads base, a and b whole: the thresholds are those of all their numbers.
    for (const later of staged.slice(1)) expect(later!.found).toBeGreaterThan(0)
    expect(copiesIn(disk).every((path) => /\/\d+-\d+\.(F32|I64)$/.test(path))).toBe(true)
    expect((await commitRun(laid.run)).type).toBe('ok')
    await expectSame(folder, one)
    // Another run reads the same inputs.
    const again = await laidOut(join(one, 'recipe.yaml'), { parts: 1 })
    const first = valueOf(await doPart(again.run, 0, { stage: { folder: disk, ...ALL } }))
    expect(first.staged).toMatchObject({ copied: 0 })
  }))

test('a copy that is not what was copied is removed, and its part is done from the inputs', () =>
  inFolder(async (folder) => {
    const { one, disk, laid, part } = await begin(folder)
    await part(0)
    const sizes = copiesIn(disk).length
    for (const path of copiesIn(disk)) {
      const bytes = readFileSync(path)
      bytes[3]! ^= 0x40
      writeFileSync(path, bytes)
    }
    const { staged } = await part(1)
    expect(staged).toEqual({ copied: 0, found: 0, problem: `copies in ${disk} no longer matched what was copied` })
    expect(copiesIn(disk).length).toBeLessThan(sizes)
    for (let n = 2; n < partsIn(laid.plan); n++) await part(n)
    expect((await commitRun(laid.run)).type).toBe('ok')
    await expectSame(folder, one)
  }))

test('a folder that is missing, or of others, is told of, and the inputs are read where they are', () =>
  inFolder(async (folder) => {
    const { disk, laid, part } = await begin(folder)
    mkdirSync(stageRoot(disk))
    chmodSync(stageRoot(disk), 0o777)
    expect((await part(0)).staged?.problem).toContain('others can write to it')
    rmSync(disk, { recursive: true })
    expect((await part(1)).staged).toEqual({ copied: 0, found: 0, problem: `there is no ${disk}` })
    expect(existsSync(disk)).toBe(false)
    expect(readResult(laid.run, 1).type).toBe('ok')
  }))

/** The tensors of the small project's models, and a stage of them. */
const stageOf = async (folder: string, options: StageOptions = {}) => {
  const path = join(folder, 'p/a.safetensors')
  if (!existsSync(path)) writeProject(join(folder, 'p'), RECIPE)
  const tensors = [...valueOf(await readHeader(path)).tensors.values()]
  const identity = identityOf(await stat(path, { bigint: true }))
  const open = (own: readonly TensorInfo[] = tensors): Promise<Stage> =>
    openStage(folder, own, new Map([[path, identity]]), { ...ALL, ...options })
  return { path, tensors, open, bytes: tensors.reduce((n, t) => n + t.end - t.begin, 0) }
}
const close = (stage: Stage): Stage => {
  stage.close()
  return stage
}

test('a disk that is almost full is left alone, and copies that nobody uses make room', () =>
  inFolder(async (folder) => {
    const { open, bytes } = await stageOf(folder)
    const root = stageRoot(folder)
    const old = [join(root, 'idle'), join(root, 'used')] as const
    mkdirSync(root, { mode: 0o700 })
    old.forEach((path) => mkdirSync(path))
    utimesSync(old[0], new Date(), new Date(Date.now() - 3_600_000))
    const full = close(await (await stageOf(folder, { reserve: 1 })).open())
    expect(full.staged).toEqual({ copied: 0, found: 0, problem: `${folder} is almost full` })
    expect(old.map((path) => existsSync(path))).toEqual([false, true])
    expect(close(await open()).staged).toEqual({ copied: bytes, found: 0 })
    utimesSync(old[1], new Date(), new Date(Date.now() - 90_000_000))
    expect(close(await open()).staged).toEqual({ copied: 0, found: bytes })
    expect(existsSync(old[1])).toBe(false)
  }))

test('room is not made of copies that the same task uses', () =>
  inFolder(async (folder) => {
    const { open, tensors } = await stageOf(folder)
    const known = tensors[0]!
    close(await open([known]))
    const [own] = readdirSync(stageRoot(folder))
    const hourAgo = new Date(Date.now() - 3_600_000)
    utimesSync(join(stageRoot(folder), own!), hourAgo, hourAgo)
    // The other file has no room, and the disk is as full as before when all that is idle is gone.
    const other = join(folder, 'p/b.safetensors')
    const more = valueOf(await readHeader(other)).tensors.values()
    const identities = new Map(
      await Promise.all(
        [known.file, other].map(async (path) => [path, identityOf(await stat(path, { bigint: true }))] as const),
      ),
    )
    const stage = close(await openStage(folder, [...more, known], identities, { ...ALL, reserve: 1 }))
    expect(stage.staged.problem).toBe(`${folder} is almost full`)
    expect(existsSync(join(stageRoot(folder), own!))).toBe(true)
  }))

test('of several tasks at once, one copies a tensor and the others wait, but not for one that is gone', () =>
  inFolder(async (folder) => {
    const { open, tensors, bytes } = await stageOf(folder)
    const stages = (await Promise.all([open(), open(), open()])).map(close)
    expect(stages.reduce((n, { staged }) => n + staged.copied, 0)).toBe(bytes)
    for (const { staged } of stages) expect(staged.copied + staged.found).toBe(bytes)
    // As if a task had been killed while it copied.
    const { file } = stages[0]!.copyOf(tensors[0]!)!
    rmSync(file)
    writeFileSync(`${file}.claim`, '')
    const impatient = await stageOf(folder, { patience: 300 })
    expect(close(await impatient.open()).staged.copied).toBe(tensors[0]!.end - tensors[0]!.begin)
    expect(copiesIn(folder)).toHaveLength(tensors.length)
  }))

test('small tensors, and those of a file that has changed since, are not copied', () =>
  inFolder(async (folder) => {
    const { open, path } = await stageOf(folder, { least: 1 << 20 })
    expect(close(await open()).staged).toEqual({ copied: 0, found: 0 })
    const changed = await stageOf(folder)
    utimesSync(path, 1, 1)
    const stage = close(await changed.open())
    expect(stage.staged).toEqual({ copied: 0, found: 0 })
    expect(changed.tensors.map(stage.copyOf).every((copy) => copy === undefined)).toBe(true)
  }))

test('`--stage` reaches the tasks, and what it came to is in the report', () =>
  inFolder(async (folder) => {
    writeProject(folder, RECIPE)
    const build = ['build', 'recipe.yaml', '--on', 'exec', '--parts', '1', '--stage', '$DISK/x', '--report', 'r.json']
    const { code, stderr } = await smelt(folder, build, { env: { DISK: folder, SMELT_CACHE: join(folder, 'cache') } })
    expect([code, stderr]).toEqual([0, expect.stringContaining('warning[stage-unused]')])
    expect(stderr).toContain(`without copies: there is no ${folder}/x`)
    const report = JSON.parse(readFileSync(join(folder, 'r.json'), 'utf8')) as {
      sections: readonly { rows: object[] }[]
    }
    expect(JSON.stringify(report.sections[2]?.rows)).toContain(`there is no ${folder}/x`)
    const relative = await smelt(folder, ['build', 'recipe.yaml', '--on', 'exec', '--stage', 'x'])
    expect([relative.code, relative.stderr]).toEqual([2, expect.stringContaining('stage-relative')])
  }))
