import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import fs, {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
} from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { ioProblem } from '#src/safetensors/io-problem.js'
import { createOutput, writeOutput } from '#src/safetensors/output.js'
import type { CommitIo } from '#src/safetensors/output.js'
import { readFully, writeFully } from '#src/safetensors/positional.js'
import type { PositionalIo } from '#src/safetensors/positional.js'
import { createRunId, isGone } from '#src/safetensors/run-id.js'
import type { RunId } from '#src/safetensors/run-id.js'
import { preflight } from '#src/safetensors/space.js'
import { sweepTemporaries, temporaryName } from '#src/safetensors/temporary.js'
import { codesOf, makeFolder, makeRandom, problemOf, put, valueOf } from './files.js'

const header = Buffer.from('header')
const systemError = (code: string): Error => Object.assign(new Error(code), { code })

test('a file appears under its name when it is committed, whole and with nothing beside it', async () => {
  const folder = makeFolder()
  const path = join(folder, 'build/deep/m.safetensors')
  const output = valueOf(await createOutput(path, header, 10, createRunId()))
  expect(output.finalPath).toBe(path)
  expect(existsSync(path)).toBe(false)
  expect(readFileSync(output.temporaryPath, 'latin1')).toBe('header\0\0\0\0')
  expect(writeFully(output.fd, path, Buffer.from('data'), 6)).toBeUndefined()
  expect(valueOf(await output.commit())).toBeUndefined()
  expect(readFileSync(path, 'latin1')).toBe('headerdata')
  expect(readdirSync(join(folder, 'build/deep'))).toEqual(['m.safetensors'])
  await output.discard()
  expect(existsSync(path)).toBe(true)
})

test('what was there is replaced on commit and kept on discard', async () => {
  const folder = makeFolder()
  const path = put(folder, 'm', 'old')
  const dropped = valueOf(await createOutput(path, header, 6, createRunId()))
  await dropped.discard()
  await dropped.discard()
  expect(readdirSync(folder)).toEqual(['m'])
  expect(readFileSync(path, 'latin1')).toBe('old')
  await valueOf(await createOutput(path, header, 6, createRunId())).commit()
  expect(readFileSync(path, 'latin1')).toBe('header')
})

test('a link at the final name is refused, wherever it leads, and it and its target stay', async () => {
  const folder = makeFolder()
  for (const target of [put(folder, 'kept', 'old'), join(folder, 'nowhere'), folder]) {
    symlinkSync(target, join(folder, 'm'))
    const problem = problemOf(await createOutput(join(folder, 'm'), header, 6, createRunId()))
    expect(problem.code).toBe('output-is-link')
    expect(problem.message).toContain(target)
    expect(readlinkSync(join(folder, 'm'))).toBe(target)
    rmSync(join(folder, 'm'))
  }
  expect(readFileSync(join(folder, 'kept'), 'latin1')).toBe('old')
})

test.runIf(process.platform !== 'win32')(
  'a FIFO, a socket or a device at the final name is refused, and stays',
  async () => {
    const folder = makeFolder()
    execFileSync('mkfifo', [join(folder, 'm')])
    expect(problemOf(await createOutput(join(folder, 'm'), header, 6, createRunId()))).toMatchObject({
      code: 'output-is-special',
      message: expect.stringContaining('is a FIFO (named pipe)'),
    })
    expect(statSync(join(folder, 'm')).isFIFO()).toBe(true)
    expect(problemOf(await createOutput('/dev/null', header, 6, createRunId()))).toMatchObject({
      code: 'output-is-special',
      message: '/dev/null is a device',
    })
    const server = createServer().listen(join(folder, 's'))
    await once(server, 'listening')
    expect(problemOf(await createOutput(join(folder, 's'), header, 6, createRunId())).message).toContain('is a socket')
    server.close()
  },
)

