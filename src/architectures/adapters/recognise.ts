/** How names of adapters' tensors end that no model has: factors of every kind, applied by smelt or not. */
const FACTOR =
  /(?:[._]lora[12]?[._](?:up|down)|\.lora_(?:up|down|mid|A|B|magnitude_vector)|\.lora_linear_layer\.(?:up|down)|\.hada_[wt][12](?:_[ab])?|\.lokr_(?:w[12]|t2)(?:_[ab])?|\.b?oft_(?:blocks|diag|R|s)|\.dora_scale|\.lora_embedding_[AB]|\.ia3_l|\.(?:a|b)[12]\.weight|\.on_input|\.rescale)(?:\.|$)/

const known = new WeakMap<object, boolean>()

/**
 * True for the tensors of a LoRA or one of its relatives: at least half of them are factors, or the alpha that goes
 * with these.
 */
export const isAdapter = (tensors: ReadonlyMap<string, unknown>): boolean => {
  const found = known.get(tensors) ?? count(tensors)
  known.set(tensors, found)
  return found
}

const count = (tensors: ReadonlyMap<string, unknown>): boolean => {
  let factors = 0
  let alphas = 0
  for (const name of tensors.keys()) {
    if (FACTOR.test(name)) factors++
    else if (name.endsWith('.alpha')) alphas++
  }
  return factors > 0 && 2 * (factors + alphas) >= tensors.size
}
