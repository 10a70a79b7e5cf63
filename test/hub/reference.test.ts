import { describe, expect, test } from 'vitest'
import { isRepository, labelOf, shortReference, staysInside } from '#src/hub/reference.js'

describe('a short path', () => {
  test.each([
    ['mistralai/Mistral-7B-v0.1', 'mistralai/Mistral-7B-v0.1', undefined],
    ['org/name@v1.0', 'org/name', 'v1.0'],
    ['org/name@refs/pr/3', 'org/name', 'refs/pr/3'],
    ['Org_1/na.me-2', 'Org_1/na.me-2', undefined],
  ])('%s names a repository', (text, repository, revision) => {
    expect(shortReference(text)).toEqual({ repository, revision, files: undefined })
  })

  test.each([
    'model',
    'model.safetensors',
    'models/model.safetensors',
    'models/a.CKPT',
    'a/b/c',
    './org/name',
    '../name',
    '~/name',
    '/org/name',
    'org/',
    'org/name/',
    'org/na--me',
    'org/name@',
    'org/name@../x',
    'org/name@a@b',
    'org\\name',
    'C:/name',
    'org/.name',
  ])('%s is a path and nothing else', (text) => {
    expect(shortReference(text)).toBeUndefined()
  })
})

test('a repository has one or two parts of letters, digits, dots, dashes and underscores', () => {
  for (const name of ['gpt2', 'org/name', 'a/b.c']) expect(isRepository(name)).toBe(true)
  for (const name of ['', '/', 'a/b/c', '-a/b', 'a/b.', 'a b/c', 'https://x/y', 'a/..', `a/${'b'.repeat(97)}`])
    expect(isRepository(name)).toBe(false)
})

test('a revision or a path inside a repository does not lead out of it', () => {
  for (const path of ['main', 'refs/pr/1', 'unet/', 'a/b.safetensors']) expect(staysInside(path)).toBe(true)
  for (const path of ['', '/', '..', 'a/../b', 'a//b', './a', '/a', 'a\\b', 'C:a', 'a\0'])
    expect(staysInside(path)).toBe(false)
})

test('labels of different references differ', () => {
  const all = [
    { repository: 'a/b', revision: undefined, files: undefined },
    { repository: 'a/b', revision: 'c', files: undefined },
    { repository: 'a/b', revision: undefined, files: 'c' },
    { repository: 'a/b', revision: 'c/d', files: 'e' },
    { repository: 'a/b', revision: 'c', files: 'd/e' },
  ]
  expect(new Set(all.map(labelOf)).size).toBe(all.length)
  expect(labelOf(all[3]!)).toBe('hub:a/b@c/d:e')
})
