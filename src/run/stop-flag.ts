/** What tells workers to stop: set by a build's signal, or by whoever finds a reason. */
export interface StopFlag {
  /** Memory that workers share; they ask {@link isStopRequested}. */
  readonly shared: Int32Array
  set(): void
  /** Listens to the signal no longer. */
  release(): void
}

/** A flag that is set as soon as the signal is aborted. */
export const createStopFlag = (signal: AbortSignal | undefined): StopFlag => {
  const shared = new Int32Array(new SharedArrayBuffer(4))
  const set = (): void => void Atomics.store(shared, 0, 1)
  if (signal?.aborted === true) set()
  signal?.addEventListener('abort', set, { once: true })
  return { shared, set, release: () => signal?.removeEventListener('abort', set) }
}

/** True once the flag that shares this memory was set. */
export const isStopRequested = (shared: Int32Array): boolean => Atomics.load(shared, 0) === 1
