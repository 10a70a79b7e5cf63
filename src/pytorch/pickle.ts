import { isUtf8 } from 'node:buffer'
import * as problems from '../base/catalogue/pytorch.js'
import type { PickleFlaw } from '../base/catalogue/pytorch.js'
import type { Diagnostic } from '../base/diagnostic.js'
import { failed, ok, type Result } from '../base/result.js'
import { GLOBALS } from './globals.js'
import { loadStorage, reduce } from './rebuild.js'
import { isA, NO_ENTRIES, type List, type Opaque, type PickleDict, type PickleValue } from './values.js'

/**
 * Instructions of the longest pickle that is read: those of a hundred thousand tensors. What an instruction makes takes
 * up to a hundred bytes of memory.
 */
const MOST_INSTRUCTIONS = 5_000_000
/** Bytes of the longest integer that is read; state dicts count steps, not atoms. */
const MOST_INTEGER = 256

const OPAQUE: Opaque = { type: 'opaque' }

/** The state of a pickle that is being read; each instruction is one method of {@link OPCODES}. */
interface Machine {
  push(value: PickleValue): void
  /** The topmost value, taken off; null and a fault where there is none above the last mark. */
  pop(): PickleValue
  peek(): PickleValue | undefined
  /** All values above the last mark, taken off with it. */
  popMark(): readonly PickleValue[]
  mark(): void
  /** So many bytes of the pickle. */
  take(length: number): Buffer
  /** The number in so many bytes; 0 and a fault where the pickle ends before. */
  number(length: number, read: (bytes: Buffer, at: number) => number): number
  /** A text up to the end of its line. */
  line(): string
  put(index: number): void
  get(index: number): void
  /** The number under which a value without one is remembered. */
  next(): number
  flaw(flaw: PickleFlaw): void
  refuse(problem: Diagnostic): void
  readonly path: string
  at(): number
}

type Instruction = readonly [name: string, run: (m: Machine) => void]

const u8 = (m: Machine): number => m.number(1, (b, at) => b[at]!)
const u16 = (m: Machine): number => m.number(2, (b, at) => b.readUInt16LE(at))
const u32 = (m: Machine): number => m.number(4, (b, at) => b.readUInt32LE(at))
const u64 = (m: Machine): number => m.number(8, (b, at) => Number(b.readBigUInt64LE(at)))

const pushText = (m: Machine, bytes: Buffer): void => {
  if (isUtf8(bytes)) m.push(bytes.toString())
  else m.flaw('not-utf8')
}
/** Strings of Python 2 are bytes: those that are a text are keys, all others are somebody's data. */
const pushOldText = (m: Machine, bytes: Buffer): void => m.push(isUtf8(bytes) ? bytes.toString() : OPAQUE)

const pushInteger = (m: Machine, length: number): void => {
  if (length > MOST_INTEGER) return m.flaw('integer-too-long')
  const bytes = m.take(length)
  if (bytes.length < length || length === 0) return m.push(0)
  const value = BigInt.asIntN(8 * length, BigInt(`0x${Buffer.from(bytes).reverse().toString('hex')}`))
  m.push(Number.isSafeInteger(Number(value)) ? Number(value) : value)
}

const pushTuple = (m: Machine, count: number): void => {
  const items = new Array<PickleValue>(count)
  for (let i = count - 1; i >= 0; i--) items[i] = m.pop()
  m.push({ type: 'tuple', items })
}

const append = (m: Machine, items: readonly PickleValue[]): void => {
  const target = m.peek()
  if (isA(target, 'list')) for (const item of items) target.items.push(item)
  else if (!isA(target, 'opaque')) m.flaw('append-to-other')
}

const setItems = (m: Machine, items: readonly PickleValue[]): void => {
  const target = m.peek()
  if (items.length % 2 !== 0) return m.flaw('odd-items')
  if (isA(target, 'dict')) {
    if (target.entries === NO_ENTRIES) target.entries = new Map()
    for (let i = 0; i < items.length; i += 2) target.entries.set(items[i] ?? null, items[i + 1] ?? null)
  } else if (!isA(target, 'opaque')) m.flaw('set-on-other')
}

const pushGlobal = (m: Machine, name: string): void => {
  const is = GLOBALS.get(name)
  if (is === undefined) m.refuse(problems.pickleGlobal(m.path, name, m.at()))
  else m.push({ type: 'global', name, is })
}

/** Calls a function or creates an object, of those that are known here; nothing of it runs any code of the file. */
const call = (m: Machine): void => {
  const [args, callee] = [m.pop(), m.pop()]
  if (!isA(callee, 'global') || !isA(args, 'tuple')) return m.flaw('call-of-other')
  const made = reduce(callee, args.items)
  if (typeof made === 'string') m.refuse(problems.tensorRefused(m.path, made, m.at()))
  else m.push(made)
}

