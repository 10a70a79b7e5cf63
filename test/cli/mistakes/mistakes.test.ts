import { appendFileSync, cpSync, mkdirSync, readdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { readTable } from '../../architectures/tables.js'
import { makeFolder } from '../../support/smelt.js'
import { runHere } from '../../support/run-here.js'
import { op, pickle, stateDict } from '../../support/pickle-writer.js'
import { writeCheckpoint } from '../../support/zip-writer.js'
import { writeHollow, writeSafetensors } from '../../support/write-safetensors.js'

const HERE = import.meta.dirname
const folder = makeFolder()
const at = (name: string): string => join(folder.path, name)

/** Command lines with a mistake in them; every recipe beside this file is one more, read by `smelt check`. */
const COMMANDS: Readonly<Record<string, readonly string[]>> = {
  'command-misspelt': ['bild', 'sound.yaml'],
  'command-forgotten': ['sound.yaml'],
  'command-merge': ['merge', 'sound.yaml'],
  'command-merge-misspelt': ['mrege'],
  'command-without-a-recipe': ['build'],
  'option-misspelt': ['build', 'sound.yaml', '--worker', '2'],
  'option-dry-run-of-build': ['build', 'sound.yaml', '--dry-run'],
  'option-report-of-diff': ['diff', 'anime.safetensors', 'photo.safetensors', '--report', 'diff.html'],
  'option-set-with-a-space': ['build', 'sound.yaml', '--set', 'keep', '0.7'],
  'option-set-with-spaces': ['plan', '--set', 'keep', '=', '0.7', 'sound.yaml'],
  'option-set-without-a-value': ['build', 'sound.yaml', '--set', 'keep'],
  'option-set-of-an-unknown-param': ['build', 'sound.yaml', '--set', 'kep=0.3'],
  'option-set-in-percent': ['build', 'sound.yaml', '--set', 'keep=30%'],
  'option-set-with-a-comma': ['plan', 'sound.yaml', '--set', 'keep=0,3'],
  'option-device-gpu': ['build', 'sound.yaml', '--device', 'gpu'],
  'option-workers-many': ['build', 'sound.yaml', '--workers', 'all'],
  'option-alpha-of-blend': [
    'blend',
    'anime.safetensors',
    'photo.safetensors',
    '-o',
    'out.safetensors',
    '--alpha',
    '0.3',
  ],
  'option-ckpt-of-blend': ['blend', 'anime.safetensors', 'photo.safetensors', '-o', 'out.ckpt'],
  'blend-of-one-file': ['blend', 'anime.safetensors', '-o', 'out.safetensors'],
  'option-shard-size-without-a-unit': [
    'blend',
    'anime.safetensors',
    'photo.safetensors',
    '-o',
    'out.safetensors',
    '--shard-size',
    '5',
  ],
  'option-output-of-a-long-name': [
    'blend',
    'anime.safetensors',
    'photo.safetensors',
    '-o',
    `${'n'.repeat(260)}.safetensors`,
  ],
  'recipe-misspelt': ['build', 'sond.yaml'],
  'recipe-without-ending': ['build', 'sound'],
  'model-for-a-recipe': ['build', 'anime.safetensors'],
  'recipe-for-a-model': ['inspect', 'sound.yaml'],
  'operator-misspelt': ['ops', 'merge.blnd'],
  'operator-of-other-programs': [
    'run',
    'merge.slerp',
    'anime.safetensors',
    'photo.safetensors',
    '-o',
    'out.safetensors',
  ],
  'operator-of-other-programs-misspelt': ['ops', 'weigted_sum'],
  'verify-before-a-build': ['verify', 'sound.yaml'],
  'frozen-before-a-build': ['build', 'sound.yaml', '--frozen', '--workers', '1'],
  'why-of-an-unknown-step': ['why', 'sound.yaml', 'blend'],
  'repair-of-what-is-missing': ['repair', 'short.safetensors'],
  'repair-of-a-checkpoint': ['repair', 'old.ckpt'],
  'repair-into-a-checkpoint': ['repair', 'behind.safetensors', '--out', 'whole.ckpt'],
  'repair-into-a-file-that-is-there': ['repair', 'behind.safetensors', '--out', 'photo.safetensors'],
  'convert-of-what-is-safetensors': ['convert', 'anime.safetensors'],
  'convert-of-an-old-checkpoint': ['convert', 'old.ckpt'],
  'convert-of-an-attack': ['convert', 'attack.ckpt'],
  'convert-of-a-module': ['convert', 'module.pt'],
  'convert-of-several-models': ['convert', 'several.pt'],
  'convert-into-a-checkpoint': ['convert', 'several.pt', '-o', 'model.ckpt'],
  'convert-over-a-file': ['convert', 'several.pt', '--key', 'params', '-o', 'photo.safetensors'],
  'convert-by-a-wrong-key': ['convert', 'several.pt', '--key', 'model'],
  'views-in-a-command': ['inspect', 'transposed.pt'],
}

const recipes = readdirSync(join(HERE, 'recipes')).map((file) => basename(file, '.yaml'))
const cases: Readonly<Record<string, readonly string[]>> = {
  ...Object.fromEntries(recipes.filter((name) => name !== 'sound').map((name) => [name, ['check', `${name}.yaml`]])),
  ...COMMANDS,
}

const writePytorchFiles = (): void => {
  const w = { key: '0', storage: 'FloatStorage', length: 6, shape: [2, 3] }
  const write = (name: string, value: Buffer): void =>
    writeFileSync(at(name), writeCheckpoint(pickle(value), { 0: Buffer.alloc(24) }))
  write('attack.ckpt', op.reduce(op.global('posix.system'), op.tuple(op.text('true'))))
  write('module.pt', op.newobj(op.global('diffusers.models.unet.UNet'), op.tuple()))
  write('several.pt', op.dict([op.text('params'), stateDict({ w })], [op.text('params_ema'), stateDict({ w })]))
  write('transposed.pt', stateDict({ 'x.weight': { ...w, shape: [3, 2], strides: [1, 3] } }))
}

beforeAll(() => {
  cpSync(join(HERE, 'recipes'), folder.path, { recursive: true })
  const tensors = {
    'x.weight': { dtype: 'F32', shape: [2, 2], values: 1 },
    'x.attn2.weight': { dtype: 'F32', shape: [2, 2], values: 1 },
  } as const
  for (const name of ['base', 'anime', 'photo', 'behind', 'short', 'models/anime', 'metadata']) {
    if (name.includes('/')) mkdirSync(at('models'))
    writeSafetensors(at(`${name}.safetensors`), tensors, name === 'metadata' ? { epoch: '1234567' } : {})
  }
  appendFileSync(at('behind.safetensors'), 'appended')
  truncateSync(at('short.safetensors'), readFileSync(at('short.safetensors')).length - 4)
  writeFileSync(
    at('metadata.safetensors'),
    readFileSync(at('metadata.safetensors'), 'latin1').replace('"1234567"', '123456789'),
    'latin1',
  )
  writeFileSync(at('old.ckpt'), Buffer.from('80027d71002e', 'hex'))
  writePytorchFiles()
  writeFileSync(at('page.safetensors'), '<!doctype html><html><body>Sign in to download</body></html>')
  mkdirSync(at('project'))
  cpSync(at('sound.yaml'), at('project/recipe.yaml'))
  mkdirSync(at('twice'))
  for (const name of ['old', 'new']) writeSafetensors(at(`twice/${name}.safetensors`), tensors)
  mkdirSync(at('stale'))
  for (const of of [1, 2])
    for (let i = 1; i <= of; i++)
      writeSafetensors(at(`stale/model-0000${i}-of-0000${of}.safetensors`), { [`x.${i}`]: tensors['x.weight'] })
  writeFileSync(
    at('stale/model.safetensors.index.json'),
    JSON.stringify({ metadata: {}, weight_map: { 'x.1': 'model-00001-of-00001.safetensors' } }),
  )
  mkdirSync(at('shards'))
  for (const i of [1, 2, 3])
    writeSafetensors(at(`shards/model-0000${i}-of-00003.safetensors`), {
      [`x.${i}`]: { dtype: 'F32', shape: [2], values: i },
    })
  writeHollow(
    at('sd15.safetensors'),
    Object.fromEntries([...readTable('sd15')].map(([name, { shape }]) => [name, { dtype: 'F16', shape }])),
  )
})
afterAll(() => folder.remove())

it.each(Object.entries(cases))('%s is answered so that a new user knows what to change', async (name, command) => {
  const { screen, code } = await runHere(folder.path, command)
  expect(code, screen).not.toBe(0)
  expect(code, screen).toBeLessThan(70)
  await expect(`$ smelt ${command.join(' ')}\n${screen.trimEnd()}\n[exit code ${code}]\n`).toMatchFileSnapshot(
    join(HERE, 'screens', `${name}.txt`),
  )
})

it.each(['build', 'plan', 'check'])('%s without a recipe names the one that is there', async (command) => {
  const { screen, code } = await runHere(at('project'), [command])
  expect(code).toBe(2)
  expect(screen).toContain(`pass recipe.yaml, which is in this folder: \`smelt ${command} recipe.yaml\``)
})

it('a comment alone is an empty recipe, too', async () => {
  writeFileSync(at('project/comment.yaml'), '# smelt: 1\n')
  const { screen } = await runHere(at('project'), ['check', 'comment.yaml'])
  expect(screen).toContain('the recipe is empty')
})

it('the recipe that the mistakes are made in is sound', async () => {
  expect(await runHere(folder.path, ['check', 'sound.yaml'])).toMatchObject({ code: 0 })
})
