/** The cases' operations that no operator computes yet, and where they belong. */
export const UNMAPPED: Readonly<Record<string, string>> = {
  kronecker_approx: 'adapter.extract makes no LoKr',
}
