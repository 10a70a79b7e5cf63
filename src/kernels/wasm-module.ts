type Scan = (x: number, n: number, mask: number) => number
type Recode = (x: number, n: number, out: number) => void
/** Takes n elements into the numbers of their blocks, which lie at `to`: see `Kernels.turns`. */
export type AddTurns = (
  x: number,
  y: number,
  n: number,
  to: number,
  count: number,
  block: number,
  run: number,
  left: number,
) => void

/** Computes some numbers of each of several rows of a low-rank matrix: see `Kernels.lowRankRows`. */
export type MultiplyRows = (
  out: number,
  across: number,
  n: number,
  up: number,
  rank: number,
  down: number,
  stride: number,
  rows: number,
) => void

/** A WebAssembly memory; growing it detaches `buffer` and makes a new one. */
export type WasmMemory = { readonly buffer: ArrayBuffer; readonly grow: (pages: number) => number }

/** What kernels.wasm and fused.wasm export: pointers, counts and bits as u32, the element's index in two halves. */
export type WasmExports = {
  readonly memory: WasmMemory
  readonly heapBase: { readonly value: number }
  readonly bernoulli: (out: number, lo: number, hi: number, n: number, k0: number, k1: number, last: number) => void
  readonly randomBits: (out: number, lo: number, hi: number, n: number, k0: number, k1: number) => void
  readonly uniform: (out: number, lo: number, hi: number, n: number, k0: number, k1: number) => void
  readonly gaussian: (out: number, lo: number, hi: number, n: number, k0: number, k1: number, table: number) => void
  readonly partition: (
    out: number,
    lo: number,
    hi: number,
    n: number,
    k0: number,
    k1: number,
    lasts: number,
    count: number,
    base: number,
  ) => void
  readonly histogramHigh: (x: number, n: number, hist: number) => void
  readonly histogramRange: (x: number, n: number, base: number, hist: number) => number
  readonly histogramLow: (x: number, n: number, high: number, hist: number) => void
  readonly takePairs: (hist: number, bins: number, out: number) => number
  readonly sum: (x: number, n: number, before: number) => number
  readonly sumAbs: (x: number, n: number) => number
  readonly dot: (x: number, y: number, n: number, before: number) => number
  readonly sumMask: (m: number, n: number) => number
  readonly sumTurns: AddTurns
  readonly dotTurns: AddTurns
  readonly peakTurns: AddTurns
  readonly lowRankRows: MultiplyRows
  readonly exactRows: MultiplyRows
  readonly areExact: (x: number, n: number, y: number, m: number) => number
  readonly multiply: (c: number, a: number, b: number, m: number, n: number, k: number) => void
  readonly solveStrip: (strip: number, factors: number, width: number, backward: number) => void
  readonly rankRows: (x: number, rows: number, width: number, out: number, room: number) => void
  readonly greatest: (x: number, n: number, before: number) => number
  readonly least: (x: number, n: number, before: number) => number
  readonly importanceOfRows: (x: number, y: number, rows: number, width: number, out: number, room: number) => void
  readonly ranksRoom: { readonly value: number }
  readonly rotate: (strip: number, top: number, count: number, turns: number) => void
  readonly countOrdered: (x: number, n: number, counts: number) => number
  readonly putRanked: (
    y: number,
    x: number,
    n: number,
    places: number,
    zeros: number,
    first: number,
    signs: number,
  ) => void
  readonly fourierStep: (
    radix: number,
    from: number,
    to: number,
    imag: number,
    blocks: number,
    size: number,
    stride: number,
    every: number,
    roots: number,
    n: number,
    own: number,
  ) => void
  readonly multiplyLines: (
    to: number,
    toImag: number,
    from: number,
    fromImag: number,
    n: number,
    count: number,
    by: number,
  ) => void
  readonly splitLines: (at: number, imag: number, blocks: number, n: number, count: number) => void
  readonly joinLines: (at: number, imag: number, blocks: number, n: number, count: number) => void
  readonly realBy3: (at: number, blocks: number, count: number) => void
  readonly realFrom3: (at: number, blocks: number, count: number) => void
  readonly filterLines: (
    at: number,
    imag: number,
    n: number,
    count: number,
    squares: number,
    others: number,
    axes: number,
    base: number,
    slope: number,
    cut: number,
    scale: number,
  ) => void
  readonly interleave: (to: number, imag: number, from: number, n: number, apart: number) => void
  readonly separate: (to: number, from: number, imag: number, n: number, apart: number) => void
  readonly firstMasked8: Scan
  readonly firstMasked16: Scan
  readonly firstMasked32: Scan
  readonly firstMasked64: Scan
  readonly packBits: (m: number, n: number, out: number) => void
  readonly unpackBits: (packed: number, n: number, m: number) => void
  readonly decodeBF16: Recode
  readonly encodeBF16: Recode
  readonly decodeF16: Recode
  readonly decodeF8E4M3: Recode
  readonly decodeF8E5M2: Recode
  readonly encodeF8E4M3: Recode
  readonly encodeF8E5M2: Recode
}

// TypeScript describes WebAssembly only along with a browser's globals, which this program does not have.
type WebAssembly = {
  readonly Module: new (bytes: Uint8Array) => object
  readonly Instance: new (module: object, imports?: object) => { readonly exports: unknown }
  readonly Memory: new (limits: { readonly initial: number }) => WasmMemory
  readonly validate: (bytes: Uint8Array) => boolean
}
const engine = (globalThis as unknown as { readonly WebAssembly: WebAssembly }).WebAssembly
const { Module, Instance, Memory } = engine

/** Whether the engine knows all instructions of a module. */
export const isKnown = (bytes: Uint8Array): boolean => engine.validate(bytes)

/** Compiles and starts the module, without waiting: it is small and imports nothing. */
export const instantiate = (bytes: Uint8Array): WasmExports => new Instance(new Module(bytes)).exports as WasmExports

/** The function of a compiled program: computes elements 0 to n of what lies where the arguments at `args` say. */
export type RunProgram = (n: number, args: number) => void

/** Compiles and starts the module of a program, which works in a memory that others use too. */
export const instantiateIn = (memory: WasmMemory, bytes: Uint8Array): RunProgram =>
  (new Instance(new Module(bytes), { host: { memory } }).exports as { readonly run: RunProgram }).run

/** A memory of its own, empty. */
export const createWasmMemory = (): WasmMemory => new Memory({ initial: 0 })
