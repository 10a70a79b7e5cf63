import type { Diagnostic } from '../diagnostic.js'
import { entry } from './entry.js'
import { commandOn, inBytes, listNames, ofFile, quoteName, refusal, warning } from './file-entry.js'

/** What is wrong with a zip archive. */
export type ZipFlaw = keyof typeof ZIP_FLAWS

const ZIP_FLAWS = {
  'bad-count': 'its directory does not list as many files as it says',
  'bad-entry': 'an entry of its directory is malformed',
  'cut-short': 'it points beyond its end',
  'directory-misplaced': 'its directory is not where its end says',
  'directory-too-large': 'its directory is larger than that of any checkpoint',
  'names-differ': 'a file has another name in the directory than in front of its data',
  'no-end': 'the record that ends every archive is missing',
  'no-local-header': 'a file is not where the directory says',
  overlap: 'two of its files overlap',
  'several-disks': 'it is a part of a split archive',
  'sizes-differ': 'the size or checksum of a file is not the same in both places',
} as const

/** What is wrong with a pickle. */
export type PickleFlaw = keyof typeof PICKLE_FLAWS

const PICKLE_FLAWS = {
  'append-to-other': 'it appends to what is not a list',
  'call-of-other': 'it calls what is not a function',
  'cut-short': 'it ends too early',
  'global-without-name': 'it imports something whose name is not a string',
  'integer-too-long': 'it holds an integer of hundreds of digits',
  'left-over': 'something follows its end',
  'mark-missing': 'a mark is missing',
  'memo-missing': 'it refers to a value that it has not stored',
  'no-storage': 'it refers to something outside that is not a storage of tensors',
  'not-utf8': 'a string is not UTF-8',
  'odd-items': 'a key has no value',
  'set-on-other': 'it sets an item of what is not a dict',
  'stack-empty': 'a value is missing',
  'state-of-other': 'it sets the state of an object that keeps none',
} as const

/** Why something is not a tensor that smelt reads. */
export type TensorReason = keyof typeof TENSOR_REASONS

const TENSOR_REASONS = {
  'bad-arguments': 'a tensor is described in a way that PyTorch does not use',
  conjugate: 'a tensor is stored conjugated or negated',
  'not-callable': 'it calls a class that makes no tensor',
  'unknown-dtype': 'a tensor has a dtype that safetensors does not have',
} as const

/** What to do about tensors that PyTorch can turn into others. */
const [OTHER_DTYPE, RESOLVED] = [
  'save it in another dtype, in PyTorch, such as `v.to(torch.complex64)` or `v.float()`',
  'save them resolved, in PyTorch: `{k: v.resolve_conj().resolve_neg() for k, v in weights.items()}`',
] as const

const ANEW = 'download or export the file again: it is damaged'
const SAVE = 'save only the weights, in PyTorch: `torch.save(model.state_dict(), "model.pt")`'
const AGAIN =
  'save it again in PyTorch: `torch.save(torch.load("OLD.pt", map_location="cpu", weights_only=True), "NEW.pt")`'

/** Modules that reach outside Python: what calls into them is an attack, or might as well be. */
const DANGEROUS =
  /^(?:(?:__builtin__|builtins)\.(?:__import__|compile|eval|exec|execfile|getattr|open|apply)$|(?:os|nt|posix|subprocess|sys|shutil|socket|runpy|pty|commands|importlib|ctypes|webbrowser|pickle|_pickle|dill|cloudpickle|marshal|code|timeit|pip|asyncio|multiprocessing|operator|functools|urllib|requests|http)(?:\.|$))/

/** How PyTorch puts together tensors that safetensors does not have. */
const SPECIAL = /^torch\._utils\._rebuild_/

/** How PyTorch calls the storages of a dtype; those of dtypes that safetensors has are read. */
const STORAGE = /^torch\.\w+Storage$/

