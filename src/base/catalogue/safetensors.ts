import type { Diagnostic, Place } from '../diagnostic.js'
import { entry } from './entry.js'
import { inBytes, inFile, ofFile, quoteName, refusal, repairCommand, warning } from './file-entry.js'

/** What was being done to a file when the system refused. */
export type IoOperation = 'create' | 'read' | 'rename' | 'sync' | 'write'

/** Why a text is not the JSON that was expected. */
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

/** Reads tensors of a checkpoint without running anything in it; `state_dict` is where many trainers keep them. */
const CONVERT =
  'python -c "import sys, torch; from safetensors.torch import save_file; ' +
  "d = torch.load(sys.argv[1], map_location='cpu', weights_only=True); d = d.get('state_dict', d); " +
  'save_file({k: v.clone().contiguous() for k, v in d.items() if torch.is_tensor(v)}, sys.argv[2])" IN OUT.safetensors'

const written = (dtype: string, shape: readonly Integer[]): string =>
  `${dtype} [${shape.slice(0, 8).join(', ')}${shape.length > 8 ? ', …' : ''}]`

/** A path with backslashes where nothing is, on a system where they are characters of the name. */
export const backslashInPath = (path: string, meant: string, exists: boolean): Diagnostic =>
  refusal(
    'file-missing',
    path,
    `there is no file ${path}: on this system a backslash is part of the name`,
    exists
      ? `did you mean ${quoteName(meant)}?`
      : 'write the path with `/`, and check it: paths in a recipe are relative to the recipe',
  )

/** A BOOL tensor with bytes that readers may take differently. */
export const boolNotBoolean = (path: string, tensor: string): Diagnostic =>
  warning(
    'bool-value',
    path,
    `BOOL ${ofFile(tensor, path)} holds bytes other than 0 and 1`,
    `it is copied as it is; ${SOURCE}`,
    tensor,
  )

/** Tensors whose names could disturb a terminal or end a text early. */
export const controlCharacterInName = (path: string, tensor: string, count: number): Diagnostic =>
  warning('odd-tensor-name', path, `${ofFile(tensor, path, count)} has a control character in its name`, SOURCE, tensor)

/** A dimension of an empty tensor that no number holds, so that it could not be written back. */
export const dimensionInexact = (path: string, tensor: string, dimension: Integer): Diagnostic =>
  refusal(
    'dimension-inexact',
    path,
    `${ofFile(tensor, path)} has the dimension ${dimension}, which cannot be held exactly`,
    ANEW,
    tensor,
  )

/** The disk, or the quota, ran full. */
export const diskFull = (path: string, doing: IoOperation, code: string): Diagnostic =>
  entry('disk-full', `no space left to ${doing} ${path} (${code})`, {
    ...inFile(path),
    blame: 'retry',
    help: 'free some space or raise the quota, then run the same command again',
  })

/** A disk that is known to be too small before work starts. */
export const diskTooSmall = (path: string, need: number, free: number): Diagnostic =>
  entry('disk-too-small', `${path} needs ${inBytes(need)} and has ${inBytes(free)} free`, {
    ...inFile(path),
    blame: 'retry',
    help: 'free some space or choose another folder, then run the same command again',
  })

/** A metadata key given twice, also by way of escapes. */
export const duplicateMetadataKey = (path: string, key: string): Diagnostic =>
  refusal(
    'duplicate-metadata-key',
    path,
    `\`__metadata__\` of ${path} has the key ${quoteName(key)} twice`,
    `run ${repairCommand(path)}, which keeps the last one: readers disagree which one counts`,
  )

/** A tensor given twice, also by way of escapes. */
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

/** A file that cannot be used at the moment. */
export const fileBusy = (path: string, doing: IoOperation, code: string): Diagnostic =>
  entry('file-busy', `cannot ${doing} ${path} now (${code})`, {
    ...inFile(path),
    blame: 'retry',
    help: 'close the program that uses it (or some of many open files), then run the same command again',
  })

