import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { convert } from '#src/pytorch/convert.js'
import { openCheckpoint } from '#src/pytorch/open.js'
import { readPickle } from '#src/pytorch/pickle.js'
import { bytesOf, op, pickle, stateDict, tensor, type PickledTensor } from '../support/pickle-writer.js'
import { makeFolder } from '../support/smelt.js'
import { writeCheckpoint } from '../support/zip-writer.js'

const folder = makeFolder()
afterAll(() => folder.remove())

/** The file that every attack would leave. */
const PROOF = join(folder.path, 'proof')
const COMMAND = `touch ${PROOF}`
const raw = (text: string): Buffer => Buffer.from(text, 'latin1')
const ordered = op.reduce(op.global('collections.OrderedDict'), op.tuple())
const storage = (...id: readonly Buffer[]): Buffer => op.persistent(op.tuple(...id))
const [word, key, cpu] = [op.text('storage'), op.text('0'), op.text('cpu')]
const float = op.global('torch.FloatStorage')
const rebuild = (...args: readonly Buffer[]): Buffer =>
  op.reduce(op.global('torch._utils._rebuild_tensor_v2'), op.tuple(...args))
const good = storage(word, float, key, cpu, op.int(2))
const T: PickledTensor = { key: '0', storage: 'FloatStorage', length: 2, shape: [2] }

/** Calls of a name with one argument, in each way a pickle has. */
const CALLED = [
  'os.system',
  'posix.system',
  'nt.system',
  'os.popen',
  'subprocess.Popen',
  'subprocess.check_output',
  'builtins.eval',
  'builtins.exec',
  '__builtin__.eval',
  'builtins.getattr',
  'builtins.__import__',
  'builtins.open',
  'builtins.compile',
  'runpy._run_code',
  'importlib.import_module',
  'pickle.loads',
  'torch.load',
  'torch.hub.load',
  'torch.storage._load_from_bytes',
  'torch._utils._rebuild_device_tensor_from_numpy',
  'torch.jit._pickle.build_intlist',
  'numpy.load',
  'numpy.f2py.crackfortran.getlincoef',
  'code.interact',
  'webbrowser.open',
  'shutil.rmtree',
  'functools.partial',
  'operator.methodcaller',
  'collections.OrderedDict.__init__',
  '__main__.Net',
]

const calls = CALLED.flatMap((name): (readonly [string, string, Buffer])[] => {
  const cut = name.lastIndexOf('.')
  const [module, method] = [name.slice(0, cut), name.slice(cut + 1)]
  const args = op.tuple(op.text(COMMAND))
  return [
    [`${name} by REDUCE`, 'pickle-global', pickle(op.reduce(op.global(name), args))],
    [`${name} by STACK_GLOBAL`, 'pickle-global', pickle(op.reduce(op.stackGlobal(module, method), args), 4)],
    [`${name} by NEWOBJ`, 'pickle-global', pickle(op.newobj(op.global(name), args))],
    [`${name} by INST`, 'pickle-opcode', pickle(bytesOf(op.mark, op.text(COMMAND), raw(`i${module}\n${method}\n`)))],
    [`${name} by OBJ`, 'pickle-global', pickle(bytesOf(op.mark, op.global(name), op.text(COMMAND), raw('o')))],
    [`${name} in a list of a trainer`, 'pickle-global', pickle(op.dict([op.text('x'), op.list(op.global(name))]))],
    [
      `${name} instead of hooks`,
      'pickle-global',
      pickle(
        op.dict([
          op.text('w'),
          rebuild(good, op.int(0), op.tuple(), op.tuple(), op.false, op.reduce(op.global(name), args)),
        ]),
      ),
    ],
  ]
})

const system = op.global('os.system')
const deep = (n: number, open: Buffer, close: Buffer): Buffer =>
  bytesOf(
    Buffer.concat(Array.from({ length: n }, () => open)),
    op.none,
    Buffer.concat(Array.from({ length: n }, () => close)),
  )

