import type { Diagnostic, Place } from '../diagnostic.js'
import { entry } from './entry.js'
import { inBytes, ofFile, quoteName, refusal, repairCommand, warning } from './file-entry.js'

/** What is wrong with JSON text. */
export type JsonReason = keyof typeof JSON_REASONS

/** Each reason as the end of a sentence. */
export const JSON_REASONS = {
  'bad-escape': 'an escape sequence is malformed',
  'bad-number': 'a number is malformed or too large',
  'control-character': 'a string holds a raw control character',
  'expected-array': 'expected `[`',
  'expected-colon': 'expected `:`',
  'expected-comma': 'expected `,` or the closing bracket',
  'expected-end': 'text follows the end of the document',
  'expected-integer': 'expected a plain integer from 0 up',
  'expected-object': 'expected `{`',
  'expected-string': 'expected `"`',
  'expected-value': 'expected a value',
  'integer-too-large': 'an integer does not fit in 64 bits',
  'lone-surrogate': 'a `\\u` escape is half of a surrogate pair',
  'string-too-long': 'a string is too long',
  'too-deep': 'it is nested too deeply',
  'unexpected-end': 'the text ends too early',
} as const

type Integer = number | bigint

const ANEW = 'download or export the file again: it is damaged, or was written by a faulty program'
const SOURCE = 'check the program that wrote the file if this is not intended'

const written = (dtype: string, shape: readonly Integer[]): string =>
  `${dtype} [${shape.slice(0, 8).join(', ')}${shape.length > 8 ? ', …' : ''}]`

/** A BOOL tensor with bytes that programs may read differently. */
export const boolNotBoolean = (path: string, tensor: string): Diagnostic =>
  warning(
    'bool-value',
    path,
    `BOOL ${ofFile(tensor, path)} holds bytes other than 0 and 1`,
    `${SOURCE}: smelt copies it unchanged`,
    tensor,
  )

/** Tensors whose names could confuse a terminal or cut a string short. */
export const controlCharacterInName = (path: string, tensor: string, count: number): Diagnostic =>
  warning('odd-tensor-name', path, `${ofFile(tensor, path, count)} has a control character in its name`, SOURCE, tensor)

/** A dimension of an empty tensor that is too large for a JavaScript number, so it could not be written back. */
export const dimensionInexact = (path: string, tensor: string, dimension: Integer): Diagnostic =>
  refusal(
    'dimension-inexact',
    path,
    `${ofFile(tensor, path)} has the dimension ${dimension}, which cannot be held exactly`,
    ANEW,
    tensor,
  )

/** A metadata key given twice, perhaps once with escapes. */
export const duplicateMetadataKey = (path: string, key: string): Diagnostic =>
  refusal(
    'duplicate-metadata-key',
    path,
    `\`__metadata__\` of ${path} has the key ${quoteName(key)} twice`,
    `run ${repairCommand(path)}, which keeps the last one: programs disagree on which one they use`,
  )

/** A tensor given twice, perhaps once with escapes. */
export const duplicateTensor = (path: string, tensor: string): Diagnostic =>
  refusal(
    'duplicate-tensor',
    path,
    `the header of ${path} has the tensor ${quoteName(tensor)} twice`,
    `run ${repairCommand(path)}, which keeps one if both are equal, or download or export the file again`,
    tensor,
  )

/** A tensor whose name is empty. */
export const emptyName = (path: string, tensor: string, _count: number): Diagnostic =>
  warning('odd-tensor-name', path, `${path} has a tensor without a name`, SOURCE, tensor)

/** An entry without one of its three fields. */
export const fieldMissing = (path: string, tensor: string, field: string): Diagnostic =>
  refusal('invalid-header-deserialization', path, `${ofFile(tensor, path)} has no \`${field}\``, ANEW, tensor)

/** A field given twice in an entry, or `__metadata__` twice in a header. */
export const fieldTwice = (path: string, tensor: string | undefined, field: string): Diagnostic => {
  const owner = tensor === undefined ? `the header of ${path}` : `${ofFile(tensor, path)}`
  return refusal('invalid-header-deserialization', path, `${owner} has \`${field}\` twice`, ANEW, tensor)
}

/** Fewer bytes than the header says, as after an interrupted download. */
export const fileCutShort = (path: string, expected: Integer, actual: number): Diagnostic =>
  refusal(
    'metadata-incomplete-buffer',
    path,
    `${path} is cut short: its header promises ${inBytes(expected)}, the file has ${inBytes(actual)}`,
    'download or copy it again',
  )

