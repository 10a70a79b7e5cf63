import type { TensorInfo } from '../../tensor/info.js'

/** LoRA of a parameter [experts, …]: the factors of all experts, in two tensors. */
export interface ExpertFactors {
  /** [outputs, rank · experts], the experts of a rank next to each other. */
  readonly up: TensorInfo
  /** [experts · rank, inputs], the ranks of an expert next to each other. */
  readonly down: TensorInfo
  readonly experts: number
  /** True where the parameter is [experts, inputs, outputs]. */
  readonly turned: boolean
}
