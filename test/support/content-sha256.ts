import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'

interface Entry {
  readonly dtype: string
  readonly shape: readonly number[]
  readonly data_offsets: readonly [number, number]
}

const sha256 = (bytes: Uint8Array | string): string => createHash('sha256').update(bytes).digest('hex')

/**
 * What the tensors of a model say, wherever they lie in its files: sha256 over names, dtypes, shapes and bytes in order
 * of name. Taken
 * from the files alone, so that it judges also what a build says of itself.
 */
export const contentSha256 = (paths: readonly string[]): string => {
  const tensors = paths.flatMap((path) => {
    const bytes = readFileSync(path)
    const start = 8 + Number(bytes.readBigUInt64LE())
    const header = JSON.parse(bytes.subarray(8, start).toString()) as Readonly<Record<string, Entry>>
    return Object.entries(header)
      .filter(([name]) => name !== '__metadata__')
      .map(
        ([
          name,
          {
            dtype,
            shape,
            data_offsets: [begin, end],
          },
        ]) => [name, dtype, shape, sha256(bytes.subarray(start + begin, start + end))] as const,
      )
  })
  return sha256(JSON.stringify(tensors.sort(([x], [y]) => (x < y ? -1 : 1))))
}

/** sha256 of each file, header and all, in the order given. */
export const fileSha256 = (paths: readonly string[]): readonly string[] =>
  paths.map((path) => sha256(readFileSync(path)))