/** Bytes after the last tensor. */
export const fileTooLong = (path: string, expected: Integer, actual: number): Diagnostic =>
  refusal(
    'metadata-incomplete-buffer',
    path,
    `${path} has ${inBytes(BigInt(actual) - BigInt(expected))} after its last tensor, and the format allows none`,
    `run ${repairCommand(path)}, which writes a copy without them`,
  )

/** A header that is not valid JSON for the format, at a byte of the file. */
export const headerNotJson = (
  path: string,
  reason: JsonReason,
  offset: number,
  tensor: string | undefined,
): Diagnostic => {
  const near = tensor === undefined ? '' : ` in tensor ${quoteName(tensor)}`
  return refusal(
    'invalid-header-deserialization',
    path,
    `the header of ${path} is not valid at byte ${offset}${near}: ${JSON_REASONS[reason]}`,
    `run ${repairCommand(path)}, which tells whether it can be repaired, or download or export the file again`,
    tensor,
    offset,
  )
}

/** A header that is not UTF-8. */
export const headerNotUtf8 = (path: string): Diagnostic =>
  refusal('invalid-header', path, `the header of ${path} is not UTF-8`, ANEW)

/** A header length beyond what the format allows. */
export const headerTooLarge = (path: string, length: bigint, most: number): Diagnostic =>
  refusal(
    'header-too-large',
    path,
    `${path} claims a header of ${inBytes(length)}; the format allows ${inBytes(most)}`,
    'check what it is: this is probably not a safetensors file',
  )

/** A file that is empty or nearly so. */
export const headerTooSmall = (path: string, actual: number): Diagnostic =>
  refusal(
    'header-too-small',
    path,
    actual === 0 ? `${path} is empty` : `${path} has ${inBytes(actual)}, too few for a safetensors file`,
    'download or copy it again',
  )

/** Empty tensors with dimensions that other programs may not read exactly. */
export const hugeDimension = (path: string, tensor: string, count: number): Diagnostic =>
  warning(
    'huge-dimension',
    path,
    `${ofFile(tensor, path, count)} is empty and has a dimension beyond 2^53`,
    SOURCE,
    tensor,
  )

/** A header that extends past the end of the file. */
export const invalidHeaderLength = (path: string, expected: number, actual: number): Diagnostic =>
  refusal(
    'invalid-header-length',
    path,
    `${path} is cut short: its header alone ends at ${inBytes(expected)}, the file has ${inBytes(actual)}`,
    'download or copy it again; if it is complete, it is not a safetensors file',
  )

/** A tensor that overlaps another, leaves a hole before it, or ends before it begins. */
export const invalidOffset = (
  path: string,
  tensor: string,
  begin: Integer,
  end: Integer,
  previous: Integer,
): Diagnostic => {
  if (end < begin)
    return refusal(
      'invalid-offset',
      path,
      `${ofFile(tensor, path)} ends at byte ${end}, before it begins at ${begin}`,
      ANEW,
      tensor,
    )
  if (begin > previous) {
    return refusal(
      'invalid-offset',
      path,
      `${inBytes(BigInt(begin) - BigInt(previous))} before ${ofFile(tensor, path)} belong to no tensor, and the format allows no holes`,
      `run ${repairCommand(path)}, which writes a copy without holes`,
      tensor,
    )
  }
  return refusal(
    'invalid-offset',
    path,
    `${ofFile(tensor, path)} begins at byte ${begin}, inside the tensor before it, which ends at ${previous}`,
    `run ${repairCommand(path)}, which tells whether it can be repaired, or download or export the file again`,
    tensor,
  )
}

/** Tensors of a rank that numpy and PyTorch cannot load. */
export const manyDimensions = (path: string, tensor: string, count: number): Diagnostic =>
  warning(
    'many-dimensions',
    path,
    `${ofFile(tensor, path, count)} has more than 64 dimensions, which few programs can load`,
    SOURCE,
    tensor,
  )

/** Metadata that is not a map of strings. */
export const metadataNotText = (path: string, key: string | undefined, offset: number): Diagnostic =>
  refusal(
    'invalid-header-deserialization',
    path,
    key === undefined
      ? `\`__metadata__\` of ${path} is not a map, and the format allows nothing else`
      : `\`__metadata__\` of ${path} has something other than a string at ${quoteName(key)}, and the format allows only strings`,
    `run ${repairCommand(path)}, which writes a copy with valid metadata`,
    undefined,
    offset,
  )

/** Metadata that is null, which the reference implementation reads as empty. */
export const metadataNull = (path: string, _name: string, _count: number): Diagnostic =>
  warning('metadata-null', path, `\`__metadata__\` of ${path} is null, and is read as empty`, SOURCE)

