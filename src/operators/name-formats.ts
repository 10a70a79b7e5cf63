import type { NameFormat } from '../architectures/adapters/spell.js'

/** How the modules of an adapter that a step makes can be named. */
export const NAME_FORMATS = {
  kohya: 'kohya’s scripts and the web UIs: `lora_unet_….lora_up.weight`, with an `alpha` for each module',
  diffusers: 'diffusers: `unet.….lora_B.weight`; the scale is 1',
  peft: 'PEFT: `base_model.model.….lora_B.weight`; an output whose path ends in `/` is a folder with its `adapter_config.json`',
} as const satisfies Readonly<Record<NameFormat, string>>
