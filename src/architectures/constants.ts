// Last segments of tensors that belong to the architecture or its noise schedule. No training moves them, so merging them can only harm.
const LAST_SEGMENTS: ReadonlySet<string> = new Set([
  'alphas_cumprod',
  'alphas_cumprod_prev',
  'betas',
  'edm_mean',
  'edm_std',
  'inv_freq',
  'log_one_minus_alphas_cumprod',
  'logit_scale',
  'logvar',
  'lvlb_weights',
  'num_batches_tracked',
  'position_ids',
  'posterior_log_variance_clipped',
  'posterior_mean_coef1',
  'posterior_mean_coef2',
  'posterior_variance',
  'scaled_fp8',
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
])

/** True for a tensor that is copied from the first model and never computed with, whatever the architecture; known or not. */
export const isConstant = (name: string): boolean => {
  const segments = name.split('.')
  return LAST_SEGMENTS.has(segments.at(-1)!) || LAST_TWO_SEGMENTS.has(segments.slice(-2).join('.')) || segments.at(-2) === 'model_sampling'
}
