import {
  diskFull,
  fileBusy,
  fileTooLarge,
  ioFailed,
  nameTooLong,
  notAPlace,
  notPermitted,
} from '../base/catalogue/io.js'
import type { IoOperation } from '../base/catalogue/io.js'
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
  if (FULL.has(code)) return diskFull(path, doing, code)
  if (BUSY.has(code)) return fileBusy(path, doing, code)
  if (FORBIDDEN.has(code)) return notPermitted(path, doing, code)
  if (MISPLACED.has(code) && doing !== 'read') return notAPlace(path, doing, code)
  if (code === 'ENAMETOOLONG') return nameTooLong(path, doing)
  if (code === 'EFBIG') return fileTooLarge(path, doing)
  return ioFailed(path, doing, code)
}
