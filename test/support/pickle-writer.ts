/** Bytes of a pickle, or pieces of them. */
type Bytes = Buffer | readonly Bytes[]

const join = (bytes: Bytes): Buffer => (Buffer.isBuffer(bytes) ? bytes : Buffer.concat(bytes.map(join)))
const raw = (text: string): Buffer => Buffer.from(text, 'latin1')
const u32 = (n: number): Buffer => {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32LE(n)
  return bytes
}

/** The instructions of pickles; each gives its bytes, and those that take values take theirs before. */
export const op = {
  mark: raw('('),
  none: raw('N'),
  stop: raw('.'),
  true: raw('\x88'),
  false: raw('\x89'),
  proto: (version: number) => Buffer.from([0x80, version]),
  int: (n: number) => join([raw('J'), u32(n)]),
  text: (text: string) => join([raw('X'), u32(Buffer.byteLength(text)), Buffer.from(text)]),
  shortText: (text: string) => join([Buffer.from([0x8c, Buffer.byteLength(text)]), Buffer.from(text)]),
  bytes: (text: string) => join([raw('C'), Buffer.from([text.length]), raw(text)]),
  float: (x: number) => {
    const bytes = Buffer.alloc(8)
    bytes.writeDoubleBE(x)
    return join([raw('G'), bytes])
  },
  long: (bytes: Buffer) => join([raw('\x8b'), u32(bytes.length), bytes]),
  global: (name: string) => {
    const cut = name.lastIndexOf('.')
    return raw(`c${name.slice(0, cut)}\n${name.slice(cut + 1)}\n`)
  },
  stackGlobal: (module: string, name: string) => join([op.shortText(module), op.shortText(name), raw('\x93')]),
  tuple: (...items: readonly Bytes[]) => join([op.mark, items, raw('t')]),
  list: (...items: readonly Bytes[]) => join([raw(']'), op.mark, items, raw('e')]),
  dict: (...items: readonly (readonly [key: Bytes, value: Bytes])[]) =>
    join([raw('}'), op.mark, items.map(([key, value]) => [key, value]), raw('u')]),
  reduce: (callee: Bytes, args: Bytes) => join([callee, args, raw('R')]),
  newobj: (callee: Bytes, args: Bytes) => join([callee, args, raw('\x81')]),
  build: (target: Bytes, state: Bytes) => join([target, state, raw('b')]),
  persistent: (id: Bytes) => join([id, raw('Q')]),
  put: (n: number) => join([raw('r'), u32(n)]),
  get: (n: number) => join([raw('j'), u32(n)]),
} as const

/** A whole pickle of one value. */
export const pickle = (value: Bytes, version = 2): Buffer => join([op.proto(version), value, op.stop])

/** Any bytes, one after another. */
export const bytesOf = (...parts: readonly Bytes[]): Buffer => join(parts)

/** A tensor as `torch.save` describes it. */
export interface PickledTensor {
  readonly key: string
  /** Such as `FloatStorage`. */
  readonly storage: string
  /** Elements of the storage. */
  readonly length: number
  readonly shape: readonly number[]
  readonly strides?: readonly number[]
  readonly offset?: number
}

const row = (shape: readonly number[]): readonly number[] =>
  shape.map((_, i) => shape.slice(i + 1).reduce((n, d) => n * d, 1))

/** The value of a tensor. */
export const tensor = ({ key, storage, length, shape, strides = row(shape), offset = 0 }: PickledTensor): Buffer =>
  op.reduce(
    op.global('torch._utils._rebuild_tensor_v2'),
    op.tuple(
      op.persistent(
        op.tuple(op.text('storage'), op.global(`torch.${storage}`), op.text(key), op.text('cpu'), op.int(length)),
      ),
      op.int(offset),
      op.tuple(...shape.map(op.int)),
      op.tuple(...strides.map(op.int)),
      op.false,
      op.reduce(op.global('collections.OrderedDict'), op.tuple()),
    ),
  )

/** The value of a dict of tensors. */
export const stateDict = (tensors: Readonly<Record<string, PickledTensor>>): Buffer =>
  op.dict(...Object.entries(tensors).map(([name, t]) => [op.text(name), tensor(t)] as const))
