import { homedir } from 'node:os'
import { join, resolve } from 'node:path'
import { describe, expect, test } from 'vitest'
import { resolvePath } from '#src/base/resolve-path.js'
import { checkOutputPath } from '#src/recipe/output-path.js'

const check = (path: string, kind: 'model' | 'mask' | 'report' = 'model', sharded = false) =>
  checkOutputPath({ name: 'merged', path, at: { type: 'option', name: 'path' }, sharded }, kind)

describe.skipIf(process.platform === 'win32')('the path of an output', () => {
  test.each([
    'merged.safetensors',
    'a/b.SAFETENSORS',
    './x.sft',
    '../x.safetensors',
    '/abs/x.safetensors',
    '~/x.safetensors',
    './~/x.safetensors',
    'v1.0.safetensors',
  ])('may be %s', (path) => {
    expect([check(path), check(path, 'mask'), check(path, 'model', true)]).toEqual([undefined, undefined, undefined])
  })

  test('contains no null character', () => {
    expect([check('a\0.safetensors')?.code, check('a\0.html', 'report')?.code]).toEqual([
      'null-in-path',
      'null-in-path',
    ])
  })

  test.each([
    ['merged', 'merged.safetensors'],
    ['sdxl-v1.0', 'sdxl-v1.0.safetensors'],
    ['merged.ckpt', 'merged.safetensors'],
    ['merged.pt', 'merged.safetensors'],
    ['merged.png', 'merged.safetensors'],
    ['a/merged.bin', 'a/merged.safetensors'],
    ['merged.safetensor', 'merged.safetensors'],
    ['m.safetensors.ckpt', 'm.safetensors'],
    ['m.safetensors.index.json', 'm.safetensors'],
    ['~/m.gguf', '~/m.safetensors'],
    ['m.st', 'm.safetensors'],
  ])('%s is refused for a model, with %s in its place', (path, better) => {
    expect(check(path)).toMatchObject({
      code: 'output-ending',
      severity: 'error',
      help: `write \`${better}\`: other programs decide by the file extension how to read a file`,
    })
    expect(check(better)).toBeUndefined()
    expect(check(path, 'report')).toBeUndefined()
  })

  test('a sharded one may also be named by its stem or its index', () => {
    for (const path of ['model', 'a/model-v1.5', 'model.safetensors.index.json'])
      expect(check(path, 'model', true)).toBeUndefined()
    expect(check('model.ckpt', 'model', true)?.code).toBe('output-ending')
  })

  test.each([
    ['.', './merged.safetensors'],
    ['..', '../merged.safetensors'],
    ['a/..', 'a/../merged.safetensors'],
    ['~', '~/merged.safetensors'],
    ['~/', '~/merged.safetensors'],
  ])('%s names a folder, and %s a file', (path, better) =>
    expect(check(path)).toMatchObject({ code: 'output-names-folder', help: `add the name of the file: \`${better}\`` }),
  )

  test('a folder with a name is one of a model, and of nothing else', () => {
    for (const path of ['out/', 'a/b/', '/out/', '~/out/']) expect(check(path)).toBeUndefined()
    expect(check('out/', 'mask')?.help).toBe('add the name of the file: `out/merged.safetensors`')
  })

  test('a report in a folder is offered as a page', () =>
    expect(check('out/', 'report')?.help).toBe('add the name of the file: `out/merged.html`'))

  test.each([
    ['out\\merged.safetensors', 'out/merged.safetensors'],
    ['C:\\models\\m.safetensors', 'models/m.safetensors'],
    ['D:/m.safetensors', 'm.safetensors'],
  ])('%s is a path of Windows', (path, better) =>
    expect(check(path)).toMatchObject({ code: 'windows-path', help: `write it with \`/\`: \`${better}\`` }),
  )

  test('the home of somebody else is not looked up', () =>
    expect(check('~alice/m.safetensors')?.code).toBe('other-home'))
})

test('`~/` is the home folder, and nothing else is', () => {
  expect(resolvePath('/recipes', '~/m.safetensors')).toBe(join(homedir(), 'm.safetensors'))
  expect(resolvePath('/recipes', '~')).toBe(homedir())
  for (const path of ['./~/m', 'a~/m', '~m', 'a/~/m'])
    expect(resolvePath('/recipes', path)).toBe(resolve('/recipes', path))
})
