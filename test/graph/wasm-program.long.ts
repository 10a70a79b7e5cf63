import { test } from 'vitest'
import { agreeOnMany } from '../support/any-program.js'

test('ten thousand random programs of all dtypes and lengths have the bits of ONNX Runtime', () =>
  agreeOnMany(300, 10_000))