/** Fewer bytes than the header promises, as an interrupted download leaves them. */
export const fileCutShort = (path: string, expected: Integer, actual: number): Diagnostic =>
  refusal(
    'metadata-incomplete-buffer',
    path,
    `${path} is cut short: its header promises ${inBytes(expected)}, the file has ${inBytes(actual)}`,
    'download or copy it again',
  )

/** Nothing at a path, with what is near it. */
export const fileMissing = (path: string, near: readonly string[]): Diagnostic => {
  const help =
    near.length > 0
      ? `did you mean ${near.map(quoteName).join(' or ')}?`
      : 'check the path: no file there has a similar name'
  return refusal('file-missing', path, `there is no file ${path}`, help)
}

/** A file beyond what the file system or a limit of the process allows. */
export const fileTooLarge = (path: string, doing: IoOperation): Diagnostic =>
  refusal(
    'file-too-large',
    path,
    `cannot ${doing} ${path}: it would be larger than the file system or \`ulimit -f\` allows`,
    'raise the limit, write to another disk, or write shards',
  )

/** Bytes after the last tensor. */
export const fileTooLong = (path: string, expected: Integer, actual: number): Diagnostic =>
  refusal(
    'metadata-incomplete-buffer',
    path,
    `${path} has ${inBytes(BigInt(actual) - BigInt(expected))} after its last tensor, and the format allows none`,
    `run ${repairCommand(path)}, which writes a copy without them`,
  )

/** A path through a folder that is not there. */
export const folderMissing = (path: string, folder: string): Diagnostic =>
  refusal(
    'file-missing',
    path,
    `there is no file ${path}: the folder ${folder} does not exist or cannot be listed`,
    'check the path: paths in a recipe are relative to the recipe, and smelt does not download models',
  )

/** A GGUF file, by its first bytes. */
export const ggufFile = (path: string): Diagnostic =>
  refusal(
    'gguf-file',
    path,
    `${path} is a GGUF file, which is mostly quantised and cannot be merged`,
    'use the safetensors checkpoint that it was made from',
  )

/** A git-lfs pointer, by its first line. */
export const gitLfsPointer = (path: string): Diagnostic =>
  refusal(
    'git-lfs-pointer',
    path,
    `${path} is a git-lfs pointer, not the file it stands for`,
    'run `git lfs pull` in its repository',
  )

/** A header that is not the JSON that the format asks for, at a byte of the file. */
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
    `run ${repairCommand(path)}, which says whether it can be mended, or download or export the file again`,
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
    'check what it is: probably not a safetensors file',
  )

/** A file that is empty or nearly so. */
export const headerTooSmall = (path: string, actual: number): Diagnostic =>
  refusal(
    'header-too-small',
    path,
    `${path} has ${inBytes(actual)}, too few for a safetensors file`,
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

/** A header that goes on past the end of the file. */
export const invalidHeaderLength = (path: string, expected: number, actual: number): Diagnostic =>
  refusal(
    'invalid-header-length',
    path,
    `${path} is cut short: its header alone ends at ${inBytes(expected)}, the file has ${inBytes(actual)}`,
    'download or copy it again; if it is whole, it is not a safetensors file',
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
    `run ${repairCommand(path)}, which says whether the two can be told apart, or download or export the file again`,
    tensor,
  )
}

/** Any other failure of the system to do something with a file. */
export const ioFailed = (path: string, doing: IoOperation, code: string): Diagnostic =>
  entry('io-failed', `cannot ${doing} ${path} (${code})`, {
    ...inFile(path),
    blame: 'run',
    help: 'check the disk and the connection to it (the system log may tell more), then run the same command again',
  })

/** Tensors of a rank that numpy and PyTorch cannot load. */
export const manyDimensions = (path: string, tensor: string, count: number): Diagnostic =>
  warning(
    'many-dimensions',
    path,
    `${ofFile(tensor, path, count)} has more than 64 dimensions, which few programs can load`,
    SOURCE,
    tensor,
  )

/** Metadata that is no map of texts. */
export const metadataNotText = (path: string, key: string | undefined, offset: number): Diagnostic =>
  refusal(
    'invalid-header-deserialization',
    path,
    key === undefined
      ? `\`__metadata__\` of ${path} is not a map, and the format allows nothing else`
      : `\`__metadata__\` of ${path} has something other than a string at ${quoteName(key)}, and the format allows only strings`,
    `run ${repairCommand(path)}, which writes a copy with metadata that is text`,
    undefined,
    offset,
  )

