import type { Diagnostic } from '../diagnostic.js'
import { entry } from './entry.js'
import { inBytes, quoteName } from './file-entry.js'

/** Why a file cannot be installed, as the end of a sentence. */
export const CUDA_REASONS = {
  checksum: 'its checksum is wrong',
  'cut-short': 'it is cut short',
  'no-archive': 'it is neither a wheel nor a tarball',
  'no-elf': 'it is not a 64-bit ELF file',
  'other-machine': 'it is not a shared library for x86-64',
  'too-long': 'it is longer than it says',
} as const

/** The end of a sentence on a file that claims more bytes than any release has. */
export const tooManyBytes = (name: string, bytes: number): string =>
  `${name} says that it has ${inBytes(bytes)}, which is too many`

/** The end of a sentence on an archive with a path that leads out of it. */
export const leavesFolder = (path: string): string => `it holds a path that leaves its folder: ${quoteName(path)}`

/** The end of a sentence on a file that came without one it belongs to. */
export const comesAlone = (missing: string): string => `${missing}, which belongs to it, is not there too`

/** The end of a sentence on a device that computes other bits than the processor. */
export const bytesDiffer = (count: number, of: number): string =>
  `${count.toLocaleString('en-US')} of ${inBytes(of)} of a small program differ from those the processor computes`

/** Why WebGPU cannot be used where the library that it needs is missing. */
export const vulkanMissing = (name: string): string => `there is no Vulkan (${name})`

const INSTALL = 'run `smelt cuda`, which gets what is missing'
const at = (path: string) => ({ at: { type: 'file', path } as const })

/** A file on the way to be installed is not what it should be. */
export const cudaFileBad = (name: string, source: string, reason: string): Diagnostic =>
  entry('cuda-file-bad', `${name} of ${source} cannot be used: ${reason}`, {
    ...at(source),
    help: 'download the file again: it may be incomplete, or for another platform',
  })

/** Something could not be fetched, and nothing was given to take it from. */
export const cudaNotFetched = (files: readonly string[], reasons: readonly string[], command: string): Diagnostic =>
  entry('cuda-not-fetched', `what CUDA needs could not be downloaded: ${reasons.join('; ')}`, {
    blame: 'retry',
    help: `on a machine with internet run \`${command}\`, bring the folder here, and run \`smelt cuda FOLDER\`; it has to hold ${files.join(', ')}`,
  })

/** Where ONNX Runtime lies nothing can be written. */
export const cudaLinkRefused = (folder: string, reason: string): Diagnostic =>
  entry('cuda-link-refused', `the provider cannot be put beside ONNX Runtime in ${folder}: ${reason}`, {
    ...at(folder),
    blame: 'run',
    help: 'run `smelt cuda` once as the user who installed smelt, or install smelt in a folder of your own',
  })

/** Libraries that the provider needs are nowhere. */
export const cudaLibrariesMissing = (names: readonly string[]): Diagnostic =>
  entry('cuda-libraries-missing', `CUDA cannot be used without ${names.join(', ')}`, {
    blame: 'run',
    help: `${INSTALL}, or name the folder that holds them in SMELT_CUDA_LIBRARIES`,
  })

/** A library was found and cannot be loaded. */
export const cudaLibraryBroken = (name: string, path: string, reason: string): Diagnostic =>
  entry('cuda-library-broken', `${name} cannot be loaded: ${reason}`, {
    ...at(path),
    blame: 'run',
    help: 'repair or remove the file and run `smelt cuda`, or name a folder with a good one in SMELT_CUDA_LIBRARIES',
  })

/** The driver is too old, or does not answer. */
export const cudaDriverOld = (driver: string | undefined, major: number): Diagnostic =>
  entry(
    'cuda-driver-old',
    driver === undefined
      ? `the NVIDIA driver does not answer, and CUDA ${major} is needed`
      : `the NVIDIA driver can do CUDA ${driver}, and CUDA ${major} is needed`,
    {
      blame: 'run',
      help: 'update the NVIDIA driver to release 580 or newer (`nvidia-smi` shows what is installed), or use `--device cpu`',
    },
  )

/** There is no driver. */
export const cudaDriverMissing = (name: string): Diagnostic =>
  entry('cuda-driver-missing', `there is no NVIDIA driver here (${name})`, {
    blame: 'run',
    help: 'install the NVIDIA driver, release 580 or newer, or give the container the GPU (`--gpus all`); without an NVIDIA GPU use `--device cpu`',
  })

/** The driver shows no device. */
export const cudaNoDevice = (error: number): Diagnostic =>
  entry('cuda-no-device', `CUDA finds no device${error === 0 ? '' : ` (error ${error} of its runtime)`}`, {
    blame: 'run',
    help: 'check that `nvidia-smi` lists one and that CUDA_VISIBLE_DEVICES does not hide it, or use `--device cpu`',
  })

