import { statfsSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { diskTooSmall } from '../base/catalogue/io.js'
import { failed, ok } from '../base/result.js'
import type { Result } from '../base/result.js'
import { errorCode, ioProblem } from './io-problem.js'

/** Share of the bytes asked for on top, for what file systems need besides the data. */
const MARGIN = 0.05

/**
 * Asks whether the file system of a folder, which need not exist yet, has room for `bytes` and 5 % more; gives the free
 * bytes.
 */
export const preflight = (folder: string, bytes: number): Result<number> => {
  for (let place = resolve(folder); ; place = dirname(place)) {
    try {
      const { bsize, bavail, blocks } = statfsSync(place)
      const free = bavail * bsize
      const need = Math.ceil(bytes * (1 + MARGIN))
      // Some network file systems report no blocks at all, which says nothing.
      return blocks === 0 || free >= need ? ok(free) : failed(diskTooSmall(folder, need, free))
    } catch (error) {
      if (errorCode(error) !== 'ENOENT' || place === dirname(place)) return failed(ioProblem(error, folder, 'create'))
    }
  }
}
