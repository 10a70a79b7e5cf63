import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { convert } from '#src/pytorch/convert.js'
import { openCheckpoint } from '#src/pytorch/open.js'
import { makeRandom } from '../safetensors/files.js'

const DATA = join(import.meta.dirname, '../data/pytorch')
const SEEDS = ['views.bin', 'checkpoint.ckpt', 'protocol-4.pth', 'dtypes.pt', 'module.pt'].map((name) =>
  readFileSync(join(DATA, name)),
)
const PIECES = [
  'PK\x01\x02',
  'PK\x03\x04',
  'PK\x05\x06',
  '\xff\xff\xff\xff',
  '\0\0\0\0\0\0\0\x80',
  'cos\nsystem\n',
  'R',
  '(t',
  'q\0h\0',
  '}u',
  '.',
].map((text) => Buffer.from(text, 'latin1'))

const folder = mkdtempSync(join(tmpdir(), 'smelt-mutants-'))
afterAll(() => rmSync(folder, { recursive: true }))

/** Changes, replaces, removes or inserts a few bytes; half of the time where the pickle lies, so that the zip stays whole. */
const mutate = (whole: Buffer, random: () => number): Buffer => {
  let bytes = Buffer.from(whole)
  const below = (n: number): number => Math.floor(random() * n)
  const inPickle = random() < 0.5
  for (let changes = 1 + below(3); changes > 0; changes--) {
    const at = inPickle ? 60 + below(300) : below(bytes.length)
    const [kind, piece] = [below(inPickle ? 3 : 5), PIECES[below(PIECES.length)]!]
    if (kind === 0) bytes[at] = below(256)
    else if (kind === 1) bytes[at] = (bytes[at] ?? 0) ^ (1 << below(8))
    else if (kind === 2) piece.copy(bytes, at)
    else if (kind === 3) bytes = Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + 1 + below(40))])
    else bytes = Buffer.concat([bytes.subarray(0, at), piece, bytes.subarray(at)])
  }
  return inPickle ? withoutChecksum(bytes) : bytes
}

/** The archive without the checksum of its pickle, which would tell every change. */
const withoutChecksum = (bytes: Buffer): Buffer => {
  const listed = bytes.indexOf('PK\x01\x02', 0, 'latin1')
  if (listed >= 0) bytes.writeUInt32LE(0, listed + 16)
  return bytes
}

test('2,000 mutated archives are read or refused, each with a problem that says what to do', async () => {
  const random = makeRandom(20_261_129)
  const seen: Record<string, number> = {}
  const path = join(folder, 'mutant.pt')
  for (let i = 0; i < 2000; i++) {
    const bytes = mutate(SEEDS[i % SEEDS.length]!, random)
    writeFileSync(path, bytes)
    const opened = await openCheckpoint(path)
    const out = join(folder, `${i}.safetensors`)
    const converted = await convert(path, out)
    for (const result of [opened, converted]) {
      if (result.type === 'failed') expect(result.diagnostics[0]!.help ?? '', String(i)).not.toBe('')
      const code = result.type === 'ok' ? 'ok' : result.diagnostics[0]!.code
      seen[code] = (seen[code] ?? 0) + 1
    }
    if (opened.type === 'ok')
      for (const { begin, end } of opened.value.tensors.values())
        expect(begin >= 0 && begin <= end && end <= bytes.length, String(i)).toBe(true)
    rmSync(out, { force: true })
  }
  // The mutants reach every layer: directories, pickles, tensors, data.
  for (const code of [
    'ok',
    'invalid-zip',
    'invalid-pickle',
    'pickle-opcode',
    'pickle-global',
    'zip-checksum',
    'invalid-storage',
  ])
    expect(seen[code] ?? 0, `${code} in ${JSON.stringify(seen)}`).toBeGreaterThan(5)
})
