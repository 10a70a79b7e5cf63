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
  'too-long': 'it is longer than its header says',
} as const

/** The end of a sentence on a file that claims more bytes than any release has. */
export const tooManyBytes = (name: string, bytes: number): string =>
  `${name} claims ${inBytes(bytes)}, more than any release has`

/** The end of a sentence on an archive with a path that leads out of it. */
export const leavesFolder = (path: string): string => `it holds a path that leaves its folder: ${quoteName(path)}`

/** The end of a sentence on a file that came without another it needs. */
export const comesAlone = (missing: string): string => `${missing}, which it needs, is missing`

/** The end of a sentence on a device whose results differ from the CPU's. */
export const bytesDiffer = (count: number, of: number): string =>
  `${count.toLocaleString('en-US')} of ${inBytes(of)} that a test program computed differ from the CPU's`

/** Why WebGPU cannot be used: the library that it needs is missing. */
export const vulkanMissing = (name: string): string => `Vulkan was not found (${name})`

const INSTALL = 'run `smelt cuda`, which installs what is missing'
const at = (path: string) => ({ at: { type: 'file', path } as const })

/** A file that was to be installed is damaged or the wrong one. */
export const cudaFileBad = (name: string, source: string, reason: string): Diagnostic =>
  entry('cuda-file-bad', `${name} from ${source} cannot be used: ${reason}`, {
    ...at(source),
    help: 'download the file again: it may be incomplete, or for another platform',
  })

/** A download failed, and no source was given. */
export const cudaNotFetched = (files: readonly string[], reasons: readonly string[], command: string): Diagnostic =>
  entry('cuda-not-fetched', `what CUDA needs could not be downloaded: ${reasons.join('; ')}`, {
    blame: 'retry',
    help: `on a machine with internet run \`${command}\`, copy the folder here, and run \`smelt cuda FOLDER\`; it must contain ${files.join(', ')}`,
  })

/** The folder of ONNX Runtime cannot be written to. */
export const cudaLinkRefused = (folder: string, reason: string): Diagnostic =>
  entry('cuda-link-refused', `cannot install the provider beside ONNX Runtime in ${folder}: ${reason}`, {
    ...at(folder),
    blame: 'run',
    help: 'run `smelt cuda` once as the user who installed smelt, or install smelt in a folder of your own',
  })

/** Libraries that the provider needs were not found. */
export const cudaLibrariesMissing = (names: readonly string[]): Diagnostic =>
  entry('cuda-libraries-missing', `CUDA cannot be used without ${names.join(', ')}`, {
    blame: 'run',
    help: `${INSTALL}, or set SMELT_CUDA_LIBRARIES to the folder that holds them`,
  })

/** A library was found but cannot be loaded. */
export const cudaLibraryBroken = (name: string, path: string, reason: string): Diagnostic =>
  entry('cuda-library-broken', `${name} cannot be loaded: ${reason}`, {
    ...at(path),
    blame: 'run',
    help: 'repair or remove the file and run `smelt cuda`, or set SMELT_CUDA_LIBRARIES to a folder with a good one',
  })

/** The driver is too old, or does not respond. */
export const cudaDriverOld = (driver: string | undefined, major: number): Diagnostic =>
  entry(
    'cuda-driver-old',
    driver === undefined
      ? `the NVIDIA driver does not respond; CUDA ${major} is needed`
      : `the NVIDIA driver supports CUDA ${driver}; CUDA ${major} is needed`,
    {
      blame: 'run',
      help: 'update the NVIDIA driver to release 580 or newer (`nvidia-smi` shows what is installed), or use `--device cpu`',
    },
  )

/** There is no driver. */
export const cudaDriverMissing = (name: string): Diagnostic =>
  entry('cuda-driver-missing', `no NVIDIA driver found (${name})`, {
    blame: 'run',
    help: 'install the NVIDIA driver, release 580 or newer, or give the container the GPU (`--gpus all`); without an NVIDIA GPU use `--device cpu`',
  })

/** The driver shows no device. */
export const cudaNoDevice = (error: number): Diagnostic =>
  entry('cuda-no-device', `CUDA finds no device${error === 0 ? '' : ` (runtime error ${error})`}`, {
    blame: 'run',
    help: 'check that `nvidia-smi` lists one and that CUDA_VISIBLE_DEVICES does not hide it, or use `--device cpu`',
  })

/** The native addon that calls libraries does not work. */
export const cudaNoCalls = (reason: string): Diagnostic =>
  entry('cuda-no-calls', `native libraries cannot be loaded here: ${reason}`, {
    blame: 'run',
    help: 'run `npm install` again in smelt’s folder, on this platform and with optional packages',
  })

