import type { Diagnostic } from '../diagnostic.js'
import { entry } from './entry.js'
import { inBytes, listNames, ofFile, quoteName, refusal } from './file-entry.js'

const many = (count: number, noun: string): string =>
  `${count.toLocaleString('en-US')} ${noun}${count === 1 ? '' : 's'}`

/** How one defect was repaired, in the past tense. */
export const mended = {
  aligned: (tensors: readonly string[]): string =>
    `moved ${many(tensors.length, 'tensor')} to a multiple of the size of ${tensors.length === 1 ? 'its' : 'their'} elements: ${listNames(tensors, 3)}`,
  byteOrderMark: 'removed the byte order mark in front of the header',
  copied: (tensors: readonly string[]): string =>
    `gave ${many(tensors.length, 'tensor')} that shared the bytes of another a copy of its own: ${listNames(tensors, 3)}`,
  dtypes: (tensors: readonly string[]): string =>
    `wrote the dtype of ${many(tensors.length, 'tensor')} as the format spells it: ${listNames(tensors, 3)}`,
  empty: (tensors: readonly string[]): string =>
    `moved ${many(tensors.length, 'empty tensor')} to where the one before ends: ${listNames(tensors, 3)}`,
  fields: (tensors: readonly string[]): string =>
    `removed fields that the format does not have from ${many(tensors.length, 'tensor')}: ${listNames(tensors, 3)}`,
  header: 'wrote the header again',
  holes: (count: number, bytes: number): string =>
    `removed ${many(count, 'hole')} between tensors, ${inBytes(bytes)} that belong to none`,
  metadataKeys: (keys: readonly string[]): string =>
    `kept the last of several values in the metadata, as most programs read them: ${listNames(keys, 3)}`,
  metadataNull: 'removed metadata that was null',
  metadataShape: 'wrote metadata that was not a map as the string `metadata`',
  metadataTexts: (keys: readonly string[]): string =>
    `wrote ${many(keys.length, 'value')} of the metadata as strings: ${listNames(keys, 5)}`,
  numbers: (tensors: readonly string[]): string =>
    `wrote shapes and offsets of ${many(tensors.length, 'tensor')} as whole numbers: ${listNames(tensors, 3)}`,
  padding: (bytes: number): string => `removed ${inBytes(bytes)} of zeros behind the header`,
  trailing: (bytes: number): string => `removed ${inBytes(bytes)} after the last tensor`,
  twice: (tensors: readonly string[]): string =>
    `removed the second of two equal entries of ${many(tensors.length, 'tensor')}: ${listNames(tensors, 3)}`,
  index: (name: string, shards: number): string =>
    `wrote ${quoteName(name)}, which names the tensors of ${many(shards, 'shard')}`,
} as const

const ORIGINAL = 'download or export the file again: the correct bytes cannot be told from this one'

/** A file that lacks information or contradicts itself. */
export const notMendable = (path: string, reason: string, tensor?: string): Diagnostic =>
  refusal('not-mendable', path, `${path} cannot be repaired: ${reason}`, ORIGINAL, tensor)

/** Why a file cannot be repaired, as the end of a sentence. */
export const UNMENDABLE = {
  cutShort: (missing: number): string => `${inBytes(missing)} are missing at its end`,
  field: (tensor: string, field: string): string => `tensor ${quoteName(tensor)} has no \`${field}\` that can be read`,
  fieldTwice: (tensor: string, field: string): string => `tensor ${quoteName(tensor)} has \`${field}\` twice`,
  metadataTensor: 'a tensor is called `__metadata__`, which the format reserves for metadata',
  overlap: (tensor: string, other: string): string =>
    `tensors ${quoteName(other)} and ${quoteName(tensor)} share some of their bytes, so one of them is wrong`,
  size: (tensor: string): string =>
    `tensor ${quoteName(tensor)} does not have the number of bytes that its dtype and shape need`,
  twice: (tensor: string): string => `there are two different tensors ${quoteName(tensor)}`,
} as const

/** A repaired copy would overwrite something. */
export const repairTargetExists = (path: string): Diagnostic =>
  entry('repair-target-exists', `${path} already exists, and \`smelt repair\` overwrites nothing`, {
    at: { type: 'file', path },
    blame: 'usage',
    help: 'pass another name with `--out`, or move that file away',
  })

/** Some shards of a model are missing. */
export const shardsIncomplete = (folder: string, present: readonly number[], of: number): Diagnostic =>
  refusal(
    'shards-missing',
    folder,
    `folder ${folder} holds ${many(present.length, 'shard')} of ${of}, and no index`,
    `download the others (${listNames([...Array(Math.min(of, 1000)).keys()].map((i) => i + 1).filter((n) => !present.includes(n)))}), then run \`smelt repair\` on the folder`,
  )

/** A tensor in two shards without an index. */
export const shardsDisagree = (folder: string, tensor: string, first: string, second: string): Diagnostic =>
  refusal(
    'tensor-in-two-shards',
    folder,
    `${ofFile(tensor, folder)} is in ${quoteName(first)} and in ${quoteName(second)}, and no index says which one to use`,
    'download the index that belongs to these shards',
    tensor,
  )

/** A folder without shards to write an index for. */
export const nothingToIndex = (folder: string): Diagnostic =>
  refusal(
    'nothing-to-index',
    folder,
    `folder ${folder} holds no shards that lack an index`,
    'pass a file to repair, or a folder of shards such as `model-00001-of-00002.safetensors`',
  )
