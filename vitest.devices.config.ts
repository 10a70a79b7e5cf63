import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { defineConfig } from 'vitest/config'
import { HANG } from './test/support/hang.js'

// A copy of the program beside which the providers of devices may be put; test/cuda/setup.ts fills and removes it.
const tree = mkdtempSync(join(tmpdir(), 'smelt-devices-'))
process.env['SMELT_DEVICES_TREE'] = tree

export default defineConfig({
  resolve: { alias: [{ find: /^#src\//, replacement: `${tree}/dist/` }] },
  test: {
    include: ['test/cuda/*.device.ts', 'test/webgpu/*.device.ts'],
    globalSetup: ['test/cuda/setup.ts'],
    testTimeout: HANG,
    hookTimeout: HANG,
    pool: 'forks',
    maxWorkers: 2,
    // A run with nothing but greens would not say what was skipped.
    reporters: ['verbose'],
    server: { deps: { external: [/\/dist\//] } },
  },
})
