/** The dtypes of the safetensors format, by their names on the wire. */
export type Dtype = keyof typeof DTYPES

/**
 * Every dtype of the format, in the order of the reference implementation (the reverse of the order in files). `bits`
 * per element; smelt computes with those that are `float`, and copies the others byte for byte.
 */
export const DTYPES = {
  BOOL: { bits: 8, float: false },
  F4: { bits: 4, float: false },
  F6_E2M3: { bits: 6, float: false },
  F6_E3M2: { bits: 6, float: false },
  U8: { bits: 8, float: false },
  I8: { bits: 8, float: false },
  F8_E5M2: { bits: 8, float: true },
  F8_E4M3: { bits: 8, float: true },
  F8_E8M0: { bits: 8, float: false },
  F8_E4M3FNUZ: { bits: 8, float: false },
  F8_E5M2FNUZ: { bits: 8, float: false },
  I16: { bits: 16, float: false },
  U16: { bits: 16, float: false },
  F16: { bits: 16, float: true },
  BF16: { bits: 16, float: true },
  I32: { bits: 32, float: false },
  U32: { bits: 32, float: false },
  F32: { bits: 32, float: true },
  C64: { bits: 64, float: false },
  F64: { bits: 64, float: true },
  I64: { bits: 64, float: false },
  U64: { bits: 64, float: false },
} as const satisfies Record<string, { bits: number; float: boolean }>

/** The dtypes that smelt computes with, all in float32. */
export type FloatDtype = 'F8_E5M2' | 'F8_E4M3' | 'F16' | 'BF16' | 'F32' | 'F64'

/** True when arithmetic is defined on the dtype; everything else is only ever copied. */
export const isFloat = (dtype: Dtype): dtype is FloatDtype => DTYPES[dtype].float

/** True when the text is a dtype's name on the wire, exactly. */
export const isDtype = (name: string): name is Dtype => Object.hasOwn(DTYPES, name)

/** The dtypes that a recipe can ask for, and what they are called in files. */
export const OUTPUT_DTYPES = { f32: 'F32', f16: 'F16', bf16: 'BF16', f8_e4m3: 'F8_E4M3', f8_e5m2: 'F8_E5M2' } as const
/** F8_E4M3 with scales in the layout of the first model. */
export const SCALED_DTYPE = 'f8_e4m3_scaled'
/** What a recipe can say of how a tensor is written. */
export type OutputDtype = 'same' | typeof SCALED_DTYPE | keyof typeof OUTPUT_DTYPES

/** Bytes that so many elements of a dtype take, rounded up. */
export const bytesFor = (elements: number, dtype: Dtype): number => Math.ceil((elements * DTYPES[dtype].bits) / 8)
