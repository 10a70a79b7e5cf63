import type { Diagnostic } from '../diagnostic.js'
import { inBytes, listNames, ofFile, quoteName, refusal, repairCommand, warning } from './file-entry.js'
import { JSON_REASONS } from './safetensors.js'
import type { JsonReason } from './safetensors.js'

/** Why a shard's file name is not accepted. */
export type ShardNameFlaw = keyof typeof SHARD_NAME_FLAWS

const SHARD_NAME_FLAWS = {
  absolute: 'is absolute',
  backslash: 'holds a backslash',
  control: 'holds a control character',
  dots: 'has a `.` or `..` part',
  empty: 'has an empty part',
  escape: 'holds a percent escape',
  suffix: 'has another extension than the index',
} as const

const REINDEX = 'correct the index, or download or export the model again'

/** A folder with more than one model: smelt does not guess. */
export const folderAmbiguous = (path: string, names: readonly string[]): Diagnostic => {
  const whole = names.find((name) => !/-\d+-of-\d+\.safetensors$/.test(name)) ?? names[0]!
  return refusal(
    'folder-ambiguous',
    path,
    `folder ${path} holds more than one model: ${listNames(names)}`,
    `pass the one that you want, such as ${quoteName(`${path}/${whole}`)}, or delete what an earlier build left`,
  )
}

/** A folder with an index and files that are not its shards. */
export const folderWithOthers = (path: string, index: string, others: readonly string[]): Diagnostic =>
  refusal(
    'folder-ambiguous',
    path,
    `folder ${path} holds ${quoteName(index)} and ${others.length === 1 ? 'a file that is not one of' : 'files that are not'} its shards: ${listNames(others)}`,
    `delete ${others.length === 1 ? 'it' : 'them'} if an earlier build left ${others.length === 1 ? 'it' : 'them'}, or pass the index itself: ${quoteName(`${path}/${index}`)}`,
  )

/** A folder with an index none of whose shards is there, and other files. */
export const indexAlone = (path: string, index: string, others: readonly string[]): Diagnostic =>
  refusal(
    'folder-ambiguous',
    path,
    `folder ${path} holds ${quoteName(index)} without its shards, and ${listNames(others)}`,
    `delete the index if ${others.length === 1 ? `${quoteName(others[0]!)} is` : 'these are'} the model, or pass ${quoteName(`${path}/${others[0]}`)} itself`,
  )

/** A folder without a model; `below` are the folders in it that hold one. */
export const folderWithoutModel = (path: string, names: readonly string[], below: readonly string[]): Diagnostic => {
  const checkpoints = names.filter((name) => /\.(?:bin|ckpt|pt|pth)$/i.test(name))
  const folder = below.find((name) => /^(?:unet|transformer)$/.test(name)) ?? below[0]
  if (folder !== undefined && names.includes('model_index.json'))
    return refusal(
      'folder-without-model',
      path,
      `folder ${path} is a pipeline of diffusers: each of its networks is a model of its own, in ${listNames(below)}`,
      `pass one of these folders, such as ${quoteName(`${path}/${folder}`)}, and merge each network with its like`,
    )
  return refusal(
    'folder-without-model',
    path,
    `folder ${path} holds no model that smelt can open; it holds ${names.length > 0 ? listNames(names) : 'nothing'}`,
    checkpoints.some((name) => /-\d+-of-\d+\.bin$/.test(name))
      ? 'download `pytorch_model.bin.index.json`, which says which of these files holds which tensor'
      : folder !== undefined
        ? `pass the folder that holds the weights, such as ${quoteName(`${path}/${folder}`)}`
        : checkpoints.length > 1
          ? `pass the file that you want, such as ${quoteName(`${path}/${checkpoints[0]}`)}`
          : 'pass the folder that holds the weights, or the file itself',
  )
}

/** An index beside a single file, of which the recipe names one. */
export const indexBeside = (path: string, other: string): Diagnostic =>
  warning(
    'index-beside',
    path,
    `reading ${path} and not ${other}, although each holds the whole model`,
    'pass the other one if you want that',
  )

/** A key of an index given twice. */
export const indexKeyTwice = (path: string, key: string): Diagnostic =>
  refusal('invalid-index', path, `index ${path} has the key ${quoteName(key)} twice`, REINDEX)

/** An index that is not valid JSON for an index, at a byte of the file. */
export const indexNotJson = (path: string, reason: JsonReason, offset: number): Diagnostic =>
  refusal(
    'invalid-index',
    path,
    `index ${path} is not valid at byte ${offset}: ${JSON_REASONS[reason]}`,
    REINDEX,
    undefined,
    offset,
  )

/** An index that is not UTF-8. */
export const indexNotUtf8 = (path: string): Diagnostic =>
  refusal('invalid-index', path, `index ${path} is not UTF-8`, REINDEX)

/** An index larger than any real one. */
export const indexTooLarge = (path: string, size: number, most: number): Diagnostic =>
  refusal(
    'index-too-large',
    path,
    `index ${path} has ${inBytes(size)}; at most ${inBytes(most)} are read`,
    'check that it is an index',
  )

/** A single shard opened as if it were the model. */
export const oneShardOnly = (path: string, number: number, of: number): Diagnostic =>
  warning(
    'one-shard-only',
    path,
    `${path} is shard ${number} of ${of}; the others are not read`,
    'pass the index or the folder to read all',
  )

/** An index with a tensor called `__metadata__`. */
export const reservedWeight = (path: string): Diagnostic =>
  refusal(
    'reserved-name',
    path,
    `index ${path} names a tensor \`__metadata__\`, which no safetensors file can hold`,
    REINDEX,
    '__metadata__',
  )

