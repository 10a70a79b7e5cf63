import { describe, expect, it } from 'vitest'
import type { Dtype } from '#src/tensor/dtype.js'
import type { TensorInfo } from '#src/tensor/info.js'
import { findQuantised } from '#src/tensor/quantised.js'

type Outline = Readonly<Record<string, readonly [dtype: Dtype, ...shape: number[]]>>

const find = (outline: Outline) =>
  findQuantised(
    new Map(
      Object.entries(outline).map(([name, [dtype, ...shape]]): [string, TensorInfo] => [
        name,
        { name, dtype, shape, file: '', begin: 0, end: 0 },
      ]),
    ),
  )
const blocksOf = (outline: Outline, weight = 'a.weight') => find(outline)?.scaled.get(weight)?.grid.blocks
const schemesOf = (outline: Outline): Record<string, string> =>
  Object.fromEntries([...(find(outline)?.packed ?? [])].map(([name, { scheme }]) => [name, scheme]))

describe('scaled 8-bit floats', () => {
  it('are found by every name that their scales have', () => {
    for (const scale of ['a.scale_weight', 'a.weight_scale', 'a.weight_scale_inv']) {
      const found = find({ 'a.weight': ['F8_E4M3', 4, 6], [scale]: ['F32'], 'a.bias': ['F16', 4] })!
      expect(found.scaled.get('a.weight')).toMatchObject({
        stored: { name: 'a.weight' },
        scale: { name: scale },
        grid: { blocks: [4, 6] },
      })
      expect([...found.companions]).toEqual([scale])
    }
    expect([...find({ 'e.up': ['F8_E5M2', 2, 4, 6], 'e.up_scale': ['BF16', 2, 4, 1] })!.scaled.keys()]).toEqual([
      'e.up',
    ])
  })
  it('have a scale for the whole, for each row, or for each block, which are of 128 where that fits', () => {
    expect(blocksOf({ 'a.weight': ['F8_E4M3', 4, 6], 'a.weight_scale': ['F32', 1] })).toEqual([4, 6])
    expect(blocksOf({ 'a.weight': ['F8_E4M3', 4, 6], 'a.weight_scale': ['F32', 4] })).toEqual([1, 6])
    expect(blocksOf({ 'a.weight': ['F8_E4M3', 4, 6], 'a.weight_scale': ['F32', 4, 1] })).toEqual([1, 6])
    expect(blocksOf({ 'a.weight': ['F8_E4M3', 4, 3, 2, 2], 'a.weight_scale': ['F32', 4, 1, 1, 1] })).toEqual([
      1, 3, 2, 2,
    ])
    expect(blocksOf({ 'a.weight': ['F8_E4M3', 300, 256], 'a.weight_scale_inv': ['F32', 3, 2] })).toEqual([128, 128])
    expect(blocksOf({ 'a.weight': ['F8_E4M3', 5, 4], 'a.weight_scale_inv': ['F32', 3, 2] })).toEqual([2, 2])
  })
  it('keep what else lies beside them, and the markers above them', () => {
    const found = find({
      'm.a.weight': ['F8_E4M3', 4, 6],
      'm.a.scale_weight': ['F32'],
      'm.a.scale_input': ['F32'],
      'm.a.comfy_quant': ['U8', 20],
      'm.scaled_fp8': ['F8_E4M3', 2],
      't.scaled_fp8': ['F8_E4M3', 0],
      'm.a.bias': ['F16', 4],
    })!
    const { others, markers } = found.scaled.get('m.a.weight')!
    expect([others, markers].map((infos) => infos.map((t) => t.name))).toEqual([
      ['m.a.scale_input', 'm.a.comfy_quant'],
      ['m.scaled_fp8'],
    ])
    expect([...found.companions].sort()).toEqual([
      'm.a.comfy_quant',
      'm.a.scale_input',
      'm.a.scale_weight',
      'm.scaled_fp8',
    ])
  })
  it('may be plain floats where a marker says that all are scaled', () => {
    expect(blocksOf({ 'a.weight': ['BF16', 4, 6], 'a.scale_weight': ['F32'], scaled_fp8: ['F8_E4M3', 2] })).toEqual([
      4, 6,
    ])
  })
})

