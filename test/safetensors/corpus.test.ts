import { execFileSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { readHeader } from '#src/safetensors/open.js'

interface Case {
  readonly id: string
  readonly expect: 'accept' | 'accept-warn' | 'reject'
  readonly why: string
}

const data = join(import.meta.dirname, '../data/safetensors')
const corpus = process.env['SMELT_CORPUS'] ?? data
const cases = JSON.parse(readFileSync(join(corpus, 'cases.json'), 'utf8')) as Case[]

const generated = mkdtempSync(join(tmpdir(), 'smelt-corpus-'))
afterAll(() => rmSync(generated, { recursive: true }))
const generator = join(corpus, 'gen.mjs')
if (existsSync(generator)) execFileSync(process.execPath, [generator, generated])
const folder = existsSync(generator) ? generated : corpus

const verdicts = await Promise.all(
  cases.map(async ({ id, expect: wanted, why }) => {
    const result = await readHeader(join(folder, `${id}.safetensors`))
    const [first] = result.diagnostics
    const verdict = result.type === 'failed' ? 'reject' : first === undefined ? 'accept' : 'accept-warn'
    return { id, why, wanted, verdict, code: first?.code }
  }),
)

test('every file of the corpus gets its stated verdict', () => {
  expect(cases.length).toBeGreaterThanOrEqual(116)
  expect(verdicts.filter(({ wanted, verdict }) => wanted !== verdict)).toEqual([])
})

const kebab = (kind: string): string => kind.replace(/(?<!^)[A-Z]/g, '-$&').toLowerCase()
const reference = new Map(
  readFileSync(join(data, 'reference-verdicts.tsv'), 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => line.split('\t'))
    .map(([file = '', verdict, kind = '']) => [
      file.replace('.safetensors', ''),
      { accepts: verdict === 'ACCEPT', kind: kebab(kind) },
    ]),
)

test('only five files that the reference accepts are refused, and none that it refuses is accepted', () => {
  const differing = verdicts.filter(
    ({ id, verdict }) => reference.has(id) && reference.get(id)?.accepts !== (verdict !== 'reject'),
  )
  expect(new Map(differing.map(({ id, code }) => [id, code]))).toEqual(
    new Map([
      ['j20_escaped_dup', 'duplicate-tensor'],
      ['d02_dup_tensor_same_range', 'duplicate-tensor'],
      ['d04_dup_key_in_metadata', 'duplicate-metadata-key'],
      ['s05_entry_as_array', 'invalid-header-deserialization'],
      ['s20_dtype_as_map', 'invalid-header-deserialization'],
    ]),
  )
})

test("a refusal's code is the reference's kind of error, except where a plainer one is known", () => {
  const differing = verdicts.flatMap(({ id, verdict, code }) => {
    const judged = reference.get(id)
    return judged === undefined || judged.accepts || verdict !== 'reject' || judged.kind === code
      ? []
      : [[id, judged.kind, code]]
  })
  // A name given twice is what is wrong there; that the ranges differ, too, is what the reference notices.
  expect(differing).toEqual([['d01_dup_tensor_diff_range', 'invalid-offset', 'duplicate-tensor']])
})
