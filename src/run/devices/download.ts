import { endedWith } from '../../base/catalogue/cuda.js'
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import type { InstalledRuntime } from './onnxruntime.js'

/** A package that pip knows, and what it is asked for. */
export interface Wheel {
  readonly requirement: string
  /** About as many bytes, packed and unpacked. */
  readonly bytes: number
}

const MB = 1_000_000

/** The wheel that holds the provider of a version of ONNX Runtime. */
export const providerWheel = (version: string): Wheel => ({
  requirement: `onnxruntime-gpu==${version}`,
  bytes: 520 * MB,
})

const CUBLAS: Wheel = { requirement: 'nvidia-cublas==13.*', bytes: 1060 * MB }

/** The wheels that hold the libraries, by the name of the library. */
export const LIBRARY_WHEELS: Readonly<Record<string, Wheel>> = {
  'libcudart.so.13': { requirement: 'nvidia-cuda-runtime==13.*', bytes: 4 * MB },
  'libcublas.so.13': CUBLAS,
  'libcublasLt.so.13': CUBLAS,
  'libcurand.so.10': { requirement: 'nvidia-curand==10.*', bytes: 190 * MB },
}

/**
 * What pip is told, so that it takes wheels for Linux on x86-64 whichever machine and Python it runs on. Only files are
 * fetched: nothing of them is run.
 */
export const pipArguments = (requirements: readonly string[], folder: string): readonly string[] => [
  '-m',
  'pip',
  'download',
  '--no-deps',
  '--only-binary=:all:',
  '--python-version',
  '3.13',
  '--implementation',
  'cp',
  ...['manylinux_2_28_x86_64', 'manylinux_2_27_x86_64', 'manylinux2014_x86_64', 'manylinux1_x86_64'].flatMap((tag) => [
    '--platform',
    tag,
  ]),
  '--dest',
  folder,
  ...requirements,
]

/** A quarter of an hour: longer than any line that is worth waiting for takes. */
const LIMIT = 900_000

/** Runs a program to its end; gives why it failed, in its own last words. */
const runProgram = (program: string, args: readonly string[], cwd?: string): Promise<string | undefined> =>
  new Promise((resolve) => {
    const child = spawn(program, args, {
      stdio: ['ignore', 'ignore', 'pipe'],
      timeout: LIMIT,
      ...(cwd === undefined ? {} : { cwd }),
    })
    let words = ''
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      words = (words + text).slice(-20_000)
    })
    child.on('error', (error) => resolve(error.message))
    child.on('close', (code, signal) => {
      const lines = words
        .split('\n')
        .map((line) => line.trim())
        .filter((line) => line !== '')
      const last = lines.findLast((line) => /^(ERROR|\w*Error)\b/.test(line)) ?? lines.at(-1)
      resolve(code === 0 ? undefined : (last ?? endedWith(signal ?? code)))
    })
  })

/** Downloads wheels to a folder with the pip of `python3`; gives why it could not. */
export const downloadWheels = async (requirements: readonly string[], folder: string): Promise<string | undefined> => {
  const [first = '', ...rest] = pipArguments(requirements, folder)
  const failure = await runProgram('python3', [
    first,
    ...rest,
    '--quiet',
    '--disable-pip-version-check',
    '--retries',
    '1',
    '--timeout',
    '20',
  ])
  return failure === undefined ? undefined : `python3 -m pip: ${failure}`
}

/**
 * Has onnxruntime-node fetch its provider to where its library lies; gives why it could not. Told so outright, or it
 * would do nothing below `npm run`.
 */
export const downloadProvider = async ({ folder }: InstalledRuntime): Promise<string | undefined> => {
  const failure = await runProgram(
    process.execPath,
    [join(folder, 'script', 'install.js'), '--onnxruntime-node-install'],
    folder,
  )
  return failure === undefined ? undefined : `onnxruntime-node: ${failure}`
}
