import type { Diagnostic } from '../../base/diagnostic.js'
import { cudartOf, examineCuda, type CudaDevice, type CudaFindings, type CudaPlaces } from './cuda.js'
import { createPinning } from './pinning.js'
import { probeCuda } from './probe-cuda.js'

/** What was found of CUDA, and how its devices fared. */
export interface CudaReport extends CudaFindings {
  readonly devices: readonly (CudaDevice & {
    /** Why the device must not be used; undefined where it computed what it should. */
    readonly check: Diagnostic | undefined
    /** Whether memory can be page-locked for it. */
    readonly pins: boolean
  })[]
}

/** Bytes that are locked to see whether that works. */
const TRIED = 1 << 20

const pins = (libcudart: string, index: number): boolean => {
  const pinning = createPinning(libcudart, index)
  const pinned = pinning.pin(new Uint8Array(TRIED))
  pinning.release()
  return pinned
}

/** Examines CUDA and tries every device that can be seen, if nothing keeps CUDA from being used. Main thread only. */
export const reportCuda = async (places: CudaPlaces = {}): Promise<CudaReport> => {
  const findings = examineCuda(places)
  const libcudart = cudartOf(findings)
  const devices: CudaReport['devices'][number][] = []
  for (const device of findings.problem === undefined ? findings.devices : []) {
    const check = await probeCuda(device.index, places)
    devices.push({
      ...device,
      check,
      pins: check === undefined && libcudart !== undefined && pins(libcudart, device.index),
    })
  }
  return {
    ...findings,
    devices:
      findings.problem === undefined
        ? devices
        : findings.devices.map((device) => ({ ...device, check: undefined, pins: false })),
  }
}

/** Problems of CUDA that mean only that something is not there. */
const ABSENT: ReadonlySet<string> = new Set([
  'cuda-driver-missing',
  'cuda-libraries-missing',
  'cuda-no-device',
  'cuda-not-offered',
  'cuda-provider-missing',
])

/** True where CUDA cannot be used because something is not there, which is no fault of the machine. */
export const lacksCuda = ({ problem }: CudaFindings): boolean => problem !== undefined && ABSENT.has(problem.code)

/** What is wrong with the CUDA that is there, its devices included. */
export const faultsOf = (report: CudaReport): readonly Diagnostic[] => [
  ...(report.problem === undefined || lacksCuda(report) ? [] : [report.problem]),
  ...report.devices.flatMap((device) => device.check ?? []),
]
