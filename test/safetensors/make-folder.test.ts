import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { makeFolder } from '#src/safetensors/make-folder.js'

const root = mkdtempSync(join(tmpdir(), 'smelt-folder-'))
afterAll(() => rmSync(root, { recursive: true, force: true }))

describe('a folder to write to', () => {
  it('is made with those above it, and may be there', () => {
    makeFolder(join(root, 'a/b/c'))
    makeFolder(join(root, 'a/b/c'))
    makeFolder(`${join(root, 'a/d')}/`)
    expect(['a/b/c', 'a/d'].map((path) => existsSync(join(root, path)))).toEqual([true, true])
  })
  it('is not made where a file is in the way', () => {
    writeFileSync(join(root, 'file'), '')
    expect(() => makeFolder(join(root, 'file'))).toThrow('EEXIST')
    expect(() => makeFolder(join(root, 'file/below'))).toThrow('ENOTDIR')
  })
  // Node's recursive `mkdir` never returns here.
  it.runIf(process.platform === 'linux')('is given up where the file system makes none', () => {
    expect(() => makeFolder('/proc/smelt/below')).toThrow('ENOENT')
  })
})