/** Pickles that are refused, each with the code of its problem. */
const HOSTILE: readonly (readonly [title: string, code: string, bytes: Buffer])[] = [
  ...calls,
  ['a text pickle of protocol 0', 'pickle-protocol', raw(`cos\nsystem\n(S'${COMMAND}'\ntR.`)],
  ['a pickle of protocol 1', 'pickle-protocol', bytesOf(system, op.tuple(op.text(COMMAND)), raw('R'), op.stop)],
  ...[0, 1, 6, 255].map((v): [string, string, Buffer] => [`protocol ${v}`, 'pickle-protocol', pickle(ordered, v)]),
  ...[2, 3, 4, 5].map((v): [string, string, Buffer] => [
    `os.system in protocol ${v}`,
    'pickle-global',
    pickle(op.reduce(system, op.tuple(op.text(COMMAND))), v),
  ]),
  [
    'a call inside the arguments of a call',
    'pickle-global',
    pickle(op.reduce(op.global('collections.OrderedDict'), op.tuple(op.list(op.reduce(system, op.tuple()))))),
  ],
  ['a global with a line break for a name', 'pickle-global', pickle(raw('ctorch\n\n'))],
  ['a global of two modules', 'pickle-global', pickle(op.stackGlobal('torch\nos', 'system'), 4)],
  ['a global with a dot in its name', 'pickle-global', pickle(op.stackGlobal('torch', 'os.system'), 4)],
  ['a global named by a number', 'invalid-pickle', pickle(bytesOf(op.int(1), op.text('x'), raw('\x93')), 4)],
  ['a global named by a tensor', 'invalid-pickle', pickle(bytesOf(op.text('os'), tensor(T), raw('\x93')), 4)],
  [
    'BUILD of a dict with __setstate__',
    'invalid-pickle',
    pickle(op.build(op.dict(), op.dict([op.text('__setstate__'), op.none]))),
  ],
  [
    'BUILD of an OrderedDict with what is no dict',
    'invalid-pickle',
    pickle(op.build(ordered, op.tuple(op.none, op.none))),
  ],
  [
    'BUILD of a class',
    'invalid-pickle',
    pickle(op.build(op.global('collections.OrderedDict'), op.dict([op.text('__call__'), op.none]))),
  ],
  ['BUILD of a tensor', 'invalid-pickle', pickle(op.build(tensor(T), op.tuple(op.int(0))))],
  ['BUILD of a storage', 'invalid-pickle', pickle(op.build(good, op.dict()))],
  ['a call of an instance', 'invalid-pickle', pickle(op.reduce(ordered, op.tuple()))],
  ['a call of a tensor', 'invalid-pickle', pickle(op.reduce(tensor(T), op.tuple()))],
  ['a call of a text', 'invalid-pickle', pickle(op.reduce(op.text('os.system'), op.tuple(op.text(COMMAND))))],
  [
    'a call with a list for arguments',
    'invalid-pickle',
    pickle(op.reduce(op.global('collections.OrderedDict'), op.list())),
  ],
  ['a call of a storage class', 'pickled-tensor', pickle(op.reduce(float, op.tuple(op.int(1 << 30))))],
  ['a call of a dtype', 'pickled-tensor', pickle(op.reduce(op.global('torch.float32'), op.tuple()))],
  [
    'an OrderedDict of what is no list of pairs',
    'pickled-tensor',
    pickle(op.reduce(op.global('collections.OrderedDict'), op.tuple(op.text('ab')))),
  ],
  [
    'an OrderedDict of pairs of three',
    'pickled-tensor',
    pickle(op.reduce(op.global('collections.OrderedDict'), op.tuple(op.list(op.tuple(op.none, op.none, op.none))))),
  ],
  ['a persistent id that is a text', 'invalid-pickle', pickle(op.persistent(op.text('0')))],
  ['a persistent id that is a number', 'invalid-pickle', pickle(op.persistent(op.int(0)))],
  [
    'a persistent id that is a list',
    'invalid-pickle',
    pickle(op.persistent(op.list(word, float, key, cpu, op.int(2)))),
  ],
  ['a persistent id of a module', 'invalid-pickle', pickle(storage(op.text('module'), float, key, cpu, op.int(2)))],
  [
    'a persistent id without a class',
    'invalid-pickle',
    pickle(storage(word, op.text('FloatStorage'), key, cpu, op.int(2))),
  ],
  [
    'a persistent id of a class that is no storage',
    'invalid-pickle',
    pickle(storage(word, op.global('collections.OrderedDict'), key, cpu, op.int(2))),
  ],
  [
    'a persistent id with a number for a key',
    'invalid-pickle',
    pickle(storage(word, float, op.int(0), cpu, op.int(2))),
  ],
  ['a persistent id of negative length', 'invalid-pickle', pickle(storage(word, float, key, cpu, op.int(0xffffffff)))],
  ['a persistent id of fractional length', 'invalid-pickle', pickle(storage(word, float, key, cpu, op.float(2.5)))],
  ['a persistent id with a view', 'invalid-pickle', pickle(storage(word, float, key, cpu, op.int(2), op.tuple()))],
  ['a text for a persistent id', 'pickle-opcode', pickle(raw('P0\n'))],
  [
    'a tensor of a tensor',
    'pickled-tensor',
    pickle(rebuild(tensor(T), op.int(0), op.tuple(), op.tuple(), op.false, ordered)),
  ],
  [
    'a tensor without a storage',
    'pickled-tensor',
    pickle(rebuild(op.none, op.int(0), op.tuple(), op.tuple(), op.false, ordered)),
  ],
  [
    'a tensor with a text for a shape',
    'pickled-tensor',
    pickle(rebuild(good, op.int(0), op.text('ab'), op.tuple(), op.false, ordered)),
  ],
  [
    'a tensor of negative size',
    'pickled-tensor',
    pickle(rebuild(good, op.int(0), op.tuple(op.int(0xffffffff)), op.tuple(op.int(1)), op.false, ordered)),
  ],
  [
    'a tensor with a negative stride',
    'pickled-tensor',
    pickle(rebuild(good, op.int(1), op.tuple(op.int(2)), op.tuple(op.int(0xffffffff)), op.false, ordered)),
  ],
  [
    'a tensor with more strides than dimensions',
    'pickled-tensor',
    pickle(rebuild(good, op.int(0), op.tuple(op.int(2)), op.tuple(op.int(1), op.int(1)), op.false, ordered)),
  ],
  [
    'a tensor of 65 dimensions',
    'pickled-tensor',
    pickle(
      rebuild(
        good,
        op.int(0),
        op.tuple(...Array.from({ length: 65 }, () => op.int(1))),
        op.tuple(...Array.from({ length: 65 }, () => op.int(1))),
        op.false,
        ordered,
      ),
    ),
  ],
  ['a tensor with too few arguments', 'pickled-tensor', pickle(rebuild(good, op.int(0), op.tuple()))],
  [
    'a tensor with too many arguments',
    'pickled-tensor',
    pickle(rebuild(good, op.int(0), op.tuple(), op.tuple(), op.false, ordered, op.none, op.none)),
  ],
  [
    'a tensor that is negated',
    'pickled-tensor',
    pickle(rebuild(good, op.int(0), op.tuple(), op.tuple(), op.false, ordered, op.dict([op.text('neg'), op.true]))),
  ],
  [
    'a tensor of a type that rebuilds itself',
    'pickled-tensor',
    pickle(
      op.reduce(
        op.global('torch._tensor._rebuild_from_type_v2'),
        op.tuple(op.global('torch._tensor._rebuild_from_type_v2'), op.global('torch.Tensor'), op.tuple(), op.none),
      ),
    ),
  ],
  [
    'a tensor of dtype float4',
    'pickled-tensor',
    pickle(
      op.reduce(
        op.global('torch._utils._rebuild_tensor_v3'),
        op.tuple(
          storage(word, op.global('torch.storage.UntypedStorage'), key, cpu, op.int(8)),
          op.int(0),
          op.tuple(op.int(8)),
          op.tuple(op.int(1)),
          op.false,
          ordered,
          op.global('torch.float4_e2m1fn_x2'),
        ),
      ),
    ),
  ],
  [
    'a tensor of dtype complex128',
    'pickle-global',
    pickle(storage(word, op.global('torch.ComplexDoubleStorage'), key, cpu, op.int(2))),
  ],
  ['extension 1', 'pickle-opcode', pickle(raw('\x82\x01'))],
  ['extension 2', 'pickle-opcode', pickle(raw('\x83\x01\x00'))],
  ['extension 4', 'pickle-opcode', pickle(raw('\x84\x01\x00\x00\x00'))],
  [
    'NEWOBJ_EX',
    'pickle-opcode',
    pickle(bytesOf(op.global('collections.OrderedDict'), op.tuple(), op.dict(), raw('\x92')), 4),
  ],
  ['an out-of-band buffer', 'pickle-opcode', pickle(raw('\x97\x98'), 5)],
  ['DUP', 'pickle-opcode', pickle(bytesOf(op.none, raw('2')))],
  ['POP', 'pickle-opcode', pickle(bytesOf(op.none, op.none, raw('0')))],
  ['an unknown instruction', 'pickle-opcode', pickle(raw('\xff'))],
  ['a text integer', 'pickle-opcode', pickle(raw('I1\n'))],
  ['nothing', 'pickle-protocol', Buffer.alloc(0)],
  ['a protocol and no more', 'invalid-pickle', op.proto(2)],
  ['STOP on an empty stack', 'invalid-pickle', bytesOf(op.proto(2), op.stop)],
  ['a value too many', 'invalid-pickle', pickle(bytesOf(op.none, op.none))],
  ['a mark too many', 'invalid-pickle', pickle(bytesOf(op.mark, op.none))],
  ['text behind the end', 'invalid-pickle', bytesOf(pickle(op.dict()), raw('x'))],
  [
    'a second pickle behind the end',
    'invalid-pickle',
    bytesOf(pickle(op.dict()), pickle(op.reduce(system, op.tuple(op.text(COMMAND))))),
  ],
  ['a tuple of nothing', 'invalid-pickle', pickle(raw('\x85'))],
  ['a tuple that reaches below a mark', 'invalid-pickle', pickle(bytesOf(op.none, op.mark, raw('\x85')))],
  ['a mark that is missing', 'invalid-pickle', pickle(raw('t'))],
  ['an append to nothing', 'invalid-pickle', pickle(bytesOf(op.none, raw('a')))],
  ['an append to a dict', 'invalid-pickle', pickle(bytesOf(raw('}'), op.none, raw('a')))],
  ['an item of a list', 'invalid-pickle', pickle(bytesOf(raw(']'), op.none, op.none, raw('s')))],
  ['a key without a value', 'invalid-pickle', pickle(bytesOf(raw('}'), op.mark, op.none, raw('u')))],
  ['a value that was never stored', 'invalid-pickle', pickle(op.get(7))],
  ['a text longer than the file', 'invalid-pickle', pickle(raw('X\xff\xff\xff\x7fabc'))],
  ['a text of 2^63 bytes', 'invalid-pickle', pickle(raw('\x8d\xff\xff\xff\xff\xff\xff\xff\x7fabc'), 4)],
  ['a text that is not UTF-8', 'invalid-pickle', pickle(raw('X\x02\x00\x00\x00\xc3\x28'))],
  ['bytes longer than the file', 'invalid-pickle', pickle(raw('\x8e\xff\xff\xff\xff\xff\xff\xff\xffabc'), 4)],
  ['an integer of a million digits', 'invalid-pickle', pickle(op.long(Buffer.alloc(400_000, 0x7f)))],
  ['an integer longer than the file', 'invalid-pickle', pickle(raw('\x8b\xff\xff\xff\xff'))],
  ['a name without an end', 'invalid-pickle', bytesOf(op.proto(2), raw('ctorch'))],
  ['lists in lists, a million deep', 'no-state-dict', pickle(deep(1_000_000, raw(']'), raw('a')))],
  ['tuples in tuples, a million deep', 'no-state-dict', pickle(deep(1_000_000, Buffer.alloc(0), raw('\x85')))],
  ['marks, a million', 'invalid-pickle', pickle(bytesOf(Buffer.alloc(1_000_000, 0x28), op.none))],
  ['more dicts than any model', 'pickle-too-long', pickle(Buffer.alloc(5_500_000, 0x7d))],
  ['more memo entries than any model', 'pickle-too-long', pickle(bytesOf(op.none, Buffer.alloc(5_500_000, 0x94)), 4)],
]

