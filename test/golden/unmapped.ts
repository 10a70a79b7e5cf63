const ADAPTER = 'adapter.apply refuses adapters of this kind by name'

/** The cases' operations that no operator computes yet, and where they belong. */
export const UNMAPPED: Readonly<Record<string, string>> = {
  boft: ADAPTER,
  della_keep_probability: 'is only a part of merge.della: the probability that a number is kept',
  dora: ADAPTER,
  glora: ADAPTER,
  ia3: ADAPTER,
  kronecker_approx: 'adapter.extract makes no LoKr',
  loha_tucker: ADAPTER,
  lokr: ADAPTER,
  lokr_tucker: ADAPTER,
  lora_pad: ADAPTER,
  oft: ADAPTER,
  procrustes_rotate: 'no operator of ours rotates matrices',
  ties_mean_stock: 'scales what TIES keeps by the factor of model stock; merge.ties has no such factor',
}
