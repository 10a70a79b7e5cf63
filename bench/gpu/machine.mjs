// What the machine is found to be, as far as it bears on the figures.
import { existsSync, readFileSync, realpathSync } from 'node:fs'
import { availableParallelism, cpus, release, totalmem } from 'node:os'
import { basename } from 'node:path'
import { askDoctor, ROOT, runCommand } from './program.mjs'

const NVIDIA_SMI = [
  'nvidia-smi',
  '--query-gpu=name,driver_version,memory.total,pcie.link.gen.current,pcie.link.width.current',
  '--format=csv,noheader',
]

/** The file that a library's name leads to, which says its version. */
const fileOf = (path) => {
  try {
    return basename(realpathSync(path))
  } catch {
    return path
  }
}

const driverText = () =>
  existsSync('/proc/driver/nvidia/version')
    ? readFileSync('/proc/driver/nvidia/version', 'utf8').split('\n')[0].trim()
    : undefined

/** Asks smelt's doctor, the driver and the system; `index` is the device that is checked. */
export const examineMachine = async (index) => {
  const doctor = await askDoctor()
  const { cuda } = doctor
  const smi = await runCommand(NVIDIA_SMI, { folder: ROOT, limit: 20 })
  const device = cuda?.devices?.find((one) => one.index === index)
  return {
    device,
    devices: cuda?.devices?.length ?? 0,
    capability: device?.capability,
    driver: { cuda: cuda?.driver, text: driverText(), smi: smi.code === 0 ? smi.stdout.trim().split('\n') : undefined },
    runtime: cuda?.runtime,
    provider: cuda?.provider,
    needed: cuda?.needed,
    pageLocking: device?.pins,
    libraries: cuda?.libraries?.map(({ name, path }) => ({
      name,
      file: path === undefined ? undefined : fileOf(path),
    })),
    libcudart: cuda?.libraries?.find(({ name }) => name.startsWith('libcudart'))?.path,
    node: process.versions.node,
    cores: availableParallelism(),
    processor: cpus()[0]?.model.trim(),
    memory: totalmem(),
    system: release(),
    problem:
      doctor.problem ?? cuda?.problem ?? device?.problem ?? (doctor.ok === false ? doctor.diagnostics?.[0] : undefined),
    doctor,
  }
}

/**
 * Whether a driver of NVIDIA's is there, whatever smelt makes of it: a machine with one is not passed over as one
 * without a GPU.
 */
export const hasDriver = () =>
  existsSync('/proc/driver/nvidia/version') || existsSync('/dev/nvidiactl') || existsSync('/dev/dxg')
