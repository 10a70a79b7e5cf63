import type { Diagnostic } from '../base/diagnostic.js'

/** A catalogue entry for something odd about `count` tensors, of which one is named. */
export type Notice = (path: string, name: string, count: number) => Diagnostic

/** Gathers oddities so that ten thousand tensors with one oddity give one warning. */
export interface Notices {
  add(notice: Notice, name: string): void
  /** One diagnostic for each kind of oddity, in the order first met. */
  all(): Diagnostic[]
}

/** Starts gathering the oddities of one file. */
export const openNotices = (path: string): Notices => {
  const met = new Map<Notice, { name: string; count: number }>()
  return {
    add: (notice, name) => {
      const before = met.get(notice)
      if (before === undefined) met.set(notice, { name, count: 1 })
      else before.count++
    },
    all: () => [...met].map(([notice, { name, count }]) => notice(path, name, count)),
  }
}