/** A name that no state dict needs; the pickle would have Python import it. */
export const pickleGlobal = (path: string, name: string, offset: number): Diagnostic => {
  const [what, help] = DANGEROUS.test(name)
    ? [
        'which can run any command; smelt did not run it',
        'do not load this file in Python: get the model from a source that you trust, as safetensors',
      ]
    : SPECIAL.test(name)
      ? [
          'which makes quantised, sparse or other special tensors; smelt reads plain ones',
          'save plain tensors, in PyTorch, such as `v.dequantize()` or `v.to_dense()`',
        ]
      : STORAGE.test(name)
        ? ['whose dtype safetensors does not have', OTHER_DTYPE]
        : ['which is not part of a state dict; smelt runs no code from files', `if you trust the file, ${SAVE}`]
  return refusal('pickle-global', path, `${path} imports ${quoteName(name)}, ${what}`, help, undefined, offset)
}

/** An instruction of pickles that no state dict needs. */
export const pickleOpcode = (path: string, name: string, offset: number): Diagnostic =>
  refusal(
    'pickle-opcode',
    path,
    `${path} uses the pickle instruction ${name} at byte ${offset}, which no state dict needs`,
    `if you trust the file, ${SAVE}`,
    undefined,
    offset,
  )

/** A pickle that breaks its own rules. */
export const invalidPickle = (path: string, flaw: PickleFlaw, offset: number): Diagnostic =>
  refusal(
    'invalid-pickle',
    path,
    `the pickle in ${path} is not valid at byte ${offset}: ${PICKLE_FLAWS[flaw]}`,
    ANEW,
    undefined,
    offset,
  )

/** A pickle of a protocol that is not read; 0 and 1, which have no number, are text and ambiguous. */
export const pickleProtocol = (path: string, protocol: number | undefined): Diagnostic =>
  refusal(
    'pickle-protocol',
    path,
    `the pickle in ${path} has ${protocol === undefined ? 'no protocol number' : `the protocol ${protocol}`}; smelt reads 2 to 5`,
    AGAIN,
  )

/** A pickle of more instructions than a model needs. */
export const pickleTooLong = (path: string): Diagnostic =>
  refusal('pickle-too-long', path, `the pickle in ${path} holds more than any checkpoint needs`, SAVE)

/** A tensor that is not one of those that smelt reads. */
export const tensorRefused = (path: string, reason: TensorReason, offset: number): Diagnostic =>
  refusal(
    'pickled-tensor',
    path,
    `${path} cannot be read at byte ${offset}: ${TENSOR_REASONS[reason]}`,
    reason === 'unknown-dtype' ? OTHER_DTYPE : reason === 'conjugate' ? RESOLVED : SAVE,
    undefined,
    offset,
  )

/** A zip archive that is damaged, or made to be read in two ways. */
export const invalidZip = (path: string, flaw: ZipFlaw, offset?: number): Diagnostic =>
  refusal(
    'invalid-zip',
    path,
    `${path} is not a zip archive that smelt reads: ${ZIP_FLAWS[flaw]}`,
    ANEW,
    undefined,
    offset,
  )

/** A file that was packed with compression; its tensors cannot be read by position. */
export const zipCompressed = (path: string, name: string): Diagnostic =>
  refusal(
    'zip-compressed',
    path,
    `${path} is compressed: ${quoteName(name)} is not stored as it is, as PyTorch stores it`,
    'unpack it and pack the folder again without compression: `unzip OLD.pt -d folder && cd folder && zip -0 -r ../NEW.pt .`',
  )

/** An encrypted archive. */
export const zipEncrypted = (path: string, name: string): Diagnostic =>
  refusal(
    'zip-encrypted',
    path,
    `${path} is encrypted: ${quoteName(name)} cannot be read`,
    'unpack it with its password and pack the folder again: `zip -0 -r ../NEW.pt .`',
  )

/** Two files of one name. */
export const zipNameTwice = (path: string, name: string): Diagnostic =>
  refusal('zip-name-twice', path, `${path} holds two files called ${quoteName(name)}`, ANEW)