describe('a small file', () => {
  test('is written whole, and replaces what was there', async () => {
    const path = put(makeFolder(), 'm', 'old')
    expect(await writeOutput(path, Buffer.from('new'))).toMatchObject({ type: 'ok' })
    expect(readFileSync(path, 'utf8')).toBe('new')
  })

  test('that must be new replaces nothing, also what appears while it is written', async () => {
    const folder = makeFolder()
    const path = join(folder, 'm')
    const file = valueOf(await createOutput(path, header, 6, createRunId(), { fresh: true }))
    put(folder, 'm', 'other')
    expect((await file.commit()).type).toBe('failed')
    expect(readFileSync(path, 'utf8')).toBe('other')
    expect(readdirSync(folder)).toEqual(['m'])
    expect(await writeOutput(join(folder, 'n'), header, { fresh: true })).toMatchObject({ type: 'ok' })
    expect(readdirSync(folder)).toEqual(['m', 'n'])
  })

  test('takes away what dead processes left of it', async () => {
    const folder = makeFolder()
    const [host, boot] = createRunId().split('-')
    put(
      folder,
      temporaryName('m', [host, boot, 999_999_999, 1, '00000000'].join('-') as ReturnType<typeof createRunId>),
      'left',
    )
    await writeOutput(join(folder, 'm'), header)
    expect(readdirSync(folder)).toEqual(['m'])
  })
})

test('a link at the temporary name is never written through', async () => {
  const folder = makeFolder()
  const runId = createRunId()
  const kept = put(folder, 'kept', 'old')
  symlinkSync(kept, join(folder, temporaryName('m', runId)))
  expect((await createOutput(join(folder, 'm'), header, 6, runId)).type).toBe('failed')
  expect(readFileSync(kept, 'latin1')).toBe('old')
})

test('a folder at the final name is refused before any work', async () => {
  const folder = makeFolder()
  mkdirSync(join(folder, 'm'))
  expect(problemOf(await createOutput(join(folder, 'm'), header, 6, createRunId())).code).toBe('output-is-folder')
})

test('a size that the file system cannot hold is refused and leaves nothing', async () => {
  const folder = makeFolder()
  const problem = problemOf(await createOutput(join(folder, 'm'), header, 2 ** 53 - 1, createRunId()))
  expect(['file-too-large', 'io-failed']).toContain(problem.code)
  expect(readdirSync(folder)).toEqual([])
})

test.each(['fsync', 'close', 'rename'] as const)(
  'when %s fails the write fails, nothing is tried again, and the old file stays',
  async (failing) => {
    const folder = makeFolder()
    const path = put(folder, 'm', 'old')
    const calls: string[] = []
    const call = (name: keyof CommitIo) => (): Promise<void> => {
      calls.push(name)
      return name === failing ? Promise.reject(systemError('EIO')) : Promise.resolve()
    }
    const output = valueOf(
      await createOutput(path, header, 6, createRunId(), {
        io: { fsync: call('fsync'), close: call('close'), rename: call('rename') },
      }),
    )
    const result = await output.commit()
    fs.closeSync(output.fd)
    expect(problemOf(result)).toMatchObject({ code: 'io-failed', blame: 'run' })
    expect(calls.filter((name) => name === failing)).toEqual([failing])
    expect(calls.includes('rename')).toBe(failing === 'rename')
    expect(readdirSync(folder)).toEqual(['m'])
    expect(readFileSync(path, 'latin1')).toBe('old')
  },
)

test('data is synced before the rename and the folder after it', async () => {
  const path = join(makeFolder(), 'm')
  const calls: string[] = []
  const io: CommitIo = {
    fsync: async (fd) => void calls.push(fs.fstatSync(fd).isDirectory() ? 'fsync folder' : 'fsync file'),
    close: async (fd) => (fs.closeSync(fd), void calls.push('close')),
    rename: async (from, to) => (fs.renameSync(from, to), void calls.push('rename')),
  }
  await valueOf(await createOutput(path, header, 6, createRunId(), { io })).commit()
  expect(calls).toEqual(['fsync file', 'close', 'rename', 'fsync folder'])
})

