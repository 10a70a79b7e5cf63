import { testEdits } from './random-edits.js'

testEdits([1, 2, 3, 4], 50)