/** Bytes that are not those that were packed. */
export const zipChecksum = (path: string, name: string): Diagnostic =>
  refusal('zip-checksum', path, `${quoteName(name)} in ${path} does not match its checksum`, ANEW)

/** A file in an archive that is larger than it can be. */
export const zipEntryTooLarge = (path: string, name: string, bytes: number, most: number): Diagnostic =>
  refusal(
    'pickle-too-long',
    path,
    `${quoteName(name)} in ${path} has ${inBytes(bytes)}; at most ${inBytes(most)} are read`,
    SAVE,
  )

/** A zip archive that holds no checkpoint. */
export const notFromPytorch = (path: string, names: readonly string[]): Diagnostic =>
  refusal(
    'no-checkpoint',
    path,
    `${path} is a zip archive but not a PyTorch checkpoint: it holds ${names.length === 0 ? 'nothing' : listNames(names, 4)}`,
    'unpack it if it contains a model, and pass that',
  )

/** An archive with two pickles, of which each could be meant. */
export const severalPickles = (path: string, names: readonly string[]): Diagnostic =>
  refusal('invalid-zip', path, `${path} holds more than one checkpoint: ${listNames(names, 4)}`, ANEW)

/** A program of TorchScript. */
export const torchScript = (path: string): Diagnostic =>
  refusal(
    'torchscript',
    path,
    `${path} is a TorchScript program, not a checkpoint`,
    'save its weights in PyTorch: `torch.save(torch.jit.load("OLD.pt").state_dict(), "NEW.pt")`',
  )

/** Numbers in the order of another kind of machine. */
export const notLittleEndian = (path: string, order: string): Diagnostic =>
  refusal(
    'big-endian',
    path,
    `${path} was written on a machine whose bytes are in another order (${quoteName(order)})`,
    `on any usual machine, ${AGAIN}`,
  )

/** A checkpoint without tensors in a dict. */
export const noStateDict = (path: string): Diagnostic =>
  refusal('no-state-dict', path, `${path} holds no dict of tensors`, SAVE)

/** A checkpoint with several models. */
export const severalStateDicts = (path: string, names: readonly string[]): Diagnostic =>
  refusal(
    'several-state-dicts',
    path,
    `${path} holds more than one dict of tensors: ${listNames(names)}`,
    `choose one: ${commandOn(`smelt convert --key ${names[0]}`, path)}`,
  )

/** `--key` leads to no tensors. */
export const keyWithoutTensors = (path: string, key: string, names: readonly string[]): Diagnostic =>
  entry('no-state-dict', `${path} has no dict of tensors called ${quoteName(key)}`, {
    at: { type: 'option', name: '--key' },
    blame: 'usage',
    help: names.length === 0 ? 'leave out `--key`' : `choose one of ${listNames(names)}`,
  })

/** A tensor under a key that is not a string. */
export const tensorUnnamed = (path: string, key: string): Diagnostic =>
  refusal('tensor-unnamed', path, `${path} holds a tensor under the key ${quoteName(key)}, which is not a string`, SAVE)

/** A tensor whose storage is not in the archive. */
export const storageMissing = (path: string, tensor: string, key: string): Diagnostic =>
  refusal('invalid-storage', path, `${ofFile(tensor, path)} has no data: \`data/${key}\` is missing`, ANEW, tensor)

/** A storage of another length than the pickle says. */
export const storageSize = (path: string, tensor: string, claimed: number, found: number): Diagnostic =>
  refusal(
    'invalid-storage',
    path,
    `${ofFile(tensor, path)} needs a storage of ${inBytes(claimed)}, and the file has ${inBytes(found)} of it`,
    ANEW,
    tensor,
  )

/** A view that leaves its storage. */
export const tensorOutside = (path: string, tensor: string): Diagnostic =>
  refusal('invalid-storage', path, `${ofFile(tensor, path)} reaches beyond the end of its storage`, ANEW, tensor)

/** A tensor of more elements than any file has. */
export const tensorTooLarge = (path: string, tensor: string, shape: readonly number[]): Diagnostic =>
  refusal(
    'invalid-storage',
    path,
    `${ofFile(tensor, path)} has the shape [${shape.slice(0, 8).join(', ')}], which is too large`,
    ANEW,
    tensor,
  )