test('a folder that cannot be synced for good is a failure, one that never could be is not', async () => {
  const commit = async (code: string) => {
    const fsync = (fd: number): Promise<void> =>
      fs.fstatSync(fd).isDirectory() ? Promise.reject(systemError(code)) : Promise.resolve()
    const close = async (fd: number) => fs.closeSync(fd)
    const rename = async (from: string, to: string) => fs.renameSync(from, to)
    return valueOf(
      await createOutput(join(makeFolder(), 'm'), header, 6, createRunId(), { io: { fsync, close, rename } }),
    ).commit()
  }
  expect((await commit('EINVAL')).type).toBe('ok')
  expect((await commit('EIO')).type).toBe('failed')
})

test('temporaries of processes that are gone are swept, of living ones and of other hosts left', async () => {
  const folder = makeFolder()
  const mine = createRunId()
  const child = spawn(process.execPath, ['-e', ''])
  await once(child, 'exit')
  const [host, boot, pid, start, random] = mine.split('-')
  const runs = {
    mine,
    dead: [host, boot, child.pid, 1, random].join('-'),
    restarted: [host, '00000000', pid, start, random].join('-'),
    reused: [host, boot, pid, Number(start) + 1, random].join('-'),
    elsewhere: ['00000000', '00000000', child.pid, 1, random].join('-'),
  }
  for (const runId of Object.values(runs)) put(folder, temporaryName('m', runId as RunId), '')
  for (const other of [temporaryName('m.x', runs.dead as RunId), '.m.notes.partial', 'm']) put(folder, other, '')
  const removed = await sweepTemporaries(folder, 'm')
  expect(removed.toSorted()).toEqual(
    [runs.dead, runs.restarted, runs.reused].map((runId) => temporaryName('m', runId as RunId)).toSorted(),
  )
  expect(readdirSync(folder).length).toBe(5)
  expect(await sweepTemporaries(join(folder, 'none'), 'm')).toEqual([])
})

test('a run is gone once its process is killed', async () => {
  const script = `import { createRunId } from '#src/safetensors/run-id.js'; console.log(createRunId()); setInterval(() => {}, 1000)`
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
    cwd: join(import.meta.dirname, '../..'),
  })
  const [line] = (await once(child.stdout, 'data')) as [Buffer]
  const runId = line.toString().trim()
  expect(isGone(runId)).toBe(false)
  child.kill('SIGKILL')
  await once(child, 'exit')
  expect(isGone(runId)).toBe(true)
})

test('a name near the longest allowed has a temporary name that is allowed, and its own', async () => {
  const folder = makeFolder()
  const long = `${'é'.repeat(120)}-1.txt`
  const runId = createRunId()
  const output = valueOf(await createOutput(join(folder, long), header, 6, runId))
  expect(Buffer.byteLength(temporaryName(long, runId))).toBeLessThan(200)
  expect(temporaryName(long, runId)).not.toBe(temporaryName(long.replace('1', '2'), runId))
  expect((await output.commit()).type).toBe('ok')
})

test('too little room is found before work starts, in the folder that will be made', () => {
  const folder = join(makeFolder(), 'not/yet')
  const problem = problemOf(preflight(folder, 1e18))
  expect(problem).toMatchObject({ code: 'disk-too-small', blame: 'retry' })
  expect(problem.message).toContain('1,050,000,000,000,000,000 bytes')
  expect(problem.message).toContain(folder)
  expect(valueOf(preflight(folder, 1))).toBeGreaterThan(0)
})

test.each([
  ['ENOSPC', 'disk-full', 'retry'],
  ['EDQUOT', 'disk-full', 'retry'],
  ['EBUSY', 'file-busy', 'retry'],
  ['EMFILE', 'file-busy', 'retry'],
  ['EACCES', 'not-permitted', 'input'],
  ['EROFS', 'not-permitted', 'input'],
  ['EFBIG', 'file-too-large', 'input'],
  ['ENOTDIR', 'not-a-place', 'input'],
  ['EIO', 'io-failed', 'run'],
  ['ESTALE', 'io-failed', 'run'],
])('%s is told as %s, to be put right by: %s', (error, code, blame) => {
  const problem = ioProblem(systemError(error), '/out/m', 'write')
  expect(problem).toMatchObject({ code, blame, at: { type: 'file', path: '/out/m' } })
  expect(problem.message).toContain('write /out/m')
})

test('an error that is not the system’s is thrown on', () => {
  expect(() => ioProblem(new TypeError('a bug'), 'm', 'read')).toThrow('a bug')
})

