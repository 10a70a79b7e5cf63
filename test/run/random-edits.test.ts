import { testEdits } from './random-edits.js'

testEdits([1, 2], 15)
