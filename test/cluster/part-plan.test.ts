import { readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { placesOf, readResult, type RunPart } from '#src/cluster/layout.js'
import { readParts, writeParts } from '#src/cluster/part-files.js'
import { partsIn } from '#src/cluster/run-state.js'
import { inFolder } from '../support/build-run.js'
import { doPart, finish, laidOut, valueOf, writeProject } from './small-project.js'

const outputOf = (step: object): object => ({
  steps: { x: step },
  outputs: { x: { from: 'x', path: 'out.safetensors' } },
})
const BLEND = outputOf({ op: 'merge.blend', a: 'a', b: 'b', keep: 0.25 })
const TIES = { op: 'merge.ties', base: 'base', models: [{ model: 'a', density: 0.3 }, 'b'] }

test.each([
  ['one by one', BLEND, ['tensors planned', 'tensors planned']],
  [
    'of which a measure comes first',
    outputOf({ ...TIES, scope: 'model' }),
    ['measures planned', 'tensors by itself', 'tensors by itself'],
  ],
  [
    'that functions of operators compute',
    outputOf({ op: 'merge.karcher', models: ['a', 'b', 'c'] }),
    ['tensors by itself', 'tensors by itself'],
  ],
] as const)('tensors %s: which tasks plan by themselves', (_, recipe, expected) =>
  inFolder(async (folder) => {
    const { run, plan } = await laidOut(writeProject(folder, recipe), { parts: 2 })
    const parts = valueOf(readParts(run, partsIn(plan)))
    const who = parts.map(({ type, work }) => `${type} ${work === undefined ? 'by itself' : 'planned'}`)
    expect([...new Set(who)]).toEqual([...new Set(expected)])
  }),
)

test('a task gives what it would if it planned by itself', () =>
  inFolder(async (folder) => {
    const contents = async (name: string, change: (run: string, count: number) => void) => {
      const { run, plan } = await laidOut(writeProject(join(folder, name), outputOf(TIES)), { parts: 3 })
      const count = partsIn(plan)
      change(run, count)
      valueOf(await finish({ run, plan, isResumed: false, drafted: (await laidOut(plan.recipe)).drafted }))
      return Array.from({ length: count }, (_, part) => {
        const { written, read, readBytes, writtenBytes } = valueOf(readResult(run, part))!
        const digests = [...written, ...read].map(({ tensor, digest }) => `${tensor} ${digest}`)
        return { digests, readBytes, writtenBytes }
      })
    }
    const bare = ({ number, stage, type, bytes, jobs, measures, reports, reads }: RunPart): RunPart => ({
      ...{ number, stage, type, bytes, jobs, measures, reports, reads },
    })
    const forget = (run: string, count: number): void => writeParts(run, valueOf(readParts(run, count)).map(bare))
    expect(await contents('planned', () => undefined)).toEqual(await contents('by itself', forget))
  }))

test('a plan that has changed since the run was laid out is refused, and so is an input', () =>
  inFolder(async (folder) => {
    const { run } = await laidOut(writeProject(folder, BLEND), { parts: 2 })
    const { work } = placesOf(run)
    const bytes = readFileSync(work)
    const changed = Buffer.from(bytes)
    changed[changed.length >> 2]! ^= 1
    writeFileSync(work, changed)
    const codes = async (): Promise<readonly string[]> => (await doPart(run, 0)).diagnostics.map(({ code }) => code)
    expect(await codes()).toEqual(['run-altered'])
    writeFileSync(work, bytes.subarray(0, 100))
    expect(await codes()).toEqual(['run-altered'])
    writeFileSync(work, bytes)
    utimesSync(join(folder, 'a.safetensors'), 1, 1)
    expect(await codes()).toEqual(['run-input-differs'])
    rmSync(join(folder, 'a.safetensors'))
    expect(await codes()).toEqual(['run-input-unseen'])
  }))
