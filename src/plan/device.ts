/** What a plan says of the device that its programs run on. */
export interface PlannedDevice {
  /** As `--device` takes it. */
  readonly name: string
  /** What its maker calls it; undefined for the processor. */
  readonly title: string | undefined
  /** Why it was chosen, in words. */
  readonly reason: string
  readonly workers: number
  /** Elements of one run of a program. */
  readonly chunk: number
  /**
   * Most bytes of its own memory that the build takes, and those that are free; undefined where that is not known, or
   * where it has none.
   */
  readonly memory: { readonly most: number; readonly free: number } | undefined
  /** What it does in another way than the processor, in sentences. */
  readonly notes: readonly string[]
}
