// Last segments of tensors that belong to the architecture or its noise schedule. No training moves them, so merging
// them can only harm.
const LAST_SEGMENTS: ReadonlySet<string> = new Set([
  'alphas_cumprod',
  'alphas_cumprod_prev',
  'attn_mask',
  'betas',
  'causal_mask',
  'cos_cached',
  'edm_mean',
  'edm_std',
  'embed_positions',
  'inv_freq',
  'log_one_minus_alphas_cumprod',
  'logit_scale',
  'logvar',
  'lvlb_weights',
  'masked_bias',
  'num_batches_tracked',
  'original_inv_freq',
  'position_ids',
  'posterior_log_variance_clipped',
  'posterior_mean_coef1',
  'posterior_mean_coef2',
  'posterior_variance',
  'scaled_fp8',
  'sin_cached',
  'sqrt_alphas_cumprod',
  'sqrt_one_minus_alphas_cumprod',
  'sqrt_recip_alphas_cumprod',
  'sqrt_recipm1_alphas_cumprod',
  'v_pred',
  'ztsnr',
])

// Names that say too little alone.
const LAST_TWO_SEGMENTS: ReadonlySet<string> = new Set([
  'denoiser.sigmas',
  'edm_vpred.sigma_max',
  'edm_vpred.sigma_min',
  'model_ema.decay',
  'model_ema.num_updates',
  'rope.freqs',
])

/** The shape and dtype of a tensor. */
interface Outline {
  readonly shape: readonly number[]
  readonly dtype?: string
}

/** Modules of attention whose `bias` may be a causal mask. */
const ATTENTION = /(?:^|\.)(?:attn|attention|self_attn|self_attention)\.bias$/

/**
 * True for the causal mask that GPT-2 and NeoX keep as `attn.bias`: one square for all, or truth values. Other networks
 * have real biases of that name.
 */
const isCausalMask = (name: string, { shape, dtype }: Outline): boolean => {
  if (!name.endsWith('.bias') || !ATTENTION.test(name)) return false
  const [one, same, rows = 0, columns] = shape
  return (
    dtype === 'BOOL' ||
    dtype === 'U8' ||
    (shape.length === 4 && one === 1 && same === 1 && rows > 1 && rows === columns)
  )
}

/**
 * True for a tensor that is copied from the first model and never computed with, whatever the architecture; known or
 * not.
 */
export const isConstant = (name: string, outline?: Outline): boolean => {
  const dot = name.lastIndexOf('.')
  const before = dot > 0 ? name.lastIndexOf('.', dot - 1) : -1
  const parent = name.slice(before + 1, Math.max(0, dot))
  return (
    LAST_SEGMENTS.has(name.slice(dot + 1)) ||
    LAST_TWO_SEGMENTS.has(name.slice(before + 1)) ||
    parent === 'model_sampling' ||
    parent === 'rotary_emb' ||
    (outline !== undefined && isCausalMask(name, outline))
  )
}

/**
 * True for tensors that do not help to recognise a network: constants, and averages (EMA) of its weights under other
 * names.
 */
export const isUntrained = (name: string): boolean => name.startsWith('model_ema.') || isConstant(name)