const put = (name: string, bytes: Buffer): string => {
  const path = join(folder.path, name)
  writeFileSync(path, bytes)
  return path
}

test('every hostile pickle is refused with its code, and none is run', async () => {
  const found: Record<string, string> = {}
  for (const [i, [title, , bytes]] of HOSTILE.entries()) {
    const path = put(`${i}.pt`, writeCheckpoint(bytes, { 0: Buffer.alloc(8) }))
    const [opened, converted] = [await openCheckpoint(path), await convert(path, `${path}.safetensors`)]
    const codes = [...opened.diagnostics, ...converted.diagnostics].map((d) => d.code)
    expect(existsSync(`${path}.safetensors`), title).toBe(false)
    expect(opened.type, title).toBe('failed')
    found[title] = [...new Set(codes)].join()
  }
  expect(found).toEqual(Object.fromEntries(HOSTILE.map(([title, code]) => [title, code])))
  expect(existsSync(PROOF)).toBe(false)
})

test('names and instructions that are refused are told, with the byte of the file', async () => {
  const path = put('named.pt', writeCheckpoint(pickle(op.reduce(system, op.tuple(op.text(COMMAND))))))
  const [problem] = (await openCheckpoint(path)).diagnostics
  expect(problem!.message).toContain('imports `os.system`, which can run any command; smelt did not run it')
  expect(problem!.at).toEqual({ type: 'file', path, offset: 'PK\x03\x04'.length + 26 + 'archive/data.pkl'.length + 2 })
  const complex = storage(word, op.global('torch.ComplexDoubleStorage'), key, cpu, op.int(2))
  const [dtype] = (await openCheckpoint(put('dtype.pt', writeCheckpoint(pickle(complex))))).diagnostics
  expect(dtype!.message).toContain('imports `torch.ComplexDoubleStorage`, whose dtype safetensors does not have')
  expect(dtype!.help).toContain('v.to(torch.complex64)')
  const other = (await openCheckpoint(put('other.pt', writeCheckpoint(pickle(raw('\x82\x01')))))).diagnostics
  expect(other[0]!.message).toContain('the pickle instruction EXT1')
})

