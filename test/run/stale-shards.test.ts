import { existsSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { build } from '#src/run/build.js'
import { openStore } from '#src/store/store.js'
import { inFolder } from '../support/build-run.js'
import { inlineWorker } from '../support/inline-worker.js'
import { writeSafetensors } from '../support/write-safetensors.js'

test('shards that a build with another size leaves behind are named', () =>
  inFolder(async (folder) => {
    const tensor = { dtype: 'F32', shape: [256], values: 1 } as const
    writeSafetensors(join(folder, 'a.safetensors'), { u: tensor, v: tensor, w: tensor })
    writeSafetensors(join(folder, 'b.safetensors'), { u: tensor, v: tensor, w: tensor })
    // Another model, whose name begins as this one does.
    writeSafetensors(join(folder, 'm-2-00001-of-00003.safetensors'), { u: tensor })
    const warnings = async (form: object): Promise<(readonly [string, string])[]> => {
      const recipe = {
        smelt: 1,
        models: { a: 'a.safetensors', b: 'b.safetensors' },
        steps: { s: { op: 'merge.blend', a: 'a', b: 'b' } },
        outputs: { m: { from: 's', path: 'm.safetensors', ...form } },
      }
      writeFileSync(join(folder, 'recipe.yaml'), JSON.stringify(recipe))
      const built = await build(join(folder, 'recipe.yaml'), {
        workers: 1,
        start: inlineWorker,
        store: openStore(join(folder, 'store')),
      })
      expect(built.type).toBe('ok')
      return built.diagnostics.filter((d) => d.code === 'shards-left').map((d) => [d.message, d.help!])
    }
    expect(await warnings({ shard_size: '1kB' })).toEqual([])
    expect(await warnings({ shard_size: '1kB' })).toEqual([])
    const three = [1, 2, 3].map((n) => `m-0000${n}-of-00003.safetensors`)
    const [[message, help]] = (await warnings({ shard_size: '2500B' })) as [[string, string]]
    for (const name of three) expect(message).toContain(name)
    expect(message).not.toContain('-of-00002')
    expect(help).toContain('delete them')
    for (const name of three) {
      expect(existsSync(join(folder, name))).toBe(true)
      rmSync(join(folder, name))
    }
    expect(await warnings({ shard_size: '2500B' })).toEqual([])
    expect((await warnings({}))[0]![0]).toContain('m.safetensors.index.json')
  }))