/** The native part of the program that calls libraries is missing. */
export const cudaNoCalls = (reason: string): Diagnostic =>
  entry('cuda-no-calls', `libraries cannot be called from here: ${reason}`, {
    blame: 'run',
    help: 'run `npm install` again in the folder of smelt, for this platform and with optional packages',
  })

/** No device has this number. */
export const cudaNoSuchDevice = (index: number, devices: readonly string[]): Diagnostic =>
  entry('cuda-no-such-device', `unknown CUDA device ${index}`, {
    at: { type: 'option', name: '--device' },
    blame: 'usage',
    help: `use one of ${devices.join(', ')}`,
  })

/** CUDA on a platform for which there is no provider. */
export const cudaNotOffered = (platform: string): Diagnostic =>
  entry('cuda-not-offered', `CUDA is offered on linux-x64 only, and this is ${platform}`, {
    blame: 'usage',
    help: 'use `--device webgpu` or `--device cpu`',
  })

/** ONNX Runtime is not installed, so that nothing can be put beside it. */
export const cudaNoRuntime = (): Diagnostic =>
  entry('cuda-no-runtime', 'onnxruntime-node is not installed', {
    blame: 'run',
    help: 'run `npm install` again in the folder of smelt',
  })

/** The provider is not beside ONNX Runtime. */
export const cudaProviderMissing = (needed: string): Diagnostic =>
  entry('cuda-provider-missing', `the CUDA provider of ONNX Runtime ${needed} is not installed`, {
    blame: 'run',
    help: INSTALL,
  })

/** The provider is of another version than ONNX Runtime: it would load and compute garbage. */
export const cudaProviderWrong = (path: string, version: string | undefined, needed: string): Diagnostic =>
  entry(
    'cuda-provider-wrong',
    `the CUDA provider is made for ONNX Runtime ${version ?? '(unknown version)'}, and ${needed} is installed: incompatible versions would give wrong results`,
    {
      ...at(path),
      blame: 'run',
      help: 'run `smelt cuda`, which gets the right one',
    },
  )

/** None of the providers in what was given is the one that is needed. */
export const cudaProviderRefused = (source: string, version: string | undefined, needed: string): Diagnostic =>
  entry(
    'cuda-provider-refused',
    `${source} holds the provider for ONNX Runtime ${version ?? '(unknown version)'}, and ${needed} is installed: incompatible versions would give wrong results`,
    {
      ...at(source),
      help: `give the one of onnxruntime-gpu ${needed}`,
    },
  )

/** A program came back from the device with wrong numbers. */
export const cudaWrongNumbers = (device: number, details: string): Diagnostic =>
  entry('cuda-wrong-numbers', `CUDA device ${device} computes wrong numbers: ${details}`, {
    blame: 'run',
    help: 'do not trust it: run `smelt cuda` to reinstall the provider and the libraries, and if that does not help, have the GPU tested; `--device cpu` works',
  })

/** The device cannot run a small program. */
export const cudaUnusable = (device: number, reason: string): Diagnostic =>
  entry('cuda-unusable', `CUDA device ${device} cannot run a small program: ${reason}`, {
    blame: 'run',
    help: '`smelt doctor` shows what is installed; use `--device cpu` meanwhile',
  })

/** The CUDA runtime is one of another major version. */
export const cudaRuntimeWrong = (runtime: string, major: number): Diagnostic =>
  entry('cuda-runtime-wrong', `the libraries found are of CUDA ${runtime}, and CUDA ${major} is needed`, {
    blame: 'run',
    help: `${INSTALL}, or name a folder with those of CUDA ${major} in SMELT_CUDA_LIBRARIES`,
  })

/** A source is not there. */
export const cudaSourceMissing = (source: string, reason: string): Diagnostic =>
  entry('cuda-source-missing', `${source} cannot be read: ${reason}`, {
    ...at(source),
    help: 'name a wheel, a tarball or a folder',
  })

/** A source is nothing that files can be taken from. */
export const cudaSourceUnknown = (source: string, reason: string): Diagnostic =>
  entry('cuda-source-unknown', `nothing can be taken from ${source}: ${reason}`, {
    ...at(source),
    help: 'name a wheel (.whl), a tarball (.tgz, .tar.gz, .tar) or a folder, whole and not encrypted',
  })

/** Nothing that CUDA needs is in what was given. */
export const cudaSourceEmpty = (source: string, wanted: readonly string[]): Diagnostic =>
  entry('cuda-source-empty', `${source} holds nothing that CUDA needs`, {
    ...at(source),
    help: `it should hold some of ${wanted.join(', ')}`,
  })

/** How a program ended that was to download something, where it says nothing itself. */
export const endedWith = (how: string | number | null): string => `it ended with ${how}`

/** What is downloaded for ONNX Runtime. */
export const providerOf = (version: string): string => `the provider of onnxruntime-node ${version}`

/** What is downloaded from PyPI. */
export const wheelOf = (requirement: string): string => `the wheel of ${requirement}`