/** Attributes of an `OrderedDict`, such as the versions of its modules, and the state of what is opaque: dropped. */
const build = (m: Machine): void => {
  const [state, target] = [m.pop(), m.peek()]
  const dropped = isA(target, 'opaque') || (isA(target, 'dict') && target.ordered && isA(state, 'dict'))
  if (!dropped) m.flaw('state-of-other')
}

const loadPersistent = (m: Machine): void => {
  const id = m.pop()
  const storage = isA(id, 'tuple') ? loadStorage(id.items) : undefined
  if (storage === undefined) m.flaw('no-storage')
  else m.push(storage)
}

const stackGlobal = (m: Machine): void => {
  const [name, module] = [m.pop(), m.pop()]
  if (typeof name === 'string' && typeof module === 'string') pushGlobal(m, `${module}.${name}`)
  else m.flaw('global-without-name')
}

const emptyDict = (): PickleDict => ({ type: 'dict', entries: NO_ENTRIES, ordered: false })
const emptyList = (): List => ({ type: 'list', items: [] })

/** The instructions that state dicts of every protocol from 2 on are made of, by their bytes. */
const OPCODES: Readonly<Record<number, Instruction>> = {
  0x28: ['MARK', (m) => m.mark()],
  0x29: ['EMPTY_TUPLE', (m) => m.push({ type: 'tuple', items: [] })],
  0x42: ['BINBYTES', (m) => (m.take(u32(m)), m.push(OPAQUE))],
  0x43: ['SHORT_BINBYTES', (m) => (m.take(u8(m)), m.push(OPAQUE))],
  0x47: ['BINFLOAT', (m) => m.push(m.number(8, (b, at) => b.readDoubleBE(at)))],
  0x4a: ['BININT', (m) => m.push(m.number(4, (b, at) => b.readInt32LE(at)))],
  0x4b: ['BININT1', (m) => m.push(u8(m))],
  0x4d: ['BININT2', (m) => m.push(u16(m))],
  0x4e: ['NONE', (m) => m.push(null)],
  0x51: ['BINPERSID', loadPersistent],
  0x52: ['REDUCE', call],
  0x54: ['BINSTRING', (m) => pushOldText(m, m.take(u32(m)))],
  0x55: ['SHORT_BINSTRING', (m) => pushOldText(m, m.take(u8(m)))],
  0x58: ['BINUNICODE', (m) => pushText(m, m.take(u32(m)))],
  0x5d: ['EMPTY_LIST', (m) => m.push(emptyList())],
  0x61: ['APPEND', (m) => append(m, [m.pop()])],
  0x62: ['BUILD', build],
  0x63: ['GLOBAL', (m) => pushGlobal(m, `${m.line()}.${m.line()}`)],
  0x65: ['APPENDS', (m) => append(m, m.popMark())],
  0x68: ['BINGET', (m) => m.get(u8(m))],
  0x6a: ['LONG_BINGET', (m) => m.get(u32(m))],
  0x71: ['BINPUT', (m) => m.put(u8(m))],
  0x72: ['LONG_BINPUT', (m) => m.put(u32(m))],
  0x73: ['SETITEM', (m) => setItems(m, [m.pop(), m.pop()].reverse())],
  0x74: ['TUPLE', (m) => m.push({ type: 'tuple', items: m.popMark() })],
  0x75: ['SETITEMS', (m) => setItems(m, m.popMark())],
  0x7d: ['EMPTY_DICT', (m) => m.push(emptyDict())],
  0x81: ['NEWOBJ', call],
  0x85: ['TUPLE1', (m) => pushTuple(m, 1)],
  0x86: ['TUPLE2', (m) => pushTuple(m, 2)],
  0x87: ['TUPLE3', (m) => pushTuple(m, 3)],
  0x88: ['NEWTRUE', (m) => m.push(true)],
  0x89: ['NEWFALSE', (m) => m.push(false)],
  0x8a: ['LONG1', (m) => pushInteger(m, u8(m))],
  0x8b: ['LONG4', (m) => pushInteger(m, u32(m))],
  0x8c: ['SHORT_BINUNICODE', (m) => pushText(m, m.take(u8(m)))],
  0x8d: ['BINUNICODE8', (m) => pushText(m, m.take(u64(m)))],
  0x8e: ['BINBYTES8', (m) => (m.take(u64(m)), m.push(OPAQUE))],
  0x8f: ['EMPTY_SET', (m) => m.push(OPAQUE)],
  0x90: ['ADDITEMS', (m) => append(m, m.popMark())],
  0x91: ['FROZENSET', (m) => (m.popMark(), m.push(OPAQUE))],
  0x93: ['STACK_GLOBAL', stackGlobal],
  0x94: ['MEMOIZE', (m) => m.put(m.next())],
  0x95: ['FRAME', (m) => void m.take(8)],
  0x96: ['BYTEARRAY8', (m) => (m.take(u64(m)), m.push(OPAQUE))],
}

