import { defineConfig } from 'vitest/config'

// Read by the tests when they load: every fault as often as its target says.
process.env['SMELT_FAULTS'] = 'full'

export default defineConfig({
  test: {
    include: ['test/faults/*.test.ts'],
    globalSetup: ['test/faults/table.ts'],
    pool: 'forks',
    maxWorkers: 2,
    // A run with nothing but greens would say neither what was tried nor what was skipped.
    reporters: ['verbose'],
    server: { deps: { external: [/\/dist\//] } },
  },
})
