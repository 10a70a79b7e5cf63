import { SEGMENT, tensorDigest, type Digest } from '../base/digest.js'

/** A tensor of a file of which every segment has been read or written. */
export interface Finished {
  readonly path: string
  readonly tensor: string
  readonly digest: Digest
}

/** Puts the digests of segments together to those of tensors, by file and name. Each tensor is taken once. */
export interface Ledger {
  /** True when nobody has asked for the digest of a segment before: who asks first takes it. */
  ask(path: string, tensor: string, segments: number, segment: number): boolean
  record(path: string, tensor: string, segments: number, segment: number, digest: Uint8Array): void
  digest(path: string, tensor: string): Digest | undefined
  /** Tensors that were finished since the last call. */
  takeFinished(): readonly Finished[]
}

/** Segments of a tensor of so many elements; one without elements has one that is empty. */
export const segmentsOf = (size: number): number => Math.max(1, Math.ceil(size / SEGMENT))

interface Page { readonly segments: (Uint8Array | undefined)[]; readonly asked: Uint8Array; left: number; digest: Digest | undefined }

/** An empty ledger. */
export const createLedger = (): Ledger => {
  const pages = new Map<string, Page>()
  let fresh: Finished[] = []
  const keyOf = (path: string, tensor: string): string => `${path}\0${tensor}`
  const pageOf = (path: string, tensor: string, segments: number): Page => {
    const key = keyOf(path, tensor)
    const page = pages.get(key) ?? { segments: Array.from<undefined>({ length: segments }), asked: new Uint8Array(segments), left: segments, digest: undefined }
    pages.set(key, page)
    return page
  }
  return {
    ask: (path, tensor, segments, segment) => {
      const { asked } = pageOf(path, tensor, segments)
      if (asked[segment] === 1) return false
      asked[segment] = 1
      return true
    },
    record: (path, tensor, segments, segment, digest) => {
      const page = pageOf(path, tensor, segments)
      if (page.digest !== undefined) return
      if (page.segments[segment] === undefined) page.left -= 1
      page.segments[segment] = digest
      if (page.left > 0) return
      page.digest = tensorDigest(page.segments.filter((s) => s !== undefined))
      page.segments.length = 0
      fresh.push({ path, tensor, digest: page.digest })
    },
    digest: (path, tensor) => pages.get(keyOf(path, tensor))?.digest,
    takeFinished: () => {
      const finished = fresh
      fresh = []
      return finished
    },
  }
}
