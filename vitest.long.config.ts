import { defineConfig } from 'vitest/config'
import { HANG } from './test/support/hang.js'

// Repetitions, real terminals, and faults tried a few times: what takes too long to run before every commit.
export default defineConfig({
  test: {
    include: ['test/**/*.long.ts'],
    testTimeout: HANG,
    hookTimeout: HANG,
    pool: 'forks',
    maxWorkers: 2,
    server: { deps: { external: [/\/dist\//] } },
  },
})