describe('what cannot be computed with', () => {
  it('is an 8-bit float with a scale under any name that nobody here knows', () => {
    const scheme = 'F8_E4M3 with scales that smelt cannot read'
    for (const part of [
      'scale',
      'weight.scale',
      'weight_scales',
      'w_scale',
      'scale_w',
      'fp8_scale',
      'weight_zero_point',
      'weight_amax',
      'weight:scale',
    ]) {
      expect(
        schemesOf({ 'm.q.weight': ['F8_E4M3', 4, 6], [`m.q.${part}`]: ['F32', 4], 'm.q.bias': ['F16', 4] }),
        part,
      ).toEqual({ 'm.q.weight': scheme, [`m.q.${part}`]: scheme })
    }
    expect(schemesOf({ 'q._weight_qdata': ['F8_E4M3', 4, 6], 'q._weight_scale': ['F32', 4, 1] })).toEqual({
      'q._weight_qdata': scheme,
      'q._weight_scale': scheme,
    })
    expect(schemesOf({ 'e.up': ['F8_E4M3', 2, 4, 6], 'e.up_scales': ['F32', 2], 'e.down_scales': ['F32', 2] })).toEqual(
      { 'e.up': scheme, 'e.up_scales': scheme },
    )
  })
  it('is no plain 8-bit float beside parameters that are called scales', () => {
    expect(
      find({
        'n.query_norm.scale': ['F8_E4M3', 128],
        'n.key_norm.scale': ['F8_E4M3', 128],
        'n.qkv.weight': ['F8_E4M3', 4, 6],
      }),
    ).toBeUndefined()
    expect(
      find({
        'n.weight': ['F8_E4M3', 8],
        'n.scale': ['F32', 8],
        logit_scale: ['F32'],
        scale_shift_table: ['F32', 2, 8],
        proj: ['F8_E4M3', 8, 8],
      }),
    ).toBeUndefined()
    expect(
      find({ 'a.weight': ['F8_E4M3', 8, 8], 'a.input_scale': ['F32'], scaled_fp8: ['F8_E4M3', 2] }),
    ).toBeUndefined()
  })
  it('is told by name, in all its parts', () => {
    expect(
      schemesOf({
        'q.qweight': ['I32', 8, 64],
        'q.qzeros': ['I32', 1, 8],
        'q.scales': ['F16', 1, 64],
        'q.g_idx': ['I32', 64],
        'q.bias': ['F16', 64],
      }),
    ).toEqual({ 'q.qweight': 'GPTQ', 'q.qzeros': 'GPTQ', 'q.scales': 'GPTQ', 'q.g_idx': 'GPTQ' })
    expect(
      schemesOf({ 'q.qweight': ['I32', 64, 8], 'q.qzeros': ['I32', 1, 8], 'q.scales': ['F16', 1, 64] })['q.qweight'],
    ).toBe('AWQ')
    expect(
      schemesOf({
        'q.weight': ['U8', 32, 1],
        'q.weight.absmax': ['U8', 1],
        'q.weight.nested_absmax': ['F32', 1],
        'q.weight.quant_state.bitsandbytes__nf4': ['U8', 90],
      }),
    ).toEqual({
      'q.weight': 'bitsandbytes nf4',
      'q.weight.absmax': 'bitsandbytes nf4',
      'q.weight.nested_absmax': 'bitsandbytes nf4',
      'q.weight.quant_state.bitsandbytes__nf4': 'bitsandbytes nf4',
    })
    expect(schemesOf({ 'q.weight._data': ['I8', 4, 4], 'q.weight._scale': ['F16', 4, 1] })['q.weight._scale']).toBe(
      'quanto',
    )
    expect(schemesOf({ 'q.weight': ['I8', 4, 4], 'q.SCB': ['F32', 4], 'q.weight_format': ['U8'] })).toEqual({
      'q.weight': 'bitsandbytes int8',
      'q.SCB': 'bitsandbytes int8',
      'q.weight_format': 'bitsandbytes int8',
    })
    expect(schemesOf({ 'e.up_blocks': ['U8', 2, 4, 2, 16], 'e.up_scales': ['U8', 2, 4, 2] })).toEqual({
      'e.up_blocks': 'MXFP4',
      'e.up_scales': 'MXFP4',
    })
    expect(
      schemesOf({
        'q.weight': ['U8', 4, 8],
        'q.weight_scale': ['F8_E4M3', 4, 1],
        'q.weight_scale_2': ['F32'],
        'q.input_scale': ['F32'],
      }),
    ).toEqual({ 'q.weight': 'nvfp4', 'q.weight_scale': 'nvfp4', 'q.weight_scale_2': 'nvfp4', 'q.input_scale': 'nvfp4' })
    expect(
      schemesOf({ 'q.weight_packed': ['I32', 4, 1], 'q.weight_scale': ['BF16', 4, 1], 'q.weight_shape': ['I64', 2] })[
        'q.weight_scale'
      ],
    ).toBe('compressed-tensors')
    expect(schemesOf({ 'q.weight': ['I8', 4, 4], 'q.weight_scale': ['F32', 4, 1] })).toEqual({
      'q.weight': 'scaled I8',
      'q.weight_scale': 'scaled I8',
    })
    expect(schemesOf({ 'blk.0.attn_q.weight': ['U8', 4, 18] })).toEqual({ 'blk.0.attn_q.weight': 'GGUF' })
    expect(schemesOf({ 'q.weight': ['F8_E4M3', 4, 32], 'q.weight_scale': ['U8', 4, 1] })).toEqual({
      'q.weight': 'MXFP8',
      'q.weight_scale': 'MXFP8',
    })
  })
  it('is a scale that fits no weight, or of which it is not clear what it does', () => {
    expect(schemesOf({ 'q.weight': ['F8_E4M3', 4, 6], 'q.weight_scale': ['F32', 3] })['q.weight']).toBe(
      'F8_E4M3 with scales that smelt cannot read',
    )
    // Blocks of 3 and of 4 rows would both fit.
    expect(schemesOf({ 'q.weight': ['F8_E4M3', 6, 6], 'q.weight_scale': ['F32', 2, 1] })['q.weight']).toBe(
      'F8_E4M3 with scales that smelt cannot read',
    )
    expect(
      schemesOf({ 'q.weight': ['F8_E4M3', 4, 6], 'q.weight_scale': ['F32'], 'q.weight_scale_2': ['F32'] })['q.weight'],
    ).toBe('F8_E4M3 with scales that smelt cannot read')
    expect(
      schemesOf({ 'q.weight': ['F8_E4M3', 4, 6], 'q.weight_scale': ['F32'], 'q.scale_weight': ['F32'] })['q.weight'],
    ).toBe('F8_E4M3 with scales that smelt cannot read')
    expect(schemesOf({ 'q.weight': ['BF16', 4, 6], 'q.weight_scale': ['F32'] })).toEqual({
      'q.weight': 'BF16 with a scale beside it',
      'q.weight_scale': 'BF16 with a scale beside it',
    })
    expect(schemesOf({ 'q.weight_scale_inv': ['F32', 4] })).toEqual({
      'q.weight_scale_inv': 'a scale without its weight',
    })
  })
  it('is nothing of a plain checkpoint', () => {
    expect(
      find({
        'a.weight': ['F16', 4, 6],
        'a.bias': ['F16', 4],
        'norm.scale': ['F32', 4],
        'norm.key_norm.scale': ['F32', 4],
        logit_scale: ['F32'],
        'a.input_scale': ['F32'],
        position_ids: ['I64', 1, 77],
        'b.weight': ['F8_E4M3', 4, 6],
        'mask.weight': ['BOOL', 4, 6],
        x_blocks: ['U8', 4],
      }),
    ).toBeUndefined()
  })
})