/** A tensor that safetensors cannot name. */
export const tensorNameRefused = (path: string, tensor: string): Diagnostic =>
  refusal(
    'reserved-name',
    path,
    `${path} has a tensor called ${quoteName(tensor)}, which no safetensors file can hold`,
    SAVE,
    tensor,
  )

/** Names that fill a header. */
export const tooManyTensors = (path: string): Diagnostic =>
  refusal('header-too-large', path, `${path} has more tensors than the header of a safetensors file can list`, SAVE)

/** Views whose elements do not lie one after another; a build reads tensors as they lie. */
export const tensorsStrided = (path: string, tensors: readonly string[]): Diagnostic =>
  refusal(
    'tensor-not-contiguous',
    path,
    `${ofFile(tensors[0]!, path, tensors.length)} is stored transposed or as a view of a larger one`,
    `run ${commandOn('smelt convert', path)}, and use the safetensors file that it writes`,
    tensors[0],
  )

/** A view that would take more memory to put in order than there may be. */
export const viewTooLarge = (path: string, tensor: string, bytes: number): Diagnostic =>
  refusal(
    'tensor-not-contiguous',
    path,
    `${ofFile(tensor, path)} is stored transposed, and ${inBytes(bytes)} are too many to put in order`,
    'save it again in PyTorch with `{k: v.contiguous() for k, v in weights.items()}`',
    tensor,
  )

/** What of a checkpoint is not part of the model. */
export const entriesSkipped = (path: string, names: readonly string[], tensors: number): Diagnostic =>
  warning(
    'entries-skipped',
    path,
    `${path} also holds ${names.length.toLocaleString('en-US')} ${names.length === 1 ? 'entry' : 'entries'} that ${names.length === 1 ? 'is' : 'are'} not part of the model${tensors === 0 ? '' : `, with ${tensors.toLocaleString('en-US')} tensor${tensors === 1 ? '' : 's'}`}: ${listNames(names, 5)}`,
    tensors === 0
      ? 'nothing to do: smelt reads only the tensors of the model'
      : `to use others, run ${commandOn('smelt convert --key NAME', path)}`,
  )

/** What `smelt convert` takes. */
export const nothingToConvert = (path: string): Diagnostic =>
  refusal(
    'nothing-to-convert',
    path,
    `${path} is safetensors already`,
    'use it as it is: recipes and commands take safetensors files',
  )

/** The converted copy would overwrite something. */
export const convertTargetExists = (path: string): Diagnostic =>
  entry('convert-target-exists', `${path} already exists, and \`smelt convert\` overwrites nothing`, {
    at: { type: 'file', path },
    blame: 'usage',
    help: 'pass another name with `-o`, or move that file away',
  })

/** What `smelt convert` did besides copying, as sentences in the past tense. */
export const converted = {
  key: (key: string): string => `took the tensors of ${quoteName(key)}`,
  shared: (names: readonly string[]): string =>
    `wrote ${names.length.toLocaleString('en-US')} tensor${names.length === 1 ? '' : 's'} that shared storage with another as ${names.length === 1 ? 'a copy' : 'copies'} of ${names.length === 1 ? 'its' : 'their'} own: ${listNames(names, 3)}`,
  skipped: (names: readonly string[], tensors: number): string =>
    `left out ${names.length.toLocaleString('en-US')} other ${names.length === 1 ? 'entry' : 'entries'}${tensors === 0 ? '' : ` with ${tensors.toLocaleString('en-US')} tensor${tensors === 1 ? '' : 's'}`}: ${listNames(names, 5)}`,
  strided: (names: readonly string[]): string =>
    `put ${names.length.toLocaleString('en-US')} tensor${names.length === 1 ? '' : 's'} in order that ${names.length === 1 ? 'was' : 'were'} stored as a view: ${listNames(names, 3)}`,
} as const
