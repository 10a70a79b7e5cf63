import { DIGEST_BYTES, SEGMENT, tensorDigest, type Digest } from '../base/digest.js'

/** A tensor whose segments have all been read or written. */
export interface Finished {
  readonly path: string
  readonly tensor: string
  readonly digest: Digest
}

/** Combines the digests of segments into those of tensors, by file and name. Each tensor is hashed once. */
export interface Ledger {
  /**
   * True for the first caller that claims one of `count` segments from `first` on: that one hashes them. `segments` are
   * all of the tensor.
   */
  ask(path: string, tensor: string, segments: number, first: number, count: number): boolean
  /** Takes in the digests of segments from `first` on. */
  record(path: string, tensor: string, segments: number, first: number, digests: Uint8Array): void
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

/** How far a tensor of several segments is. */
interface Page {
  readonly digests: Uint8Array
  /** By segment, whether it was claimed, and whether its digest is there. */
  readonly asked: Uint8Array
  readonly there: Uint8Array
  left: number
}

/** A tensor of one segment that was claimed: there may be a hundred thousand. */
const CLAIMED = 'claimed'

const newPage = (segments: number): Page => ({
  digests: new Uint8Array(DIGEST_BYTES * segments),
  asked: new Uint8Array(segments),
  there: new Uint8Array(segments),
  left: segments,
})

/** An empty ledger. */
export const createLedger = (): Ledger => {
  /** By file and name: tensors in progress, and the digests of finished ones. */
  const files = new Map<string, Map<string, Page | typeof CLAIMED | Digest>>()
  let fresh: Finished[] = []
  const fileOf = (path: string): Map<string, Page | typeof CLAIMED | Digest> => {
    const known = files.get(path)
    if (known !== undefined) return known
    const file = new Map<string, Page | typeof CLAIMED | Digest>()
    files.set(path, file)
    return file
  }
  const pageOf = (path: string, tensor: string, segments: number): Page | undefined => {
    const file = fileOf(path)
    const known = file.get(tensor)
    if (known !== undefined) return typeof known === 'string' ? undefined : known
    const page = newPage(segments)
    file.set(tensor, page)
    return page
  }
  const finish = (path: string, tensor: string, digests: Uint8Array): void => {
    const digest = tensorDigest([digests])
    fileOf(path).set(tensor, digest)
    fresh.push({ path, tensor, digest })
  }
  return {
    ask: (path, tensor, segments, first, count) => {
      if (segments === 1) {
        const file = fileOf(path)
        if (file.has(tensor)) return false
        file.set(tensor, CLAIMED)
        return true
      }
      const page = pageOf(path, tensor, segments)
      if (page === undefined) return false
      const isNew = page.asked.subarray(first, first + count).includes(0)
      page.asked.fill(1, first, first + count)
      return isNew
    },
    record: (path, tensor, segments, first, digests) => {
      if (segments === 1) {
        const known = fileOf(path).get(tensor)
        if (known === undefined || known === CLAIMED) finish(path, tensor, digests)
        return
      }
      const page = pageOf(path, tensor, segments)
      if (page === undefined) return
      page.digests.set(digests, DIGEST_BYTES * first)
      for (let i = first; i < first + digests.length / DIGEST_BYTES; i++) {
        page.left -= 1 - page.there[i]!
        page.there[i] = 1
      }
      if (page.left === 0) finish(path, tensor, page.digests)
    },
    digest: (path, tensor) => {
      const known = files.get(path)?.get(tensor)
      return isDigest(known) ? known : undefined
    },
    all: () =>
      [...files].flatMap(([path, file]) =>
        [...file].flatMap(([tensor, known]) => (isDigest(known) ? [{ path, tensor, digest: known }] : [])),
      ),
    enter: ({ path, tensor, digest }) => void fileOf(path).set(tensor, digest),
    takeFinished: () => {
      const finished = fresh
      fresh = []
      return finished
    },
  }
}

const isDigest = (known: Page | typeof CLAIMED | Digest | undefined): known is Digest =>
  typeof known === 'string' && known !== CLAIMED
