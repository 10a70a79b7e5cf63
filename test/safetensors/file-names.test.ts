import fs, { linkSync, mkdirSync, symlinkSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { namesOnDisk, type NamingIo } from '#src/safetensors/file-names.js'
import { makeFolder, put } from './files.js'

const meet = (names: (path: string) => readonly string[], x: string, y: string): boolean =>
  names(x).some((name) => names(y).includes(name))

describe('two paths have a name in common', () => {
  const same = (x: string, y: string): boolean => meet(namesOnDisk(), x, y)

  test('when they are the same, whether anything is there or not', () => {
    const folder = makeFolder()
    put(folder, 'a', '')
    expect(same(join(folder, 'a'), `${folder}/./x/../a`)).toBe(true)
    expect(same(join(folder, 'new'), `${folder}//new`)).toBe(true)
    expect(same(join(folder, 'deep/er/new'), join(folder, 'deep', '..', 'deep', 'er', 'new'))).toBe(true)
    expect(same(join(folder, 'a'), join(folder, 'new'))).toBe(false)
    expect(same(join(folder, 'deep/new'), join(folder, 'new'))).toBe(false)
  })

  test('when one is a hard or a symbolic link to the other', () => {
    const folder = makeFolder()
    const file = put(folder, 'a', '')
    linkSync(file, join(folder, 'hard'))
    symlinkSync(file, join(folder, 'soft'))
    expect(same(file, join(folder, 'hard'))).toBe(true)
    expect(same(join(folder, 'hard'), join(folder, 'soft'))).toBe(true)
  })

  test('when a folder above them is a link, also to a file that is not there yet', () => {
    const folder = makeFolder()
    mkdirSync(join(folder, 'real'))
    symlinkSync(join(folder, 'real'), join(folder, 'link'))
    expect(same(join(folder, 'real/new'), join(folder, 'link/new'))).toBe(true)
    expect(same(join(folder, 'real/deep/new'), join(folder, 'link/deep/new'))).toBe(true)
  })

  test('not when they differ in case, on a file system that tells cases apart', () => {
    const folder = makeFolder()
    put(folder, 'Probe', '')
    if (fs.existsSync(join(folder, 'pROBE'))) return
    expect(same(join(folder, 'new'), join(folder, 'NEW'))).toBe(false)
    // Links to one file under both names are still two files of the folder.
    linkSync(join(folder, 'Probe'), join(folder, 'pROBE'))
    expect(same(join(folder, 'new'), join(folder, 'NEW'))).toBe(false)
  })
})

describe('on a file system that ignores case', () => {
  /** The file that a name leads to below a folder, in whatever case it is asked for. */
  const spelt = (root: string, path: string): string => {
    if (path === root || !path.startsWith(`${root}/`)) return path
    const folder = spelt(root, dirname(path))
    const wanted = basename(path).normalize('NFC').toLowerCase()
    const listed = fs.existsSync(folder) && fs.statSync(folder).isDirectory() ? fs.readdirSync(folder) : []
    return join(folder, listed.find((name) => name.normalize('NFC').toLowerCase() === wanted) ?? basename(path))
  }
  const ignoringCase = (root: string, seen: string[] = []): NamingIo => ({
    look: (path) => {
      seen.push(path)
      return fs.statSync(spelt(root, path), { bigint: true })
    },
    list: (path) => fs.readdirSync(spelt(root, path)),
  })

  test('names that differ in case alone are one, whether anything is there or not', () => {
    const root = makeFolder()
    put(root, 'Model.safetensors', '')
    const names = namesOnDisk(ignoringCase(root))
    expect(meet(names, join(root, 'Model.safetensors'), join(root, 'mODEL.safetensors'))).toBe(true)
    expect(meet(names, join(root, 'New'), join(root, 'nEW'))).toBe(true)
    expect(meet(names, join(root, 'Deep/New'), join(root, 'dEEP/nEW'))).toBe(true)
    expect(meet(names, join(root, 'caf\u00e9'), join(root, 'CAFE\u0301'))).toBe(true)
    expect(meet(names, join(root, 'New'), join(root, 'Newer'))).toBe(false)
  })

  test('an empty folder is known by its own name in the folder above', () => {
    const root = makeFolder()
    mkdirSync(join(root, 'Empty'))
    const names = namesOnDisk(ignoringCase(root))
    expect(meet(names, join(root, 'Empty/New'), join(root, 'eMPTY/nEW'))).toBe(true)
  })

  test('nothing is written to find out, and each folder is asked once', () => {
    const root = makeFolder()
    put(root, '123', '')
    put(root, 'x', '')
    const seen: string[] = []
    const names = namesOnDisk(ignoringCase(root, seen))
    names(join(root, 'a'))
    const probes = (): number => seen.filter((path) => path === join(root, 'X')).length
    expect(probes()).toBe(1)
    names(join(root, 'b'))
    expect(probes()).toBe(1)
    expect(fs.readdirSync(root)).toEqual(['123', 'x'])
  })
})

test('a file system without inodes knows files by their paths', () => {
  const folder = makeFolder()
  const [a, b] = [put(folder, 'a', ''), put(folder, 'b', '')]
  const names = namesOnDisk({
    look: (path) => Object.assign(fs.statSync(path, { bigint: true }), { dev: 0n, ino: 0n }),
    list: (path) => fs.readdirSync(path),
  })
  expect(meet(names, a, b)).toBe(false)
  expect(meet(names, a, `${folder}/x/../a`)).toBe(true)
})
