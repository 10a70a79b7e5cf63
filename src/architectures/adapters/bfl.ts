/**
 * True for a control LoRA of Black Forest Labs for Flux, by its tensors. It has no alphas, and the image that it is
 * controlled by has inputs of its own behind those of `img_in`. ComfyUI, `comfy/lora_convert.py`.
 */
export const isControlLora = (tensors: ReadonlyMap<string, unknown>): boolean =>
  tensors.has(`${CONTROL_INPUT}.lora_A.weight`) && tensors.has('single_blocks.0.norm.key_norm.scale')

/** The module of a control LoRA that has more inputs than that of the model. */
export const CONTROL_INPUT = 'img_in'
