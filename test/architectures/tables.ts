import { readFileSync } from 'node:fs'
import { gunzipSync } from 'node:zlib'

export type Shapes = Map<string, { shape: number[] }>

const folder = new URL('../data/arch/', import.meta.url)

/** Names and shapes of a real checkpoint, from test/data/arch. */
export const readTable = (name: string): Shapes => {
  const table = JSON.parse(gunzipSync(readFileSync(new URL(`${name}.json.gz`, folder))).toString()) as Record<
    string,
    [string, number[]]
  >
  return new Map(Object.entries(table).map(([tensor, [, shape]]) => [tensor, { shape }]))
}

/** The tensors of a table below a prefix, without it: a file that holds one part alone. */
export const part = (table: Shapes, prefix: string, under = ''): Shapes =>
  new Map(
    [...table].flatMap(([name, info]) =>
      name.startsWith(`${prefix}.`) ? [[under + name.slice(prefix.length + 1), info]] : [],
    ),
  )