const [PROTO, STOP] = [0x80, 0x2e]

/** Instructions that exist and that no state dict needs, by their bytes; they are refused by name. */
const REFUSED: Readonly<Record<number, string>> = {
  0x30: 'POP',
  0x31: 'POP_MARK',
  0x32: 'DUP',
  0x46: 'FLOAT',
  0x49: 'INT',
  0x4c: 'LONG',
  0x50: 'PERSID',
  0x53: 'STRING',
  0x56: 'UNICODE',
  0x64: 'DICT',
  0x67: 'GET',
  0x69: 'INST',
  0x6c: 'LIST',
  0x6f: 'OBJ',
  0x70: 'PUT',
  0x82: 'EXT1',
  0x83: 'EXT2',
  0x84: 'EXT4',
  0x92: 'NEWOBJ_EX',
  0x97: 'NEXT_BUFFER',
  0x98: 'READONLY_BUFFER',
}

/**
 * Reads a pickle as `torch.save` writes it, with no Python and running nothing: it knows the instructions and names
 * that state dicts need, and refuses all others by name. Takes time and memory in proportion to its length; nothing in
 * it is nested by recursion. `path` and `position`, the byte of the file where it begins, are for the words.
 */
export const readPickle = (path: string, bytes: Buffer, position: number): Result<PickleValue> => {
  const stack: PickleValue[] = []
  const marks: number[] = []
  const memo: PickleValue[] = []
  /** Values under numbers that are not the next one; `torch.save` has none. */
  const sparse = new Map<number, PickleValue>()
  let fault: Diagnostic | undefined
  let [at, began, instructions] = [0, 0, 0]
  const refuse = (problem: Diagnostic): void => {
    fault ??= problem
  }
  const flaw = (reason: PickleFlaw): void => refuse(problems.invalidPickle(path, reason, position + began))
  const take = (length: number): Buffer => {
    if (length > bytes.length - at) flaw('cut-short')
    const taken = bytes.subarray(at, at + length)
    at += taken.length
    return taken
  }
  const machine: Machine = {
    path,
    flaw,
    refuse,
    take,
    number: (length, read) => {
      const from = at
      at += length
      if (at <= bytes.length) return read(bytes, from)
      flaw('cut-short')
      return 0
    },
    at: () => position + began,
    push: (value) => void stack.push(value),
    peek: () => (stack.length > (marks.at(-1) ?? 0) ? stack.at(-1) : undefined),
    pop: () => {
      if (stack.length > (marks.at(-1) ?? 0)) return stack.pop()!
      flaw('stack-empty')
      return null
    },
    mark: () => void marks.push(stack.length),
    popMark: () => {
      const mark = marks.pop()
      if (mark === undefined) flaw('mark-missing')
      return stack.splice(mark ?? 0)
    },
    line: () => {
      const end = bytes.indexOf(0x0a, at)
      if (end < 0) flaw('cut-short')
      const text = bytes.toString('utf8', at, end < 0 ? bytes.length : end)
      at = end < 0 ? bytes.length : end + 1
      return text
    },
    put: (index) => {
      const value = machine.peek()
      if (value === undefined) flaw('stack-empty')
      else if (index <= memo.length) {
        memo[index] = value
        sparse.delete(index)
      } else sparse.set(index, value)
    },
    get: (index) => {
      const value = index < memo.length ? memo[index] : sparse.get(index)
      if (value === undefined) flaw('memo-missing')
      else stack.push(value)
    },
    next: () => memo.length + sparse.size,
  }
  if (bytes[0] !== PROTO || bytes[1] === undefined || bytes[1] < 2 || bytes[1] > 5)
    return failed(problems.pickleProtocol(path, bytes[0] === PROTO ? bytes[1] : undefined))
  at = 2
  for (;;) {
    began = at
    if (++instructions > MOST_INSTRUCTIONS) return failed(problems.pickleTooLong(path))
    const opcode = u8(machine)
    if (fault !== undefined) return failed(fault)
    const instruction = OPCODES[opcode]
    if (opcode === STOP) {
      const value = machine.pop()
      if (stack.length > 0 || marks.length > 0 || at < bytes.length) flaw('left-over')
      return fault === undefined ? ok(value) : failed(fault)
    }
    if (instruction === undefined)
      refuse(problems.pickleOpcode(path, REFUSED[opcode] ?? `0x${opcode.toString(16).padStart(2, '0')}`, machine.at()))
    else instruction[1](machine)
  }
}