/** No device has this number. */
export const cudaNoSuchDevice = (index: number, devices: readonly string[]): Diagnostic =>
  entry('cuda-no-such-device', `unknown CUDA device ${index}`, {
    at: { type: 'option', name: '--device' },
    blame: 'usage',
    help: `use one of ${devices.join(', ')}`,
  })

/** The platform has no CUDA provider. */
export const cudaNotOffered = (platform: string): Diagnostic =>
  entry('cuda-not-offered', `CUDA is supported on linux-x64 only; this is ${platform}`, {
    blame: 'usage',
    help: 'use `--device webgpu` or `--device cpu`',
  })

/** ONNX Runtime is not installed. */
export const cudaNoRuntime = (): Diagnostic =>
  entry('cuda-no-runtime', 'onnxruntime-node is not installed', {
    blame: 'run',
    help: 'run `npm install` again in smelt’s folder',
  })

/** The provider is not beside ONNX Runtime. */
export const cudaProviderMissing = (needed: string): Diagnostic =>
  entry('cuda-provider-missing', `the CUDA provider of ONNX Runtime ${needed} is not installed`, {
    blame: 'run',
    help: INSTALL,
  })

/** The provider's version is not that of ONNX Runtime: it would load, and compute wrong results. */
export const cudaProviderWrong = (path: string, version: string | undefined, needed: string): Diagnostic =>
  entry(
    'cuda-provider-wrong',
    `the CUDA provider is for ONNX Runtime ${version ?? '(unknown version)'}, but ${needed} is installed: incompatible versions would give wrong results`,
    {
      ...at(path),
      blame: 'run',
      help: 'run `smelt cuda`, which installs the right one',
    },
  )

/** The sources hold only providers of other versions. */
export const cudaProviderRefused = (source: string, version: string | undefined, needed: string): Diagnostic =>
  entry(
    'cuda-provider-refused',
    `${source} holds the provider for ONNX Runtime ${version ?? '(unknown version)'}, but ${needed} is installed: incompatible versions would give wrong results`,
    {
      ...at(source),
      help: `use the one from onnxruntime-gpu ${needed}`,
    },
  )

/** A test program gave wrong results. */
export const cudaWrongNumbers = (device: number, details: string): Diagnostic =>
  entry('cuda-wrong-numbers', `CUDA device ${device} computes wrong results: ${details}`, {
    blame: 'run',
    help: 'run `smelt cuda` to reinstall the provider and the libraries; if that does not help, have the GPU tested, and use `--device cpu` meanwhile',
  })

/** The device cannot run the test program. */
export const cudaUnusable = (device: number, reason: string): Diagnostic =>
  entry('cuda-unusable', `CUDA device ${device} cannot run a test program: ${reason}`, {
    blame: 'run',
    help: 'run `smelt doctor` to see what is installed, and use `--device cpu` meanwhile',
  })

/** The CUDA runtime has another major version. */
export const cudaRuntimeWrong = (runtime: string, major: number): Diagnostic =>
  entry('cuda-runtime-wrong', `the libraries found are for CUDA ${runtime}; CUDA ${major} is needed`, {
    blame: 'run',
    help: `${INSTALL}, or set SMELT_CUDA_LIBRARIES to a folder with those of CUDA ${major}`,
  })

/** A source cannot be read. */
export const cudaSourceMissing = (source: string, reason: string): Diagnostic =>
  entry('cuda-source-missing', `${source} cannot be read: ${reason}`, {
    ...at(source),
    help: 'pass a wheel, a tarball or a folder',
  })

/** A source is not something to install from. */
export const cudaSourceUnknown = (source: string, reason: string): Diagnostic =>
  entry('cuda-source-unknown', `cannot install from ${source}: ${reason}`, {
    ...at(source),
    help: 'pass a wheel (.whl), a tarball (.tgz, .tar.gz, .tar) or a folder, complete and not encrypted',
  })

/** A source contains nothing that CUDA needs. */
export const cudaSourceEmpty = (source: string, wanted: readonly string[]): Diagnostic =>
  entry('cuda-source-empty', `${source} contains nothing that CUDA needs`, {
    ...at(source),
    help: `pass a source that contains some of ${wanted.join(', ')}`,
  })

/** How a download program exited, if it printed nothing. */
export const endedWith = (how: string | number | null): string => `it exited with ${how}`

/** What is downloaded for ONNX Runtime. */
export const providerOf = (version: string): string => `the provider of onnxruntime-node ${version}`

/** What is downloaded from PyPI. */
export const wheelOf = (requirement: string): string => `the wheel of ${requirement}`
