import { defineConfig } from 'vitest/config'
import { HANG } from './test/support/hang.js'

// Read by the tests when they load: every fault as often as its target says.
process.env['SMELT_FAULTS'] = 'full'

export default defineConfig({
  test: {
    include: ['test/faults/*.{test,long}.ts'],
    // As often as a target says takes a while.
    testTimeout: 3 * HANG,
    hookTimeout: HANG,
    globalSetup: ['test/faults/table.ts'],
    pool: 'forks',
    maxWorkers: 2,
    // A run with nothing but greens would say neither what was tried nor what was skipped.
    reporters: ['verbose'],
    server: { deps: { external: [/\/dist\//] } },
  },
})
