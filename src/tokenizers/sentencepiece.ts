import { isUtf8 } from 'node:buffer'

/** A piece of a SentencePiece model; its id is its place. */
export interface Piece {
  readonly text: string
  /** True for pieces that no text is split into by itself: control tokens, the unknown one, and those of the user. */
  readonly apart: boolean
  readonly special: boolean
}

/** The types of pieces as `sentencepiece_model.proto` numbers them. */
const [UNKNOWN, CONTROL, USER_DEFINED] = [2, 3, 4]

/** A field of a protobuf message: its number, and a number or the bytes that it holds. */
type Field = readonly [number: number, value: number | Uint8Array]

/** The fields of a message in order; undefined where the bytes are none. */
const fieldsOf = (bytes: Uint8Array): readonly Field[] | undefined => {
  const fields: Field[] = []
  let at = 0
  const varint = (): number => {
    let [value, scale] = [0, 1]
    for (let i = 0; i < 10; i++) {
      const byte = bytes[at++]
      if (byte === undefined) return NaN
      value += (byte & 0x7f) * scale
      if (byte < 0x80) return value
      scale *= 128
    }
    return NaN
  }
  while (at < bytes.length) {
    const key = varint()
    const [number, type] = [Math.floor(key / 8), key % 8]
    if (type === 0) fields.push([number, varint()])
    else {
      const length = type === 2 ? varint() : type === 1 ? 8 : type === 5 ? 4 : NaN
      if (!(at + length <= bytes.length)) return undefined
      fields.push([number, bytes.subarray(at, at + length)])
      at += length
    }
    const [, value] = fields.at(-1)!
    if (number === 0 || Number.isNaN(value)) return undefined
  }
  return fields
}

const pieceOf = (bytes: Uint8Array): Piece | undefined => {
  const fields = fieldsOf(bytes)
  const text = fields?.findLast(([number]) => number === 1)?.[1]
  if (fields === undefined || typeof text !== 'object' || !isUtf8(text)) return undefined
  const type = fields.findLast(([number]) => number === 3)?.[1]
  const special = type === UNKNOWN || type === CONTROL
  return { text: Buffer.from(text).toString('utf8'), apart: special || type === USER_DEFINED, special }
}

/** The pieces of a `tokenizer.model`; undefined where it is no SentencePiece model. */
export const readPieces = (bytes: Uint8Array): readonly Piece[] | undefined => {
  const fields = fieldsOf(bytes)
  const pieces: Piece[] = []
  for (const [number, value] of fields ?? []) {
    if (number !== 1) continue
    const piece = typeof value === 'object' ? pieceOf(value) : undefined
    if (piece === undefined) return undefined
    pieces.push(piece)
  }
  return pieces.length === 0 ? undefined : pieces
}
