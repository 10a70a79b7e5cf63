import { readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { openStore } from '#src/store/store.js'
import { inFolder } from '../support/build-run.js'

const speed = { read: 1e-9, write: 2e-9, compute: 3e-9 }

test('speeds are kept by device, and forgotten where they are damaged', () =>
  inFolder(async (folder) => {
    const store = openStore(folder)
    store.speeds.keep('cpu', speed)
    expect(openStore(folder).speeds.find('cpu')).toEqual(speed)
    expect(store.speeds.find('cuda:0')).toBeUndefined()
    const [file] = readdirSync(join(folder, 'v1', 'speeds'))
    writeFileSync(join(folder, 'v1', 'speeds', file!), 'rubbish')
    expect(openStore(folder).speeds.find('cpu')).toBeUndefined()
  }))
