import { SEGMENT, tensorDigest, type Digest } from '../base/digest.js'

/** A tensor whose segments have all been read or written. */
export interface Finished {
  readonly path: string
  readonly tensor: string
  readonly digest: Digest
}

/** Combines the digests of segments into those of tensors, by file and name. Each tensor is hashed once. */
export interface Ledger {
  /** True for the first caller that claims a segment: that one hashes it. */
  ask(path: string, tensor: string, segments: number, segment: number): boolean
  record(path: string, tensor: string, segments: number, segment: number, digest: Uint8Array): void
  digest(path: string, tensor: string): Digest | undefined
  /** Every tensor that is finished. */
  all(): Finished[]
  /** Enters a tensor that was hashed elsewhere. */
  enter(tensor: Finished): void
  /** Tensors that were finished since the last call. */
  takeFinished(): readonly Finished[]
}

/** Segments of a tensor of so many elements; one without elements has one that is empty. */
export const segmentsOf = (size: number): number => Math.max(1, Math.ceil(size / SEGMENT))

interface Page {
  readonly segments: (Uint8Array | undefined)[]
  readonly asked: Set<number>
  left: number
}

/** An empty ledger. */
export const createLedger = (): Ledger => {
  /** By file and name: tensors in progress, and the digests of finished ones. */
  const pages = new Map<string, Map<string, Page | Digest>>()
  let fresh: Finished[] = []
  const fileOf = (path: string): Map<string, Page | Digest> => {
    const file = pages.get(path) ?? new Map<string, Page | Digest>()
    pages.set(path, file)
    return file
  }
  const pageOf = (path: string, tensor: string, segments: number): Page | Digest => {
    const file = fileOf(path)
    const page = file.get(tensor) ?? {
      segments: Array.from<undefined>({ length: segments }),
      asked: new Set<number>(),
      left: segments,
    }
    file.set(tensor, page)
    return page
  }
  return {
    ask: (path, tensor, segments, segment) => {
      const page = pageOf(path, tensor, segments)
      if (typeof page === 'string' || page.asked.has(segment)) return false
      page.asked.add(segment)
      return true
    },
    record: (path, tensor, segments, segment, digest) => {
      const page = pageOf(path, tensor, segments)
      if (typeof page === 'string') return
      if (page.segments[segment] === undefined) page.left -= 1
      page.segments[segment] = digest
      if (page.left > 0) return
      const whole = tensorDigest(page.segments.filter((s) => s !== undefined))
      fileOf(path).set(tensor, whole)
      fresh.push({ path, tensor, digest: whole })
    },
    digest: (path, tensor) => {
      const page = pages.get(path)?.get(tensor)
      return typeof page === 'string' ? page : undefined
    },
    all: () =>
      [...pages].flatMap(([path, file]) =>
        [...file].flatMap(([tensor, page]) => (typeof page === 'string' ? [{ path, tensor, digest: page }] : [])),
      ),
    enter: ({ path, tensor, digest }) => void fileOf(path).set(tensor, digest),
    takeFinished: () => {
      const finished = fresh
      fresh = []
      return finished
    },
  }
}
