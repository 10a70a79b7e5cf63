import { defineConfig } from 'vitest/config'
import { HANG } from './test/support/hang.js'

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    testTimeout: HANG,
    hookTimeout: HANG,
    pool: 'forks',
    // A process for each file would load the program three hundred times: a test leaves nothing behind that another could see.
    isolate: false,
    // One core less is the default, which on two cores is one after the other.
    maxWorkers: '100%',
    // Tests exercise the compiled program, the one that ships: workers need real files, and there is no second way to load them.
    server: { deps: { external: [/\/dist\//] } },
  },
})
