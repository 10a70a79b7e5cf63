import { join } from 'node:path'
import { expect, test } from 'vitest'
import { accessFrom } from '#src/hub/access.js'

const cacheOf = (env: Readonly<Record<string, string>>): string => accessFrom(env, '/users/me').cache

test('the cache is where Hugging Face’s own tools look for it', () => {
  expect(cacheOf({})).toBe(join('/users/me', '.cache', 'huggingface', 'hub'))
  expect(cacheOf({ XDG_CACHE_HOME: '/caches' })).toBe(join('/caches', 'huggingface', 'hub'))
  expect(cacheOf({ HF_HOME: '/hf' })).toBe(join('/hf', 'hub'))
  expect(cacheOf({ HF_HOME: '~/hf' })).toBe(join('/users/me', 'hf', 'hub'))
  expect(cacheOf({ HF_HOME: '/hf', HF_HUB_CACHE: '/models' })).toBe('/models')
  expect(cacheOf({ HF_HUB_CACHE: '' })).toBe(join('/users/me', '.cache', 'huggingface', 'hub'))
})

test('a token is the one of the environment, or stands in the file that logging in writes', () => {
  expect(accessFrom({ HF_TOKEN: ' hf_x\n' }, '/users/me').token).toEqual({ text: 'hf_x' })
  expect(accessFrom({ HF_HOME: '/hf' }, '/users/me').token).toEqual({ file: join('/hf', 'token') })
  expect(accessFrom({ HF_TOKEN_PATH: '/t' }, '/users/me').token).toEqual({ file: '/t' })
})

test('the hub has the address of HF_ENDPOINT, and is left alone where the environment says so', () => {
  expect(accessFrom({ HF_ENDPOINT: 'http://mirror/' }, '')).toMatchObject({ endpoint: 'http://mirror', offline: false })
  for (const yes of ['1', 'true', 'YES', 'on']) expect(accessFrom({ HF_HUB_OFFLINE: yes }, '').offline).toBe(true)
  for (const no of ['0', '', 'no']) expect(accessFrom({ HF_HUB_OFFLINE: no }, '').offline).toBe(false)
})