test('every beginning of a pickle is refused', () => {
  const whole = pickle(stateDict({ a: T, b: { ...T, key: '1' } }))
  expect(readPickle('m', whole, 0).type).toBe('ok')
  for (let length = 0; length < whole.length; length++) {
    const read = readPickle('m', whole.subarray(0, length), 0)
    expect([read.type, read.diagnostics.length], String(length)).toEqual(['failed', 1])
  }
})

/** A dict whose every level holds the one below twice: 2^n ways to one tensor. */
const laughs = (levels: number): Buffer =>
  bytesOf(
    op.dict([op.text('w'), tensor(T)]),
    op.put(0),
    ...Array.from({ length: levels }, (_, i) => [
      op.dict([op.text('a'), op.get(i)], [op.text('b'), op.get(i)]),
      op.put(i + 1),
    ]).flat(),
  )

test('a billion ways to one tensor take no more time than the pickle is long', async () => {
  const below = laughs(30)
  const nested = bytesOf(op.mark, below, op.get(30), raw('t'))
  const path = put('laughs.pt', writeCheckpoint(pickle(nested), { 0: Buffer.alloc(8) }))
  expect((await openCheckpoint(path)).diagnostics.map((d) => d.code)).toEqual(['no-state-dict'])
  const chosen = pickle(op.dict([op.text('x'), op.list(bytesOf(op.mark, below, raw('t')))], [op.text('w'), tensor(T)]))
  const opened = await openCheckpoint(put('chosen.pt', writeCheckpoint(chosen, { 0: Buffer.alloc(8) })))
  expect([opened.type, opened.diagnostics.map((d) => d.code)]).toEqual(['ok', ['entries-skipped']])
})

test('a dict that contains itself is read, and leads nowhere', async () => {
  const self = bytesOf(raw('}'), op.put(0), op.text('model'), op.get(0), raw('s'))
  const path = put('self.pt', writeCheckpoint(pickle(self)))
  expect((await openCheckpoint(path)).diagnostics.map((d) => d.code)).toEqual(['no-state-dict'])
  const both = bytesOf(self, op.text('w'), tensor(T), raw('s'))
  const opened = await openCheckpoint(put('both.pt', writeCheckpoint(pickle(both), { 0: Buffer.alloc(8) })))
  expect(opened.type === 'ok' && [...opened.value.tensors.keys()]).toEqual(['w'])
})
