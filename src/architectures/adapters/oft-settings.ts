/** I + 2S + 2S² + … + last · S^degree. */
export interface Series {
  readonly degree: number
  readonly last: number
}

/** What PEFT's config says of its OFT. */
export interface OftSettings {
  readonly series: Series | undefined
  /** True where all blocks are one. */
  readonly shared: boolean
  /** The norm that blocks are brought down to, times the root of their number; 0 where there is none. */
  readonly norm: number
}

/** Terms and norms that PEFT takes where a config has none. */
const [USUAL_TERMS, USUAL_NORM] = [5, 6e-5]

/**
 * The settings of a config whose types have been checked. PEFT's series have a term of degree 3 as soon as they have any
 * beyond degree 1. Since 0.18, which first wrote its version into configs, the last of the terms counts once.
 */
export const oftOf = (raw: Readonly<Record<string, unknown>>): OftSettings => {
  const terms = (raw['num_cayley_neumann_terms'] ?? USUAL_TERMS) as number
  const halved = raw['peft_version'] !== undefined && terms > 2
  return {
    series:
      raw['use_cayley_neumann'] === false
        ? undefined
        : { degree: halved ? Math.max(3, terms - 1) : terms - 1, last: halved ? 1 : 2 },
    shared: raw['block_share'] === true,
    norm: raw['coft'] === true ? ((raw['eps'] ?? USUAL_NORM) as number) : 0,
  }
}