/** Calls that move a random part of what is asked for, and are interrupted or told to try again now and then. */
const slowIo = (random: () => number, most: number): PositionalIo => {
  const part =
    (move: typeof fs.readSync) =>
    (fd: number, buffer: Uint8Array, offset: number, length: number, position: number) => {
      if (random() < 0.05) throw systemError(random() < 0.5 ? 'EINTR' : 'EAGAIN')
      return move(fd, buffer, offset, Math.min(length, 1 + Math.floor(random() * most)), position)
    }
  return { readSync: part(fs.readSync), writeSync: part(fs.writeSync as typeof fs.readSync) }
}

test('reads and writes that move 1 to k bytes a call move every byte to its place', () => {
  const path = put(makeFolder(), 'm', '')
  const fd = fs.openSync(path, 'r+')
  try {
    for (let seed = 0; seed < 40; seed++) {
      const random = makeRandom(seed)
      const io = slowIo(random, 1 + seed * 7)
      const wanted = Buffer.from(Array.from({ length: Math.floor(random() * 300) }, () => Math.floor(random() * 256)))
      const position = Math.floor(random() * 1000)
      expect(writeFully(fd, path, wanted, position, io)).toBeUndefined()
      const found = Buffer.alloc(wanted.length)
      expect(readFully(fd, path, found, position, io)).toBeUndefined()
      expect(found).toEqual(wanted)
      expect(readFileSync(path).subarray(position, position + wanted.length)).toEqual(wanted)
    }
  } finally {
    fs.closeSync(fd)
  }
})

test('no call is asked to move more than the system moves at once', () => {
  const lengths: number[] = []
  const count = (_fd: number, _buffer: Uint8Array, _offset: number, length: number): number => (
    lengths.push(length),
    length
  )
  const large = { length: 5_000_000_000 } as Uint8Array
  expect(readFully(0, 'm', large, 0, { readSync: count, writeSync: count })).toBeUndefined()
  expect(lengths).toEqual([0x7ffff000, 0x7ffff000, 5_000_000_000 - 2 * 0x7ffff000])
})

test('a file that ends early is told with the offset where it ends', () => {
  const path = put(makeFolder(), 'm', 'x'.repeat(100))
  const fd = fs.openSync(path, 'r')
  const problem = readFully(fd, path, Buffer.alloc(20), 90)
  fs.closeSync(fd)
  expect(problem).toMatchObject({ code: 'read-past-end', blame: 'run', at: { path, offset: 100 } })
})

test('errors while moving bytes are told, and a call that never moves any is given up', () => {
  const fail = (code: string) => () => {
    throw systemError(code)
  }
  const io = (code: string): PositionalIo => ({ readSync: fail(code), writeSync: fail(code) })
  expect(writeFully(0, 'm', Buffer.alloc(1), 0, io('ENOSPC'))).toMatchObject({ code: 'disk-full', blame: 'retry' })
  expect(readFully(0, 'm', Buffer.alloc(1), 0, io('EIO'))).toMatchObject({ code: 'io-failed', blame: 'run' })
  expect(readFully(0, 'm', Buffer.alloc(1), 0, io('EAGAIN'))).toMatchObject({ code: 'file-busy', blame: 'retry' })
  expect(writeFully(0, 'm', Buffer.alloc(1), 0, { ...fs, writeSync: () => 0 } as PositionalIo)).toMatchObject({
    code: 'io-failed',
  })
})

test('an output is as large as was said before its data is there', async () => {
  const output = valueOf(await createOutput(join(makeFolder(), 'm'), header, 1_000_000, createRunId()))
  expect(statSync(output.temporaryPath).size).toBe(1_000_000)
  await output.discard()
  expect(codesOf(await createOutput(output.finalPath, header, 6, createRunId()))).toEqual([])
})

test.skipIf(process.getuid?.() === 0)('a folder without permission is told', async () => {
  const folder = makeFolder()
  execFileSync('chmod', ['500', folder])
  expect(problemOf(await createOutput(join(folder, 'm'), header, 6, createRunId())).code).toBe('not-permitted')
})
