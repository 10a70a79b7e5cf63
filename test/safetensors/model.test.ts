import { mkdirSync, symlinkSync, truncateSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { openModel } from '#src/safetensors/model.js'
import { parseIndex } from '#src/safetensors/sharded-index.js'
import { bytesHeader, codesOf, makeFolder, problemOf, put, toFile, valueOf } from './files.js'

const INDEX = 'model.safetensors.index.json'
const ONE = 'model-00001-of-00002.safetensors'
const TWO = 'model-00002-of-00002.safetensors'

const shard = (...names: readonly string[]): Buffer => toFile(bytesHeader(...names), names.length)
const toIndex = (weights: object, more: object = { metadata: { total_size: Object.keys(weights).length } }): string =>
  JSON.stringify({ ...more, weight_map: weights })

/** A folder with the tensors `a` and `b` in one shard and `c` in another, and the index given or the right one. */
const makeModel = (index: string = toIndex({ a: ONE, b: ONE, c: TWO })) => {
  const folder = makeFolder()
  put(folder, ONE, shard('b', 'a'))
  put(folder, TWO, shard('c'))
  return { folder, path: put(folder, INDEX, index) }
}
const openIndexed = (index: string) => openModel(makeModel(index).path)
const naming = (name: string) => openIndexed(toIndex({ a: name }))

describe('what may be named', () => {
  test('a single file is a model, its tensors in order of name by code point', async () => {
    const path = put(makeFolder(), 'm.safetensors', toFile(bytesHeader('b', '\u{1f98a}', '\uff01', 'a', 'a.b'), 5))
    const result = await openModel(path)
    const model = valueOf(result)
    expect(result.diagnostics).toEqual([])
    expect([...model.tensors.keys()]).toEqual(['a', 'a.b', 'b', '\uff01', '\u{1f98a}'])
    expect(model).toMatchObject({ path, bytes: 5, files: [{ path }] })
  })

  test('a folder with one file, and one with one index, are models', async () => {
    const folder = makeFolder()
    const path = put(folder, 'm.safetensors', shard('a'))
    put(folder, 'config.json', '{}')
    put(folder, '.m.safetensors.partial', 'left over')
    expect(valueOf(await openModel(folder)).path).toBe(path)
    const sharded = makeModel()
    expect(valueOf(await openModel(sharded.folder)).path).toBe(sharded.path)
  })

  test('a folder with nothing to read, or with more than one thing, is refused and says what it holds', async () => {
    const folder = makeFolder()
    put(folder, 'model.ckpt', 'x')
    const nothing = problemOf(await openModel(folder))
    expect(nothing.code).toBe('folder-without-model')
    expect(nothing.message).toContain('model.ckpt')
    put(folder, 'a.safetensors', shard('a'))
    put(folder, 'b.safetensors', shard('b'))
    expect(problemOf(await openModel(folder)).code).toBe('folder-ambiguous')
    const { folder: twice } = makeModel()
    put(twice, 'ema.safetensors.index.json', toIndex({ a: ONE }))
    expect(problemOf(await openModel(twice)).code).toBe('folder-ambiguous')
  })

  test('a folder whose folders hold models is refused and names one', async () => {
    const folder = makeFolder()
    for (const part of ['text_encoder', 'unet']) {
      mkdirSync(join(folder, part))
      put(join(folder, part), 'model.safetensors', shard('a'))
    }
    mkdirSync(join(folder, 'scheduler'))
    expect(problemOf(await openModel(folder)).help).toContain(`such as \`${join(folder, 'unet')}\``)
    put(folder, 'model_index.json', '{}')
    expect(problemOf(await openModel(folder)).message).toMatch(/pipeline of diffusers: .* in `text_encoder`, `unet`$/)
  })

  test('what Mistral ships beside its model is the same once more, and the model if it is alone', async () => {
    const { folder, path } = makeModel()
    put(folder, 'consolidated.safetensors', shard('a', 'b', 'c'))
    expect(valueOf(await openModel(folder)).path).toBe(path)
    const alone = makeFolder()
    const only = put(alone, 'consolidated.safetensors', shard('a'))
    expect(valueOf(await openModel(alone)).path).toBe(only)
  })

  test('an index without its shards beside a model is told to be that', async () => {
    const folder = makeFolder()
    put(folder, INDEX, toIndex({ a: ONE, b: TWO }))
    put(folder, 'model.safetensors', shard('a'))
    const { code, help } = problemOf(await openModel(folder))
    expect(code).toBe('folder-ambiguous')
    expect(help).toMatch(/^delete the index if `model.safetensors` is the model/)
  })

  test('shards of PyTorch without an index are told what they lack', async () => {
    const folder = makeFolder()
    for (const n of [1, 2]) put(folder, `pytorch_model-0000${n}-of-00002.bin`, 'x')
    expect(problemOf(await openModel(folder)).help).toMatch(/^download `pytorch_model.bin.index.json`/)
  })

  test('a link to nothing is told with what it leads to', async () => {
    const folder = makeFolder()
    symlinkSync('../blobs/gone', join(folder, 'model.safetensors'))
    expect(problemOf(await openModel(folder)).message).toContain(
      'is a symbolic link to `../blobs/gone`, and nothing is there',
    )
  })

  test('a path to nothing is refused with the nearest names', async () => {
    const { folder } = makeModel()
    expect(problemOf(await openModel(join(folder, 'model.safetensors.index.jsn'))).help).toContain(INDEX)
  })

  test('one shard alone opens with a warning', async () => {
    const { folder } = makeModel()
    const result = await openModel(join(folder, ONE))
    expect(result.type).toBe('ok')
    expect(codesOf(result)).toEqual(['one-shard-only'])
  })

  test('metadata of all shards is joined, the first file first', async () => {
    const folder = makeFolder()
    const withMetadata = (name: string, metadata: object): Buffer =>
      toFile(JSON.stringify({ __metadata__: metadata, [name]: { dtype: 'U8', shape: [1], data_offsets: [0, 1] } }), 1)
    put(folder, ONE, withMetadata('a', { format: 'pt', one: '1' }))
    put(folder, TWO, withMetadata('b', { format: 'np', two: '2' }))
    const model = valueOf(await openModel(put(folder, INDEX, toIndex({ a: ONE, b: TWO }))))
    expect(Object.fromEntries(model.metadata)).toEqual({ format: 'pt', one: '1', two: '2' })
  })
})

// i26 (a shard changes between plan and read) belongs to whoever reads twice, by `identity`;
// i28 (models of a merge disagree) needs two models and a recipe.
describe('indexes', () => {
  test('i01: a plain index of two shards opens without a word', async () => {
    const { folder, path } = makeModel()
    const result = await openModel(path)
    expect(result.diagnostics).toEqual([])
    const model = valueOf(result)
    expect(model).toMatchObject({ path, bytes: 3 })
    expect([...model.tensors.values()].map(({ name, file }) => [name, file])).toEqual([
      ['a', join(folder, ONE)],
      ['b', join(folder, ONE)],
      ['c', join(folder, TWO)],
    ])
    expect(model.files.map((file) => file.path)).toEqual([join(folder, ONE), join(folder, TWO)])
  })

  test.each([
    ['i02', '../x.safetensors', '`..`'],
    ['i02', 'a/../../x.safetensors', '`..`'],
    ['i03', '/etc/passwd.safetensors', 'absolute'],
    ['i03', 'C:/x.safetensors', 'absolute'],
    ['i03', 'file:///x.safetensors', 'absolute'],
    ['i03', '\\\\host\\x.safetensors', 'backslash'],
    ['i04', 'a\\x.safetensors', 'backslash'],
    ['i04', 'a\0.safetensors', 'control character'],
    ['i04', 'a\u001b.safetensors', 'control character'],
    ['i05', '%2e%2e/x.safetensors', 'percent escape'],
    ['i05', '%252e%252e/x.safetensors', 'percent escape'],
    ['i06', './x.safetensors', '`.`'],
    ['i06', 'a//b.safetensors', 'empty part'],
    ['i06', '', 'empty part'],
    ['i06', '.', '`.`'],
    ['i06', '..', '`..`'],
    ['i09', 'pytorch_model.bin', '.safetensors'],
    ['i09', 'x.safetensors\n', 'control character'],
  ])('%s: the shard name %j is refused', async (_, name, why) => {
    const problem = problemOf(await naming(name))
    expect(problem.code).toBe('shard-name-refused')
    expect(problem.message).toContain(why)
  })

  test('i07: a shard that links out of the folder is refused', async () => {
    const { folder, path } = makeModel(toIndex({ c: 'far.safetensors' }))
    symlinkSync(put(makeFolder(), 'far.safetensors', shard('c')), join(folder, 'far.safetensors'))
    expect(problemOf(await openModel(path)).code).toBe('shard-strays')
  })

  test('i07: a link within the folder, and one into the blobs of a Hugging Face cache, are followed', async () => {
    const near = makeModel(toIndex({ c: 'near.safetensors' }))
    symlinkSync(TWO, join(near.folder, 'near.safetensors'))
    expect(codesOf(await openModel(near.path))).toEqual([])
    const cache = join(makeFolder(), 'models--org--name')
    put(cache, 'blobs/0123', shard('a'))
    put(cache, 'blobs/4567', toIndex({ a: ONE.replace('2', '1') }))
    mkdirSync(join(cache, 'snapshots/rev'), { recursive: true })
    symlinkSync('../../blobs/0123', join(cache, 'snapshots/rev/model-00001-of-00001.safetensors'))
    symlinkSync('../../blobs/4567', join(cache, 'snapshots/rev', INDEX))
    expect(valueOf(await openModel(join(cache, 'snapshots/rev'))).tensors.size).toBe(1)
  })

  test('i08: a shard in a folder of the folder opens with a warning', async () => {
    const { folder, path } = makeModel(toIndex({ a: 'sub/x.safetensors' }))
    put(folder, 'sub/x.safetensors', shard('a'))
    expect(codesOf(await openModel(path))).toEqual(['shard-in-subfolder'])
  })

  test('i10: all missing shards are named at once', async () => {
    const problem = problemOf(await openIndexed(toIndex({ a: ONE, b: 'x.safetensors', c: 'y.safetensors' })))
    expect(problem.code).toBe('shards-missing')
    expect(problem.message).toMatch(/x\.safetensors.*y\.safetensors/)
  })

  test('i11: tensors that their shard does not hold are refused', async () => {
    const problem = problemOf(await openIndexed(toIndex({ a: ONE, b: TWO, z: ONE, c: TWO })))
    expect(problem).toMatchObject({ code: 'tensor-not-in-shard', at: { tensor: 'b' } })
    expect(problem.message).toContain('`z`')
  })

  test('i12: tensors that the index does not name are left out with a warning', async () => {
    const result = await openIndexed(toIndex({ a: ONE, c: TWO }))
    expect(codesOf(result)).toEqual(['tensor-not-in-index'])
    expect([...valueOf(result).tensors.keys()]).toEqual(['a', 'c'])
  })

  test('i13: of a tensor in two shards the named one is used, with a warning', async () => {
    const { folder, path } = makeModel()
    put(folder, TWO, shard('c', 'a'))
    const result = await openModel(path)
    expect(codesOf(result)).toEqual(['tensor-in-two-shards'])
    expect(valueOf(result).tensors.get('a')?.file).toBe(join(folder, ONE))
  })

  test.each([`{"a":"${ONE}","a":"${TWO}"}`, `{"a":"${ONE}","\\u0061":"${ONE}"}`])(
    'i14: a tensor named twice is refused: %s',
    async (weights) => {
      expect(problemOf(await openIndexed(`{"weight_map":${weights}}`)).code).toBe('weight-twice')
    },
  )

  test('i14: a second weight_map is refused', async () => {
    expect(problemOf(await openIndexed(`{"weight_map":{"a":"${ONE}"},"weight_map":{"a":"${TWO}"}}`)).message).toContain(
      'twice',
    )
  })

  test('i15: shard names that differ only in case are refused', async () => {
    expect(problemOf(await openIndexed(toIndex({ a: 'x.safetensors', b: 'X.safetensors' }))).code).toBe(
      'shard-names-collide',
    )
  })

  test('i16: a wrong total_size is a warning that tells the true one', async () => {
    const result = await openIndexed(toIndex({ a: ONE, b: ONE, c: TWO }, { metadata: { total_size: 999 } }))
    expect(codesOf(result)).toEqual(['total-size-differs'])
    expect(result.diagnostics[0]?.message).toContain('3 bytes')
    expect(valueOf(result).bytes).toBe(3)
  })

  test.each([
    { metadata: { total_size: 3.5 } },
    { metadata: { total_size: '3' } },
    { metadata: {} },
    { metadata: null },
    {},
  ])('i17: an odd or absent total_size is accepted: %j', async (more) => {
    const result = await openIndexed(toIndex({ a: ONE, b: ONE, c: TWO }, more))
    expect([result.type, codesOf(result)]).toEqual(['ok', []])
  })

  test.each([
    ['{}', 'weight-map-missing'],
    ['{"weight_map":[]}', 'invalid-index'],
    ['{"weight_map":{"a":1}}', 'invalid-index'],
    ['[]', 'invalid-index'],
    ['{"weight_map":{"a":"x.safetensors"}', 'invalid-index'],
  ])('i18: %s is refused', async (index, code) => {
    expect(problemOf(await openIndexed(index)).code).toBe(code)
  })

  test('i19: an index without tensors is refused', async () => {
    expect(problemOf(await openIndexed(toIndex({}))).code).toBe('weight-map-empty')
  })

  test('i20: an index beside a whole file is ambiguous unless one of them is named', async () => {
    const { folder, path } = makeModel()
    const whole = put(folder, 'model.safetensors', shard('a', 'b', 'c'))
    expect(problemOf(await openModel(folder)).code).toBe('folder-ambiguous')
    for (const named of [path, whole]) {
      const result = await openModel(named)
      expect([result.type, codesOf(result)]).toEqual(['ok', ['index-beside']])
    }
  })

  test('i21, i22: too few shards, and gaps in their numbers, are warnings', async () => {
    const { folder, path } = makeModel()
    for (const numbers of [
      ['1-of-00005', '4-of-00005'],
      ['1-of-00002', '3-of-00002'],
    ] as const) {
      const [three, four] = numbers.map((number) => `model-0000${number}.safetensors`) as [string, string]
      put(folder, three, shard('a'))
      put(folder, four, shard('b'))
      put(folder, INDEX, toIndex({ a: three, b: four }))
      const result = await openModel(path)
      expect([result.type, codesOf(result)]).toEqual(['ok', ['shards-oddly-numbered']])
    }
  })

  test('i23: a shard that is a git-lfs pointer says so', async () => {
    const { folder, path } = makeModel()
    put(folder, TWO, 'version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 5\n')
    const problem = problemOf(await openModel(path))
    expect(problem).toMatchObject({ code: 'git-lfs-pointer', help: 'run `git lfs pull` in its repository' })
    expect(problem.message).toContain(TWO)
  })

  test('i24: every cut shard is refused, all at once', async () => {
    const { folder, path } = makeModel()
    truncateSync(join(folder, ONE), shard('b', 'a').length - 1)
    truncateSync(join(folder, TWO), shard('c').length - 1)
    expect(codesOf(await openModel(path))).toEqual(['metadata-incomplete-buffer', 'metadata-incomplete-buffer'])
  })

  test('i25: an index of more than 250 MB is refused unread, one of more than 10,000 shards unopened', async () => {
    const { path } = makeModel()
    truncateSync(path, 250_000_001)
    expect(problemOf(await openModel(path)).code).toBe('index-too-large')
    const weights = Object.fromEntries(Array.from({ length: 10_001 }, (_, i) => [`t${i}`, `${i}.safetensors`]))
    expect(problemOf(parseIndex('i', Buffer.from(toIndex(weights)))).code).toBe('too-many-shards')
  })

  test('i27: a tensor called __metadata__ is refused, one called __proto__ is data', async () => {
    expect(problemOf(await openIndexed(`{"weight_map":{"__metadata__":"${ONE}"}}`)).code).toBe('reserved-name')
    const { folder, path } = makeModel(`{"weight_map":{"__proto__":"${TWO}"}}`)
    put(folder, TWO, toFile('{"__proto__":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}', 1))
    expect([...valueOf(await openModel(path)).tensors.keys()]).toEqual(['__proto__'])
  })

  test('an index that is a web page or no UTF-8 says so', async () => {
    expect(problemOf(await openIndexed('<!doctype html>')).code).toBe('web-page')
    const { path } = makeModel()
    put(join(path, '..'), INDEX, Buffer.from([0x7b, 0xff]))
    expect(problemOf(await openModel(path)).message).toContain('UTF-8')
  })
})
