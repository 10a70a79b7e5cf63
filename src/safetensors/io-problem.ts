import * as problems from '../base/catalogue/safetensors.js'
import type { IoOperation } from '../base/catalogue/safetensors.js'
import type { Diagnostic } from '../base/diagnostic.js'

/** The system's name of an error (`ENOSPC`, …), or an empty string. */
export const errorCode = (error: unknown): string =>
  error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : ''

const FULL = new Set(['ENOSPC', 'EDQUOT'])
const BUSY = new Set(['EBUSY', 'ETXTBSY', 'EMFILE', 'ENFILE', 'EAGAIN'])
const MISPLACED = new Set(['EEXIST', 'EISDIR', 'ELOOP', 'ENOTDIR'])
const FORBIDDEN = new Set(['EACCES', 'EPERM', 'EROFS'])

/** Puts a failed call to the file system into words; errors that are not the system's are bugs and are thrown on. */
export const ioProblem = (error: unknown, path: string, doing: IoOperation): Diagnostic => {
  const code = errorCode(error)
  if (code === '') throw error
  if (FULL.has(code)) return problems.diskFull(path, doing, code)
  if (BUSY.has(code)) return problems.fileBusy(path, doing, code)
  if (FORBIDDEN.has(code)) return problems.notPermitted(path, doing, code)
  if (MISPLACED.has(code) && doing !== 'read') return problems.notAPlace(path, doing, code)
  if (code === 'EFBIG') return problems.fileTooLarge(path, doing)
  return problems.ioFailed(path, doing, code)
}
