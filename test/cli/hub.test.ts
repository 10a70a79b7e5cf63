import { existsSync, mkdirSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { commitOf, safetensorsBytes } from '../support/hub-cache.js'
import { startHub } from '../support/hub-server.js'
import { makeFolder, smelt } from '../support/smelt.js'

test('the command downloads with the settings of Hugging Face’s own tools', async () => {
  const folder = makeFolder({
    'recipe.yaml': `smelt: 1
models: { a: org/a }
steps: { s: { op: model.scale, model: a, factor: 2 } }
outputs: { o: { from: s, path: out/ } }
`,
  })
  const bytes = safetensorsBytes(join(folder.path, 'scratch'), { w: { dtype: 'F32', shape: [64], values: 1 } })
  const server = await startHub({
    'org/a': {
      commits: { [commitOf(1)]: { 'model.safetensors': bytes, 'config.json': '{}' } },
      refs: { main: commitOf(1) },
      tokens: ['hf_x'],
      access: 'gated',
    },
  })
  try {
    const env = { HF_HOME: join(folder.path, 'hf'), HF_ENDPOINT: server.endpoint, HF_HUB_CACHE: '', HF_HUB_OFFLINE: '' }
    mkdirSync(env.HF_HOME)
    const planned = await smelt(folder.path, ['plan', 'recipe.yaml'], { env: { ...env, HF_TOKEN: 'hf_x' } })
    expect(planned.code).toBe(0)
    expect(planned.stdout).toMatch(/download +\d+ B into the Hugging Face cache/)
    const looked = await smelt(folder.path, ['inspect', 'org/a', '--json'], { env: { ...env, HF_TOKEN: 'hf_x' } })
    expect(JSON.parse(looked.stdout)).toMatchObject({ tensors: [{ name: 'w', shape: [64] }] })
    expect(existsSync(join(env.HF_HOME, 'hub'))).toBe(false)
    const refused = await smelt(folder.path, ['plan', 'recipe.yaml'], { env: { ...env, HF_TOKEN: '' } })
    expect(refused.code).toBe(1)
    expect(refused.stderr).toContain('error[hub-gated]')
    const built = await smelt(folder.path, ['build', 'recipe.yaml', '--json'], { env: { ...env, HF_TOKEN: 'hf_x' } })
    expect(built.code).toBe(0)
    expect(built.stdout).toContain('"type":"download-finished"')
    expect(readdirSync(join(folder.path, 'out')).sort()).toEqual(['README.md', 'config.json', 'model.safetensors'])
    const offline = { ...env, HF_HUB_OFFLINE: '1' }
    expect((await smelt(folder.path, ['diff', 'org/a', 'out'], { env: offline })).stdout).toMatch(
      /^ *w +64 +1 +1 +100%/m,
    )
    expect((await smelt(folder.path, ['verify', 'recipe.yaml'], { env: offline })).code).toBe(0)
    expect((await smelt(folder.path, ['build', 'recipe.yaml', '--frozen'], { env: offline })).code).toBe(0)
  } finally {
    await server.close()
    folder.remove()
  }
})