/** Shards in folders below the index. */
export const shardInSubfolder = (path: string, shard: string): Diagnostic =>
  warning(
    'shard-in-subfolder',
    path,
    `index ${path} names shards in other folders, such as ${quoteName(shard)}`,
    'move them beside the index if other programs cannot read the model: few support this',
  )

/** A shard name that could lead out of its folder, here or on another system. */
export const shardNameRefused = (path: string, shard: string, flaw: ShardNameFlaw): Diagnostic =>
  refusal(
    'shard-name-refused',
    path,
    `index ${path} names the shard ${quoteName(shard)}, which ${SHARD_NAME_FLAWS[flaw]}`,
    `${REINDEX}: shards must be ${path.endsWith('.bin.index.json') ? '.bin' : '.safetensors'} files in the folder of the index`,
  )

/** Two shard names that are the same file on some file systems. */
export const shardNamesCollide = (path: string, shard: string, other: string): Diagnostic =>
  refusal(
    'shard-names-collide',
    path,
    `index ${path} names the shards ${quoteName(shard)} and ${quoteName(other)}, which are the same file on systems that ignore case`,
    'rename one of them, also in the index',
  )

/** Missing shards, all in one message. */
export const shardsMissing = (path: string, shards: readonly string[]): Diagnostic =>
  refusal(
    'shards-missing',
    path,
    `${shards.length} shard${shards.length > 1 ? 's' : ''} of ${path} ${shards.length > 1 ? 'are' : 'is'} missing: ${listNames(shards)}`,
    'download or copy them beside the index',
  )

/** Shards of one model in a folder without an index. */
export const shardsWithoutIndex = (path: string, shards: readonly string[], of: number): Diagnostic =>
  refusal(
    'shards-without-index',
    path,
    `folder ${path} holds ${shards.length === of ? `all ${of}` : `${shards.length} of the ${of}`} shards of a model (${listNames(shards, 2)}), but no index that says which shard holds which tensor`,
    shards.length === of
      ? `run ${repairCommand(path)}, which writes the index, or download it: it is called \`….safetensors.index.json\``
      : 'download the other shards and the index, `….safetensors.index.json`',
  )

/** Shard numbers with gaps, or not as many as the names say. */
export const shardsOddlyNumbered = (path: string, present: readonly number[], of: number): Diagnostic =>
  warning(
    'shards-oddly-numbered',
    path,
    `index ${path} names the shards numbered ${listNames(present)} of ${of}`,
    'download or export the model again if shards are missing from the index',
  )

/** A shard that is a link to somewhere else. */
export const shardStrays = (path: string, shard: string): Diagnostic =>
  refusal(
    'shard-strays',
    path,
    `shard ${quoteName(shard)} of ${path} is a link that leads out of the folder of the index`,
    'replace the link by the file',
  )

/** Tensors that are in other shards too, besides the one the index names. */
export const tensorsInTwoShards = (path: string, tensors: readonly string[], shard: string): Diagnostic =>
  warning(
    'tensor-in-two-shards',
    path,
    `${ofFile(tensors[0] ?? '', path, tensors.length)} is in more than one shard`,
    `check that the shard named in the index (${quoteName(shard)}), which is used, is the right one`,
    tensors[0],
  )

/** Tensors in shards that the index leaves out. */
export const tensorsNotInIndex = (path: string, tensors: readonly string[]): Diagnostic =>
  warning(
    'tensor-not-in-index',
    path,
    `the shards of ${path} hold tensors that it does not name, which are not read: ${listNames(tensors, 3)}`,
    REINDEX,
    tensors[0],
  )

/** Tensors that the index places in shards which lack them. */
export const tensorsNotInShards = (path: string, tensors: readonly string[], shard: string): Diagnostic =>
  refusal(
    'tensor-not-in-shard',
    path,
    `index ${path} names tensors that its shards do not hold, the first in ${quoteName(shard)}: ${listNames(tensors, 3)}`,
    `${REINDEX}: index and shards are of different models or versions`,
    tensors[0],
  )

/** More shards than any real model has. */
export const tooManyShards = (path: string, count: number, most: number): Diagnostic =>
  refusal('too-many-shards', path, `index ${path} names ${count} shards; at most ${most} are read`, REINDEX)

/** A `total_size` that is not the sum of the tensors. */
export const totalSizeDiffers = (path: string, claimed: number, actual: number): Diagnostic =>
  warning(
    'total-size-differs',
    path,
    `index ${path} claims ${inBytes(claimed)} of tensors; there are ${inBytes(actual)}`,
    'ignore this if nothing else is reported',
  )

/** An index that names no tensor. */
export const weightMapEmpty = (path: string): Diagnostic =>
  refusal('weight-map-empty', path, `\`weight_map\` of index ${path} names no tensor`, REINDEX)

/** An index without its one necessary field. */
export const weightMapMissing = (path: string): Diagnostic =>
  refusal(
    'weight-map-missing',
    path,
    `index ${path} has no \`weight_map\``,
    `${REINDEX}: \`weight_map\` says which file holds each tensor`,
  )

/** A tensor that an index names twice, perhaps once with escapes. */
export const weightTwice = (path: string, tensor: string): Diagnostic =>
  refusal(
    'weight-twice',
    path,
    `\`weight_map\` of index ${path} has the tensor ${quoteName(tensor)} twice`,
    `${REINDEX}: programs disagree on which one they use`,
    tensor,
  )