/** A tensor of 4- or 6-bit elements that ends within a byte. */
export const misalignedSlice = (path: string, tensor: string, dtype: string, shape: readonly Integer[]): Diagnostic =>
  refusal(
    'misaligned-slice',
    path,
    `${ofFile(tensor, path)} is ${written(dtype, shape)}, which is not a whole number of bytes`,
    ANEW,
    tensor,
  )

/** An entry whose offsets are not a pair. */
export const offsetsNotTwo = (path: string, tensor: string, count: number): Diagnostic =>
  refusal(
    'invalid-header-deserialization',
    path,
    `${ofFile(tensor, path)} has ${count} \`data_offsets\` instead of 2`,
    ANEW,
    tensor,
  )

/** Tensors whose names would lead elsewhere if used as paths. */
export const pathLikeName = (path: string, tensor: string, count: number): Diagnostic =>
  warning(
    'odd-tensor-name',
    path,
    `${ofFile(tensor, path, count)} has a name like a path that leads elsewhere`,
    `${SOURCE}: smelt never uses names as paths, but other programs might`,
    tensor,
  )

/** A string that is not a number of bytes. */
export const sizeNotUnderstood = (text: string, at: Place | undefined): Diagnostic =>
  entry('size-not-understood', `${quoteName(text)} is not a size`, {
    at,
    help: 'write a number above 0 with a unit, such as 5GB, 500 MB or 2GiB',
  })

/** A size of a few bytes, of which the unit must be missing. */
export const sizeWithoutUnit = (text: string, at: Place | undefined): Diagnostic =>
  entry('size-without-unit', `${quoteName(text)} is a size without a unit, and would be ${inBytes(Number(text))}`, {
    at,
    help: `write the unit: \`${text}GB\`, \`${text}MB\`, or \`${text}B\` for bytes`,
  })

/** A tensor whose number of bytes does not match its dtype and shape. */
export const tensorInvalidInfo = (
  path: string,
  tensor: string,
  dtype: string,
  shape: readonly Integer[],
  bytes: bigint,
  begin: Integer,
  end: Integer,
): Diagnostic => {
  const message = `${ofFile(tensor, path)} is ${written(dtype, shape)}, which takes ${inBytes(bytes)}, but lies at bytes ${begin} to ${end}`
  return refusal('tensor-invalid-info', path, message, ANEW, tensor)
}

/** A shape that only a damaged or hostile header has. */
export const tooManyDimensions = (path: string, tensor: string, most: number): Diagnostic =>
  refusal('too-many-dimensions', path, `${ofFile(tensor, path)} has more than ${most} dimensions`, SOURCE, tensor)

/** Metadata that only a damaged or hostile header has. */
export const tooManyMetadataKeys = (path: string, most: number): Diagnostic =>
  refusal('too-many-metadata-keys', path, `\`__metadata__\` of ${path} has more than ${most} keys`, SOURCE)

/** Tensors that do not begin at a multiple of their element size. */
export const unalignedTensor = (path: string, tensor: string, count: number): Diagnostic =>
  warning(
    'unaligned-tensor',
    path,
    `${ofFile(tensor, path, count)} is not aligned to its dtype, which makes some programs slow`,
    'ignore this: tensors in files that smelt writes are aligned',
    tensor,
  )

/** A dtype that the format does not have, or spells otherwise. */
export const unknownDtype = (path: string, tensor: string, dtype: string, known: readonly string[]): Diagnostic =>
  refusal(
    'invalid-header-deserialization',
    path,
    `${ofFile(tensor, path)} has the dtype ${quoteName(dtype)}, which is not a safetensors dtype`,
    `run ${repairCommand(path)}, which corrects a dtype that is only misspelt; the format has ${known.join(', ')}`,
    tensor,
  )

/** Fields in entries that the format does not have. */
export const unknownField = (path: string, tensor: string, count: number): Diagnostic =>
  warning(
    'unknown-field',
    path,
    `${ofFile(tensor, path, count)} has fields besides dtype, shape and data_offsets, which are ignored`,
    SOURCE,
    tensor,
  )

/** A shape whose size overflows 64 bits. */
export const validationOverflow = (
  path: string,
  tensor: string,
  dtype: string,
  shape: readonly Integer[],
): Diagnostic =>
  refusal(
    'validation-overflow',
    path,
    `${ofFile(tensor, path)} is ${written(dtype, shape)}, whose size does not fit in 64 bits`,
    ANEW,
    tensor,
  )