/** Metadata given as null, which the reference takes as none. */
export const metadataNull = (path: string, _name: string, _count: number): Diagnostic =>
  warning('metadata-null', path, `\`__metadata__\` of ${path} is null, and is read as empty`, SOURCE)

/** A tensor of 4- or 6-bit elements that ends within a byte. */
export const misalignedSlice = (path: string, tensor: string, dtype: string, shape: readonly Integer[]): Diagnostic =>
  refusal(
    'misaligned-slice',
    path,
    `${ofFile(tensor, path)} is ${written(dtype, shape)}, which fills no whole number of bytes`,
    ANEW,
    tensor,
  )

/** Something that is no folder, or is one, stands where a file is to be written. */
export const notAPlace = (path: string, doing: IoOperation, code: string): Diagnostic =>
  refusal(
    'not-a-place',
    path,
    `cannot ${doing} ${path}: something else is in the way (${code})`,
    'choose another path: every part before the last has to be a folder, and the last must not be one',
  )

/** Missing permissions, or a file system that is read-only. */
export const notPermitted = (path: string, doing: IoOperation, code: string): Diagnostic =>
  refusal(
    'not-permitted',
    path,
    `not allowed to ${doing} ${path} (${code})`,
    'change its permissions or those of its folder, or choose another path',
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
    `smelt never uses names as paths, other programs might; ${SOURCE}`,
    tensor,
  )

/** A checkpoint in pickle form, by its first bytes, with how to convert it. */
export const pickleCheckpoint = (path: string, kind: 'pickle' | 'zip'): Diagnostic => {
  const what = kind === 'zip' ? 'a zip archive, as PyTorch writes its checkpoints' : 'a Python pickle'
  return refusal(
    'pickle-checkpoint',
    path,
    `${path} is ${what}, not safetensors; reading it could run code hidden in it`,
    `convert it with PyTorch 2.10 or newer: ${CONVERT}`,
  )
}

/** A file that has become shorter than its header said when it was opened. */
export const readPastEnd = (path: string, offset: number, missing: number): Diagnostic =>
  entry(
    'read-past-end',
    `${path} ends at byte ${offset}, ${inBytes(missing)} too early: it was shortened while it was read`,
    {
      ...inFile(path, undefined, offset),
      blame: 'run',
      help: 'make sure that no other program writes to it, then run the same command again',
    },
  )

/** A text that should be a number of bytes. */
export const sizeNotUnderstood = (text: string, at: Place | undefined): Diagnostic =>
  entry('size-not-understood', `${quoteName(text)} is not a size`, {
    at,
    help: 'write a number above 0 with a unit, such as 5GB, 500 MB or 2GiB',
  })

/** A tensor whose bytes are not those of its dtype and shape. */
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

/** A text where a safetensors file should be. */
export const textFile = (path: string, start: string): Diagnostic =>
  refusal(
    'text-file',
    path,
    `${path} is a text file, not safetensors; it begins with ${quoteName(start)}`,
    /\.ya?ml$/i.test(path)
      ? 'name a model: this looks like a recipe, which `smelt plan` shows'
      : 'open it in an editor: if it was downloaded, it may be an error message of the site; then download the model again',
  )

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
    'what smelt writes is aligned',
    tensor,
  )

/** A dtype that is not one of the format, also by another spelling. */
export const unknownDtype = (path: string, tensor: string, dtype: string, known: readonly string[]): Diagnostic =>
  refusal(
    'invalid-header-deserialization',
    path,
    `${ofFile(tensor, path)} has the dtype ${quoteName(dtype)}, which the format does not have`,
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

/** A shape whose product leaves 64 bits on the way. */
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

/** A web page, as a login in the way of a download gives it. */
export const webPage = (path: string): Diagnostic =>
  refusal(
    'web-page',
    path,
    `${path} is a web page, not safetensors`,
    'a download link that needs a login gives such a page: log in, then download again',
  )
