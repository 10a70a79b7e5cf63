import { statfsSync } from 'node:fs'
import { availableParallelism, freemem, release, totalmem } from 'node:os'
import { kernelsBroken, nodeTooOld, onnxruntimeBroken } from '../base/catalogue/cli.js'
import { exitCode, type Diagnostic } from '../base/diagnostic.js'
import { toJson } from '../base/screen.js'
import { faultsOf, reportCuda } from '../run/devices/cuda-report.js'
import type { CudaPlaces } from '../run/devices/places.js'
import { probeWebgpu } from '../run/devices/probe-webgpu.js'
import { probeKernels, probeRuntime } from '../run/probe.js'
import { cudaJson } from '../view/cuda.js'
import { renderMachine, type Machine } from '../view/doctor.js'
import { toJsonText } from '../view/json.js'
import type { Console } from './console.js'
import { cudaPlaces } from './cuda-places.js'
import { readPackage } from '../base/version.js'

/** Names of file systems by the numbers Linux gives them (statfs(2)). */
const FILE_SYSTEMS: Readonly<Record<number, string>> = {
  0x01021994: 'tmpfs',
  0x01021997: '9p',
  0x0000ef53: 'ext4',
  0x2fc12fc1: 'zfs',
  0x4d44: 'vfat',
  0x5346544e: 'ntfs',
  0x58465342: 'xfs',
  0x65735546: 'fuse',
  0x6969: 'nfs',
  0x794c7630: 'overlayfs',
  0x9123683e: 'btrfs',
  0xf2f52010: 'f2fs',
  0xfe534d42: 'smb',
  0xff534d42: 'cifs',
}

const diskOf = (folder: string): Machine['disk'] => {
  try {
    const { bavail, bsize, type } = statfsSync(folder)
    const name = process.platform === 'linux' ? FILE_SYSTEMS[type >>> 0] : undefined
    return { free: bavail * bsize, type: name ?? `file system 0x${(type >>> 0).toString(16)}` }
  } catch {
    return undefined
  }
}

const examine = async (folder: string, places: CudaPlaces): Promise<Machine> => {
  const onnxruntime = await probeRuntime()
  // Without ONNX Runtime there is nothing to try devices with.
  const works = onnxruntime.problem === undefined
  const { version, engines } = readPackage()
  const least = Number(/\d+/.exec(engines.node)?.[0] ?? 0)
  return {
    smelt: version,
    node: {
      version: process.versions.node,
      needed: engines.node,
      ok: Number.parseInt(process.versions.node, 10) >= least,
    },
    platform: `${process.platform} ${process.arch} ${release()}`,
    cores: availableParallelism(),
    memory: { total: totalmem(), free: freemem() },
    onnxruntime,
    kernels: { problem: probeKernels() },
    disk: diskOf(folder),
    cuda: works ? await reportCuda(places) : undefined,
    webgpu: works ? { problem: await probeWebgpu() } : undefined,
  }
}

/** What keeps a machine from building on the CPU. */
export const problemsOf = ({ node, onnxruntime, kernels }: Machine): Diagnostic[] => [
  ...(node.ok ? [] : [nodeTooOld(node.version, node.needed)]),
  ...(onnxruntime.problem === undefined ? [] : [onnxruntimeBroken(onnxruntime.problem)]),
  ...(kernels.problem === undefined ? [] : [kernelsBroken(kernels.problem)]),
]

/**
 * `smelt doctor`: what this machine can do, and what keeps it from building; 1 when the CPU cannot be used. Of CUDA
 * only what is wrong with it is told as a warning.
 */
export const doctor = async (
  console: Console,
  flags: { readonly json?: boolean },
  places: CudaPlaces = cudaPlaces(),
): Promise<number> => {
  const machine = await examine(console.cwd, places)
  const problems = problemsOf(machine)
  const faults = (machine.cuda === undefined ? [] : faultsOf(machine.cuda)).map((d): Diagnostic => ({
    ...d,
    severity: 'warning',
  }))
  if (flags.json === true) {
    const cuda = machine.cuda === undefined ? {} : { cuda: cudaJson(machine.cuda) }
    console.out(
      toJsonText({ ok: problems.length === 0, ...machine, ...cuda, diagnostics: toJson([...problems, ...faults]) }),
    )
  } else {
    console.out(renderMachine(machine, console.look('out')))
    console.tell([...problems, ...faults])
  }
  return exitCode(problems) === 0 ? 0 : 1
}
