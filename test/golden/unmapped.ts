const ADAPTER = 'adapter.apply refuses adapters of this kind by name'

/** The cases' operations that no operator computes yet, and where they belong. */
export const UNMAPPED: Readonly<Record<string, string>> = {
  arcee_fusion: 'belongs to merge.arcee_fusion',
  boft: ADAPTER,
  crossover: 'belongs to merge.crossover',
  della: 'belongs to merge.della',
  della_keep_probability: 'belongs to merge.della',
  della_linear: 'belongs to merge.della_linear',
  dora: ADAPTER,
  dropout_mean: 'divides each parameter by the number of models that keep it, which no operator of ours does',
  geometric_sum: 'no operator of ours is a geometric mean',
  glora: ADAPTER,
  ia3: ADAPTER,
  kronecker_approx: 'belongs to adapter.extract',
  loha_tucker: ADAPTER,
  lokr: ADAPTER,
  lokr_tucker: ADAPTER,
  lora_pad: ADAPTER,
  low_rank: 'belongs to adapter.extract',
  multiply_quotient: 'belongs to merge.multiply_difference',
  oft: ADAPTER,
  procrustes_rotate: 'no operator of ours rotates matrices',
  slerp_rescaled: 'no method of merge.blend interpolates length and direction apart',
  ties_mean_stock: 'no operator of ours takes the factor of merge.model_stock of trimmed differences',
  topk_redistribute: 'belongs to merge.top_k_sum',
}
