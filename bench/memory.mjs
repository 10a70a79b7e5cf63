// Peak memory of merges that are larger than memory should ever see.
import { closeSync, openSync, readSync } from 'node:fs'
import { join } from 'node:path'
import { decode } from '../dist/kernels/convert.js'
import { bytesOf, LARGE_TABLE, readTable, writeCheckpoint, writeSparse } from './checkpoint.mjs'
import { measure } from './measure.mjs'
import { bytesAt, closePlace, openPlace } from './place.mjs'
import { OUT, twoFiles } from './recipes.mjs'
import { buildCommand, cleanEnvironment, placeRecipe } from './smelt.mjs'

const gigabytes = (bytes) => `${(bytes / 1e9).toFixed(1)} GB`

/**
 * Both cases: what makes the two inputs, what share of an input the output takes, and how much room all takes on the
 * disk.
 */
const CASES = {
  sdxl: {
    title: 'linear merge of two SDXL-shaped models',
    table: () => readTable('sdxl'),
    dtype: 'same',
    share: 1,
    room: 3,
    make: (path, table, model) => writeCheckpoint(path, table, model),
  },
  large: {
    title: 'linear merge of two sparse files with a tensor of 4.4 GB, written as f8_e4m3',
    table: () => LARGE_TABLE,
    dtype: 'f8_e4m3',
    share: 0.5,
    room: 0.5,
    make: (path, table, model) => writeSparse(path, table, model),
    check: (folder) => checkLast(folder, LARGE_TABLE[0]),
  },
}

/** The last elements of a tensor's data; the header tells where they lie. */
const lastElements = (path, name, dtype, width, count) => {
  const fd = openSync(path, 'r')
  try {
    const length = Buffer.alloc(8)
    readSync(fd, length, 0, 8, 0)
    const header = Buffer.alloc(Number(length.readBigUInt64LE()))
    readSync(fd, header, 0, header.length, 8)
    const end = 8 + header.length + JSON.parse(header.toString())[name].data_offsets[1]
    const bytes = new Uint8Array(count * width)
    readSync(fd, bytes, 0, bytes.length, end - bytes.length)
    return decode(dtype, width === 2 ? new Uint16Array(bytes.buffer) : bytes)
  } finally {
    closeSync(fd)
  }
}

/** Whether the end of the first tensor, beyond 4 GiB, is what the inputs make it. */
const checkLast = (folder, [name]) => {
  const [a, b] = ['a', 'b'].map((model) => lastElements(join(folder, `${model}.safetensors`), name, 'F16', 2, 1000))
  const merged = lastElements(join(folder, 'work', OUT), name, 'F8_E4M3', 1, 1000)
  const wrong = merged.findIndex((x, i) => Math.abs(x - (a[i] + b[i]) / 2) > Math.abs(a[i] + b[i]) / 32 + 2 ** -9)
  if (wrong >= 0)
    throw new Error(
      `element ${wrong - 1000} of the large tensor is ${merged[wrong]}, and its parents are ${a[wrong]} and ${b[wrong]}`,
    )
}

/** Measures the chosen cases once each: what counts is memory, and the disk decides the time. */
export const measureMemory = async ({ only, disk, program, say }) => {
  const rows = []
  for (const [name, { title, table: tableOf, make, check, dtype, share, room }] of Object.entries(CASES)) {
    if (only !== undefined && only !== name) continue
    const table = tableOf()
    const bytes = bytesOf(table)
    const folder = openPlace(disk, bytes * room)
    try {
      for (const model of ['a', 'b']) {
        say(`makes ${name} ${model}: ${gigabytes(bytes)}`)
        make(join(folder, `${model}.safetensors`), table, model)
      }
      const work = join(folder, 'work')
      const path = placeRecipe(work, twoFiles(folder, dtype))
      const figure = await measure(buildCommand(program, path), { folder: work, env: cleanEnvironment(work) })
      if (bytesAt(join(work, OUT)) < bytes * share) throw new Error('the output is no whole model')
      check?.(folder)
      say(`${name} · ${figure.seconds.toFixed(0)} s`)
      rows.push({ work: title, size: `2 × ${gigabytes(bytes)}`, ...figure })
    } catch (error) {
      say(`${name} · failed: ${error.message}`)
      rows.push({ work: title, size: `2 × ${gigabytes(bytes)}`, reason: error.message })
    } finally {
      closePlace(folder)
    }
  }
  return rows
}
