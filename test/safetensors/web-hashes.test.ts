import { createHash } from 'node:crypto'
import { closeSync, openSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { layoutFile } from '#src/safetensors/layout.js'
import { WEB_HASHES, withoutWebHashes, withWebHashes } from '#src/safetensors/web-hashes.js'
import { inFolder } from '../support/build-run.js'

const sha256 = (data: Uint8Array): string => createHash('sha256').update(data).digest('hex')
const NUMBERS = 300_000
const DATA = Buffer.from(Float32Array.from({ length: NUMBERS }, (_, i) => Math.sin(i)).buffer)
const TENSOR = { name: 'x.lora_up.weight', dtype: 'F32', shape: [NUMBERS] } as const

/** The header of a file with this metadata, and the same when it is finished. */
const finished = (metadata: Readonly<Record<string, string>>) =>
  inFolder(async (folder) => {
    const { header } = layoutFile([TENSOR], metadata)
    const path = join(folder, 'x.safetensors')
    writeFileSync(path, Buffer.concat([header, DATA]))
    const fd = openSync(path, 'r')
    const done = Buffer.from(withWebHashes(header, fd))
    closeSync(fd)
    return { header: Buffer.from(header), done }
  })

test('a header gets the hashes of the numbers behind it, and is as long as before', async () => {
  const { header, done } = await finished({
    ...Object.fromEntries(WEB_HASHES),
    note: 'é “quoted”',
    ss_network_dim: '4',
  })
  const { __metadata__: metadata } = JSON.parse(done.subarray(8).toString()) as {
    readonly __metadata__: Readonly<Record<string, string>>
  }
  expect(metadata).toMatchObject({ note: 'é “quoted”', sshs_model_hash: sha256(DATA) })
  // The trainer's script hashes a part of a file whose header says nothing but this.
  const json = `{"__metadata__":{"ss_network_dim":"4"},"${TENSOR.name}":{"dtype":"F32","shape":[${NUMBERS}],"data_offsets":[0,${DATA.length}]}}`
  const begin = 0x100000 - 8 - Math.ceil(json.length / 8) * 8
  expect(metadata['sshs_legacy_hash']).toBe(sha256(DATA.subarray(begin, begin + 0x10000)).slice(0, 8))
  expect(done.length).toBe(header.length)
  expect(Buffer.from(withoutWebHashes(done)).equals(header)).toBe(true)
})

test('a header without places for hashes stays as it is, whatever its texts quote', async () => {
  const { header, done } = await finished({ note: JSON.stringify(Object.fromEntries(WEB_HASHES)) })
  expect(done.equals(header)).toBe(true)
})
