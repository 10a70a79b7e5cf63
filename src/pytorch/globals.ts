import type { Dtype } from '../tensor/dtype.js'

/** What a name that a pickle imports stands for here. Nothing is ever imported. */
export type Global =
  | { readonly type: 'ordered-dict' }
  | { readonly type: 'rebuild'; readonly how: Rebuild }
  | { readonly type: 'storage'; readonly dtype: Dtype | undefined }
  | { readonly type: 'dtype'; readonly dtype: Dtype | undefined }
  | { readonly type: 'opaque' }

/** The ways in which PyTorch puts tensors together. */
export type Rebuild = 'tensor' | 'tensor-2' | 'tensor-3' | 'parameter' | 'typed'

const STORAGES: Readonly<Record<string, Dtype>> = {
  BoolStorage: 'BOOL',
  ByteStorage: 'U8',
  CharStorage: 'I8',
  ShortStorage: 'I16',
  IntStorage: 'I32',
  LongStorage: 'I64',
  HalfStorage: 'F16',
  BFloat16Storage: 'BF16',
  FloatStorage: 'F32',
  DoubleStorage: 'F64',
  ComplexFloatStorage: 'C64',
}

const TORCH_DTYPES: Readonly<Record<string, Dtype | undefined>> = {
  bool: 'BOOL',
  uint8: 'U8',
  int8: 'I8',
  int16: 'I16',
  int32: 'I32',
  int64: 'I64',
  uint16: 'U16',
  uint32: 'U32',
  uint64: 'U64',
  float8_e5m2: 'F8_E5M2',
  float8_e4m3fn: 'F8_E4M3',
  float8_e8m0fnu: 'F8_E8M0',
  float8_e5m2fnuz: 'F8_E5M2FNUZ',
  float8_e4m3fnuz: 'F8_E4M3FNUZ',
  float16: 'F16',
  bfloat16: 'BF16',
  float32: 'F32',
  float64: 'F64',
  complex64: 'C64',
  // Settings of trainers may name these; safetensors has none of them, or not as PyTorch packs them.
  bits16: undefined,
  bits1x8: undefined,
  bits2x4: undefined,
  bits4x2: undefined,
  bits8: undefined,
  complex128: undefined,
  complex32: undefined,
  float4_e2m1fn_x2: undefined,
}

const REBUILDS: Readonly<Record<string, Rebuild>> = {
  'torch._utils._rebuild_tensor': 'tensor',
  'torch._utils._rebuild_tensor_v2': 'tensor-2',
  'torch._utils._rebuild_tensor_v3': 'tensor-3',
  'torch._utils._rebuild_parameter': 'parameter',
  'torch._utils._rebuild_parameter_with_state': 'parameter',
  'torch._tensor._rebuild_from_type_v2': 'typed',
}

/** Names that trainers leave beside weights. What they make is empty here, and none of it is a tensor. */
const OPAQUE = [
  '__builtin__.set',
  '_codecs.encode',
  'argparse.Namespace',
  'builtins.set',
  'collections.Counter',
  'numpy._core.multiarray._reconstruct',
  'numpy._core.multiarray.scalar',
  'numpy.core.multiarray._reconstruct',
  'numpy.core.multiarray.scalar',
  'numpy.dtype',
  'numpy.ndarray',
  'pytorch_lightning.callbacks.ModelCheckpoint',
  'pytorch_lightning.callbacks.model_checkpoint.ModelCheckpoint',
  'torch.Size',
  'torch.Tensor',
  'torch.device',
  'torch.nn.parameter.Parameter',
  'torch.serialization._get_layout',
  'torch.strided',
]

const entriesOf = <T>(
  table: Readonly<Record<string, T>>,
  toName: (key: string) => string,
  toGlobal: (value: T) => Global,
): readonly (readonly [string, Global])[] =>
  Object.entries(table).map(([key, value]) => [toName(key), toGlobal(value)] as const)

/** Every name that a pickle may import, with what it stands for; all others are refused. */
export const GLOBALS: ReadonlyMap<string, Global> = new Map<string, Global>([
  ['collections.OrderedDict', { type: 'ordered-dict' }],
  ...['torch.storage', 'torch'].map((module) => [`${module}.UntypedStorage`, storage(undefined)] as const),
  ...entriesOf(STORAGES, (name) => `torch.${name}`, storage),
  ...entriesOf(
    TORCH_DTYPES,
    (name) => `torch.${name}`,
    (dtype) => ({ type: 'dtype', dtype }),
  ),
  ...entriesOf(
    REBUILDS,
    (name) => name,
    (how) => ({ type: 'rebuild', how }),
  ),
  ...OPAQUE.map((name) => [name, { type: 'opaque' }] as const),
])

function storage(dtype: Dtype | undefined): Global {
  return { type: 'storage', dtype }
}
