import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, describe, expect, it, test } from 'vitest'
import { clusterSchema } from '#src/cluster/cluster-schema.js'
import { findClusterFile, loadClusterFile, readClusterFile } from '#src/cluster/cluster-file.js'
import { makeFolder } from '../support/smelt.js'

const folder = makeFolder()
afterAll(folder.remove)

const read = (text: string) => {
  folder.write('file.yaml', text)
  return readClusterFile(join(folder.path, 'file.yaml'))
}

describe('a cluster file', () => {
  test('says what Slurm, commands and Kubernetes get', async () => {
    expect(
      await read(
        `slurm: { partition: gpu, time: 2:00:00, memory: 32G, cpus: 8, gres: 'gpu:1', extra: [--qos=low], at_most: 9 }
exec: { command: 'ssh {host} -- {smelt} work --run {run} --part {part}', hosts: [a, b] }
kubernetes: { image: registry/smelt, claim: models, mount: /models, memory: 16Gi }
`,
      ),
    ).toMatchObject({
      type: 'ok',
      value: {
        slurm: {
          partition: 'gpu',
          time: '2:00:00',
          memory: '32G',
          cpus: 8,
          gres: 'gpu:1',
          extra: ['--qos=low'],
          at_most: 9,
        },
        exec: { hosts: ['a', 'b'] },
        kubernetes: { mount: '/models' },
      },
    })
  })

  test('says times in minutes and memory in megabytes as numbers', async () => {
    expect(await read('slurm: { time: 90, memory: 4000 }')).toMatchObject({
      value: { slurm: { time: '90', memory: '4000' } },
    })
  })

  it.each(['', '# nothing\n', '{}'])('of %j asks for nothing', async (text) => {
    expect(await read(text)).toMatchObject({ type: 'ok', value: { slurm: {}, exec: {}, kubernetes: {} } })
  })

  it.each([
    ['slrum: {}', 'unknown-key', 'slrum'],
    ['slurm: { partion: gpu }', 'unknown-key', 'partion'],
    ['slurm: { cpus: 0 }', 'out-of-range', '0'],
    ['slurm: { time: soon }', 'no-such-form', 'soon'],
    ['slurm: { extra: [qos=low] }', 'wrong-pattern', 'qos=low'],
    ['exec: { hosts: a }', 'wrong-type', 'a'],
    ['kubernetes: { mount: models }', 'wrong-pattern', 'models'],
    ['kubernetes: { claim: My_Models }', 'wrong-pattern', 'My_Models'],
    ['kubernetes: { namespace: a.b }', 'wrong-pattern', 'a.b'],
    ["kubernetes: { memory: '16' }", 'wrong-pattern', "'16'"],
    ['slurm: { stage: scratch }', 'wrong-pattern', 'scratch'],
  ])('%s is wrong in its place', async (text, code, part) => {
    const { diagnostics } = await read(text)
    const [{ at, code: found } = { at: undefined, code: undefined }] = diagnostics
    expect([found, at?.type === 'text' ? text.slice(at.range.start, at.range.end) : at]).toEqual([code, part])
  })
})

describe('the cluster file', () => {
  test('of a recipe is beside it, or in the nearest folder above', async () => {
    mkdirSync(join(folder.path, 'a/b'), { recursive: true })
    const recipe = join(folder.path, 'a/b/recipe.yaml')
    writeFileSync(join(folder.path, 'smelt.cluster.yaml'), 'slurm: { cpus: 1 }')
    expect(await findClusterFile(recipe)).toBe(join(folder.path, 'smelt.cluster.yaml'))
    writeFileSync(join(folder.path, 'a/smelt.cluster.yaml'), 'slurm: { cpus: 2 }')
    expect(await loadClusterFile(recipe, undefined)).toMatchObject({ value: { slurm: { cpus: 2 } } })
  })

  test('that `--cluster` names is read in place of it, and has to be there', async () => {
    folder.write('other.yaml', 'slurm: { cpus: 3 }')
    const recipe = join(folder.path, 'recipe.yaml')
    expect(await loadClusterFile(recipe, join(folder.path, 'other.yaml'))).toMatchObject({
      value: { slurm: { cpus: 3 } },
    })
    expect((await loadClusterFile(recipe, join(folder.path, 'gone.yaml'))).diagnostics[0]?.code).toBe(
      'cluster-file-missing',
    )
  })
})

test('editors explain every key of the schema', () => {
  const { properties = {} } = clusterSchema({ editor: true })
  for (const block of Object.values(properties)) {
    expect(block.description).toBeTruthy()
    for (const [key, { description }] of Object.entries(block.properties ?? {}))
      expect([key, description]).toEqual([key, expect.any(String)])
  }
})
