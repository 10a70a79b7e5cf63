import { testArchitecture, testNormalized } from './architecture.js'
import { makeBase, train } from './checkpoint.js'
import { SDXL_ATTENTION, SDXL_MODULES, withFusedRows } from './lora.js'

const xl = makeBase('sdxl', 1)

testArchitecture({ architecture: 'Stable Diffusion XL', tuned: [2, 3, 4, 5].map((seed) => train(xl, seed)), depth: 9 })
testNormalized('SDXL', withFusedRows(makeBase('sdxl', 5)), [...SDXL_MODULES, ...SDXL_ATTENTION], 328)
