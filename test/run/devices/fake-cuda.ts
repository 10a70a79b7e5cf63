import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { crc32 } from 'node:zlib'
import type { CudaPlaces } from '#src/run/devices/places.js'

/** The version of ONNX Runtime that fake machines have. */
export const NEEDED = '1.30.0'

/**
 * A file that passes for a shared library of a machine by its header (62 is x86-64), and holds a text between zeros.
 */
export const library = (text = '', machine = 62): Buffer => {
  const header = Buffer.alloc(64)
  header.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1])
  header.writeUInt16LE(3, 16)
  header.writeUInt16LE(machine, 18)
  return Buffer.concat([header, Buffer.from(`padding\0${text}\0more\0`)])
}

/** The provider's two files, as they lie in a wheel of ONNX Runtime. */
export const providerFiles = (version = NEEDED): Record<string, Buffer> => ({
  'onnxruntime/capi/libonnxruntime_providers_cuda.so': library(version),
  'onnxruntime/capi/libonnxruntime_providers_shared.so': library(),
})

/** The libraries of CUDA 13, as they lie in NVIDIA's wheels. */
export const LIBRARY_FILES: Record<string, Buffer> = Object.fromEntries(
  ['libcudart.so.13', 'libcublas.so.13', 'libcublasLt.so.13', 'libcurand.so.10'].map((name) => [
    `nvidia/cu13/lib/${name}`,
    library(name),
  ]),
)

/** A zip with its entries stored; `bytes` are what an entry claims to have where that is not what it has. */
export const zip = (
  entries: Readonly<Record<string, Buffer>>,
  claims: Readonly<Record<string, { readonly bytes?: number; readonly crc?: number; readonly flags?: number }>> = {},
): Buffer => {
  const locals: Buffer[] = []
  const centrals: Buffer[] = []
  let at = 0
  for (const [name, data] of Object.entries(entries)) {
    const { bytes = data.length, crc = crc32(data), flags = 0 } = claims[name] ?? {}
    const path = Buffer.from(name)
    const common = Buffer.alloc(26)
    common.writeUInt16LE(20, 0)
    common.writeUInt16LE(flags, 2)
    common.writeUInt32LE(crc, 10)
    common.writeUInt32LE(bytes, 14)
    common.writeUInt32LE(bytes, 18)
    common.writeUInt16LE(path.length, 22)
    const local = Buffer.concat([Buffer.from('PK\u0003\u0004'), common, path, data])
    const offset = Buffer.alloc(14)
    offset.writeUInt32LE(at, 10)
    centrals.push(Buffer.concat([Buffer.from('PK\u0001\u0002'), Buffer.from([20, 0]), common, offset, path]))
    locals.push(local)
    at += local.length
  }
  const central = Buffer.concat(centrals)
  const end = Buffer.alloc(22)
  end.write('PK\u0005\u0006')
  end.writeUInt16LE(centrals.length, 8)
  end.writeUInt16LE(centrals.length, 10)
  end.writeUInt32LE(central.length, 12)
  end.writeUInt32LE(at, 16)
  return Buffer.concat([...locals, central, end])
}

/** A tarball of plain files. */
export const tarball = (entries: Readonly<Record<string, Buffer>>): Buffer => {
  const blocks: Buffer[] = []
  for (const [name, data] of Object.entries(entries)) {
    const header = Buffer.alloc(512)
    header.write(name, 0)
    header.write('0000644\0', 100)
    header.write('0000000\0', 108)
    header.write('0000000\0', 116)
    header.write(`${data.length.toString(8).padStart(11, '0')}\0`, 124)
    header.write('00000000000\0', 136)
    header.write('        0', 148)
    header.write('ustar\u000000', 257)
    const sum = header.reduce((a, b) => a + b, 0)
    header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148)
    blocks.push(header, data, Buffer.alloc((512 - (data.length % 512)) % 512))
  }
  return Buffer.concat([...blocks, Buffer.alloc(1024)])
}

/**
 * A machine of its own in a temporary folder: an installed ONNX Runtime, a data folder, and nothing else; nothing of
 * the real one is looked at.
 */
export interface FakeMachine {
  readonly path: string
  readonly places: CudaPlaces & { readonly data: string }
  /** Where ONNX Runtime's library lies. */
  readonly binaries: string
  /** Puts a file there, with its folders, and gives its path. */
  put(name: string, bytes: Buffer): string
  remove(): void
}

/** A fake machine with nothing installed. */
export const makeMachine = (): FakeMachine => {
  const path = mkdtempSync(join(tmpdir(), 'smelt-cuda-'))
  const folder = join(path, 'onnxruntime-node')
  const binaries = join(folder, 'bin')
  mkdirSync(binaries, { recursive: true })
  return {
    path,
    binaries,
    places: {
      data: join(path, 'data', 'smelt', 'cuda'),
      system: false,
      runtime: { version: NEEDED, folder, binaries },
    },
    put: (name, bytes) => {
      const file = join(path, name)
      mkdirSync(dirname(file), { recursive: true })
      writeFileSync(file, bytes)
      return file
    },
    remove: () => rmSync(path, { recursive: true, force: true }),
  }
}
