import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'

test('tensors of f16 hold their bits also where JavaScript has an array for them, which ONNX Runtime does not know', () => {
  // ONNX Runtime decides once in a process what its tensors hold.
  const sessions = fileURLToPath(import.meta.resolve('#src/run/sessions.js'))
  const script = `
    globalThis.Float16Array ??= class extends Uint16Array {}
    const known = globalThis.Float16Array
    const { feed } = await import(${JSON.stringify(sessions)})
    const { data } = feed({ name: 'x', type: 'f16', rank: 1 }, Uint16Array.of(0x3c00))
    console.log(data.constructor.name, data[0], globalThis.Float16Array === known)`
  const { stdout } = spawnSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8' })
  expect(stdout).toBe('Uint16Array 15360 true\n')
})
