import { expect, test } from 'vitest'
import { makeRandom } from '../safetensors/files.js'
import { agree, agreeOnMany, SPECIAL } from '../support/any-program.js'
import { collectPrograms } from '../support/programs.js'

test('every program that recipes, operators and reference cases ask for has the bits of ONNX Runtime', async () => {
  const random = makeRandom(7)
  const programs = await collectPrograms()
  expect(programs.length).toBeGreaterThan(200)
  for (const program of programs)
    await agree(program, 37, random, program.outputs.some((p) => p.type === 'i64') ? [0, 1, -5, 3.7] : SPECIAL)
}, 120_000)

test('random programs of all dtypes and lengths have the bits of ONNX Runtime', () => agreeOnMany(0, 300))
