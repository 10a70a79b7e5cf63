const ADAPTER = 'adapter.apply refuses adapters of this kind by name'

/** The cases' operations that no operator computes yet, and where they belong. */
export const UNMAPPED: Readonly<Record<string, string>> = {
  boft: ADAPTER,
  dora: ADAPTER,
  glora: ADAPTER,
  ia3: ADAPTER,
  kronecker_approx: 'adapter.extract makes no LoKr',
  loha_tucker: ADAPTER,
  lokr: ADAPTER,
  lokr_tucker: ADAPTER,
  lora_pad: ADAPTER,
  oft: ADAPTER,
}
