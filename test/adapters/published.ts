type Shape = readonly number[]

/** The endings of a module's tensors, with their shapes, for a target of a shape. */
type Making = (shape: Shape, rank: number) => Readonly<Record<string, Shape>>

const pair =
  (up: string, down: string, alpha: boolean): Making =>
  ([out = 1, ...inner], rank) => ({
    [up]: [out, rank, ...inner.slice(1).map(() => 1)],
    [down]: [rank, ...inner],
    ...(alpha ? { alpha: [] } : {}),
  })
const KOHYA = pair('lora_up.weight', 'lora_down.weight', true)
const NO_ALPHA = pair('lora_up.weight', 'lora_down.weight', false)
const PEFT = pair('lora_B.weight', 'lora_A.weight', false)
const DEFAULT = pair('lora_B.default.weight', 'lora_A.default.weight', false)
const UNDERSCORE = pair('up.weight', 'down.weight', false)
const ALPHA: Making = (shape, rank) => ({ ...PEFT(shape, rank), alpha: [] })
const BIASED: Making = (shape, rank) => ({ ...NO_ALPHA(shape, rank), ...DIFF_B(shape, rank) })
const DORA: Making = (shape, rank) => ({ ...KOHYA(shape, rank), dora_scale: [shape[0]!, 1] })
const IA3: Making = ([out = 1]) => ({ weight: [out], on_input: [] })
const DIFF: Making = (shape) => ({ diff: shape })
const DIFF_B: Making = (shape) => ({ diff_b: [shape[0]!] })
const DIFF_M: Making = (shape) => ({ diff_m: shape })
const WHOLE: Making = (shape) => ({ weight: shape })
const HADA: Making = ([out = 1, ...inner], rank) => ({
  hada_w1_a: [out, rank],
  hada_w1_b: [rank, inner.reduce((a, b) => a * b, 1)],
  hada_w2_a: [out, rank],
  hada_w2_b: [rank, inner.reduce((a, b) => a * b, 1)],
  alpha: [],
})

/** A module of an adapter: its name, the tensor that it changes, and its first row and how many where these are some. */
type Entry = readonly [module: string, tensor: string, make?: Making, rows?: readonly [first: number, count: number]]

/** Adapters on hubs that name their tensors alike. */
export interface Published {
  readonly title: string
  readonly network: string
  readonly make: Making
  readonly entries: readonly Entry[]
  readonly config?: object
  readonly kind?: string
  /** What is told of the network where it is no network of the tables; null where its names do not tell. */
  readonly shown?: string | null
}

const U = 'model.diffusion_model'
const L = 'cond_stage_model.transformer.text_model.encoder.layers'
const G = 'conditioner.embedders.1.model.transformer.resblocks'
const D = 3072

/** What adapters that many use have for names. */
export const PUBLISHED: readonly Published[] = [
  {
    title: 'LCM-LoRA, Hyper-SD and TCD for SD 1.5',
    network: 'Stable Diffusion 1',
    make: KOHYA,
    entries: [
      [
        'lora_unet_mid_block_attentions_0_transformer_blocks_0_attn2_to_k',
        `${U}.middle_block.1.transformer_blocks.0.attn2.to_k.weight`,
      ],
      ['lora_unet_down_blocks_0_attentions_0_proj_in', `${U}.input_blocks.1.1.proj_in.weight`],
      ['lora_unet_down_blocks_0_downsamplers_0_conv', `${U}.input_blocks.3.0.op.weight`],
      ['lora_unet_down_blocks_1_resnets_0_conv_shortcut', `${U}.input_blocks.4.0.skip_connection.weight`],
      ['lora_unet_mid_block_resnets_1_time_emb_proj', `${U}.middle_block.2.emb_layers.1.weight`],
      ['lora_unet_up_blocks_0_upsamplers_0_conv', `${U}.output_blocks.2.1.conv.weight`],
      [
        'lora_unet_up_blocks_3_attentions_2_transformer_blocks_0_ff_net_2',
        `${U}.output_blocks.11.1.transformer_blocks.0.ff.net.2.weight`,
      ],
    ],
  },
  {
    title: 'add_detail, more_details and most LoRAs for SD 1.5',
    network: 'Stable Diffusion 1',
    make: KOHYA,
    entries: [
      [
        'lora_unet_mid_block_attentions_0_transformer_blocks_0_attn2_to_k',
        `${U}.middle_block.1.transformer_blocks.0.attn2.to_k.weight`,
      ],
      ['lora_te_text_model_encoder_layers_0_mlp_fc1', `${L}.0.mlp.fc1.weight`],
      ['lora_te_text_model_encoder_layers_11_self_attn_out_proj', `${L}.11.self_attn.out_proj.weight`],
      [
        'lora_unet_mid_block_attentions_0_transformer_blocks_0_attn2_to_out_0',
        `${U}.middle_block.1.transformer_blocks.0.attn2.to_out.0.weight`,
      ],
    ],
  },
  {
    title: 'IP-Adapter FaceID for SD 1.5, without alphas',
    network: 'Stable Diffusion 1',
    make: NO_ALPHA,
    entries: [
      [
        'lora_unet_up_blocks_2_attentions_0_transformer_blocks_0_attn2_to_k',
        `${U}.output_blocks.6.1.transformer_blocks.0.attn2.to_k.weight`,
      ],
    ],
  },
  {
    title: 'LoRAs of diffusers before 0.22, also without a prefix',
    network: 'Stable Diffusion 1',
    make: UNDERSCORE,
    entries: [
      [
        'unet.down_blocks.0.attentions.0.transformer_blocks.0.attn1.processor.to_q_lora',
        `${U}.input_blocks.1.1.transformer_blocks.0.attn1.to_q.weight`,
      ],
      [
        'down_blocks.0.attentions.0.transformer_blocks.0.attn2.processor.to_out_lora',
        `${U}.input_blocks.1.1.transformer_blocks.0.attn2.to_out.0.weight`,
      ],
      [
        'unet.mid_block.attentions.0.transformer_blocks.0.attn2.processor.to_v_lora',
        `${U}.middle_block.1.transformer_blocks.0.attn2.to_v.weight`,
      ],
      ['text_encoder.text_model.encoder.layers.3.self_attn.to_k_lora', `${L}.3.self_attn.k_proj.weight`],
    ],
  },
  {
    title: 'LoHa of LyCORIS',
    network: 'Stable Diffusion 1',
    make: HADA,
    kind: 'LoHa',
    entries: [
      [
        'lora_unet_mid_block_attentions_0_transformer_blocks_0_attn2_to_k',
        `${U}.middle_block.1.transformer_blocks.0.attn2.to_k.weight`,
      ],
      ['lora_unet_down_blocks_0_resnets_0_conv1', `${U}.input_blocks.1.0.in_layers.2.weight`],
      ['lora_te_text_model_encoder_layers_0_mlp_fc2', `${L}.0.mlp.fc2.weight`],
    ],
  },
  {
    // https://github.com/Comfy-Org/ComfyUI/issues/6397
    title: '(IA)³ of LyCORIS',
    network: 'Stable Diffusion 1',
    shown: null,
    make: IA3,
    kind: '(IA)³',
    entries: [
      [
        'lora_unet_up_blocks_2_attentions_2_transformer_blocks_0_attn1_to_k',
        `${U}.output_blocks.8.1.transformer_blocks.0.attn1.to_k.weight`,
      ],
      [
        'lora_unet_up_blocks_2_attentions_2_transformer_blocks_0_ff_net_2',
        `${U}.output_blocks.8.1.transformer_blocks.0.ff.net.2.weight`,
      ],
    ],
  },
  {
    title: 'SDXL-Lightning, Hyper-SDXL, DMD2, LCM-LoRA for SDXL, in the names of diffusers',
    network: 'Stable Diffusion XL',
    make: KOHYA,
    entries: [
      [
        'lora_unet_down_blocks_2_attentions_1_transformer_blocks_9_attn1_to_q',
        `${U}.input_blocks.8.1.transformer_blocks.9.attn1.to_q.weight`,
      ],
      [
        'lora_unet_mid_block_attentions_0_transformer_blocks_0_attn2_to_k',
        `${U}.middle_block.1.transformer_blocks.0.attn2.to_k.weight`,
      ],
      ['lora_unet_up_blocks_1_upsamplers_0_conv', `${U}.output_blocks.5.2.conv.weight`],
      ['lora_unet_mid_block_attentions_0_proj_out', `${U}.middle_block.1.proj_out.weight`],
      ['lora_unet_add_embedding_linear_1', `${U}.label_emb.0.0.weight`],
      ['lora_unet_time_embedding_linear_2', `${U}.time_embed.2.weight`],
      ['lora_unet_conv_in', `${U}.input_blocks.0.0.weight`],
    ],
  },
  {
    title: 'sd_xl_offset_example-lora, add-detail-xl, concept sliders and most LoRAs for SDXL',
    network: 'Stable Diffusion XL',
    make: KOHYA,
    entries: [
      [
        'lora_unet_input_blocks_4_1_transformer_blocks_0_attn1_to_q',
        `${U}.input_blocks.4.1.transformer_blocks.0.attn1.to_q.weight`,
      ],
      ['lora_unet_input_blocks_1_0_emb_layers_1', `${U}.input_blocks.1.0.emb_layers.1.weight`],
      ['lora_unet_label_emb_0_0', `${U}.label_emb.0.0.weight`],
      ['lora_unet_out_2', `${U}.out.2.weight`],
      [
        'lora_te1_text_model_encoder_layers_0_mlp_fc1',
        'conditioner.embedders.0.transformer.text_model.encoder.layers.0.mlp.fc1.weight',
      ],
      ['lora_te2_text_model_encoder_layers_31_mlp_fc2', `${G}.31.mlp.c_proj.weight`],
      ['lora_te2_text_model_encoder_layers_2_self_attn_v_proj', `${G}.2.attn.in_proj_weight`, KOHYA, [2560, 1280]],
    ],
  },
  {
    // https://github.com/Comfy-Org/ComfyUI/issues/3060
    title: 'DoRA of LyCORIS for SDXL',
    network: 'Stable Diffusion XL',
    make: DORA,
    kind: 'LoRA with DoRA',
    entries: [
      [
        'lora_unet_input_blocks_4_1_transformer_blocks_0_attn2_to_k',
        `${U}.input_blocks.4.1.transformer_blocks.0.attn2.to_k.weight`,
      ],
      [
        'lora_unet_input_blocks_4_1_transformer_blocks_0_ff_net_0_proj',
        `${U}.input_blocks.4.1.transformer_blocks.0.ff.net.0.proj.weight`,
      ],
      ['lora_unet_input_blocks_5_0_emb_layers_1', `${U}.input_blocks.5.0.emb_layers.1.weight`],
    ],
  },
  {
    title: 'LoRAs of diffusers and PEFT for SDXL, dmd2_sdxl_4step_lora',
    network: 'Stable Diffusion XL',
    make: PEFT,
    entries: [
      [
        'unet.down_blocks.1.attentions.0.transformer_blocks.0.attn1.to_k',
        `${U}.input_blocks.4.1.transformer_blocks.0.attn1.to_k.weight`,
      ],
      ['text_encoder_2.text_model.encoder.layers.0.self_attn.q_proj', `${G}.0.attn.in_proj_weight`, PEFT, [0, 1280]],
    ],
  },
  {
    title: 'SD 3.5 Turbo and LoRAs of diffusers for SD 3',
    network: 'Stable Diffusion 3',
    shown: null,
    make: PEFT,
    entries: [
      ['transformer.transformer_blocks.0.attn.to_q', `${U}.joint_blocks.0.x_block.attn.qkv.weight`, PEFT, [0, 1536]],
      [
        'transformer.transformer_blocks.0.attn.add_v_proj',
        `${U}.joint_blocks.0.context_block.attn.qkv.weight`,
        PEFT,
        [3072, 1536],
      ],
    ],
  },
  {
    title: 'FLUX.1-Turbo-Alpha, Hyper-FLUX and most LoRAs of diffusers and ai-toolkit for Flux',
    network: 'Flux.1',
    make: PEFT,
    entries: [
      ['transformer.single_transformer_blocks.0.attn.to_k', `${U}.single_blocks.0.linear1.weight`, PEFT, [D, D]],
      ['transformer.single_transformer_blocks.0.proj_mlp', `${U}.single_blocks.0.linear1.weight`, PEFT, [3 * D, 4 * D]],
      ['transformer.single_transformer_blocks.37.norm.linear', `${U}.single_blocks.37.modulation.lin.weight`],
      ['transformer.transformer_blocks.18.ff_context.net.0.proj', `${U}.double_blocks.18.txt_mlp.0.weight`],
      ['transformer.transformer_blocks.3.norm1_context.linear', `${U}.double_blocks.3.txt_mod.lin.weight`],
      ['transformer.x_embedder', `${U}.img_in.weight`],
      ['transformer.proj_out', `${U}.final_layer.linear.weight`],
      ['transformer.time_text_embed.guidance_embedder.linear_1', `${U}.guidance_in.in_layer.weight`],
    ],
  },
  {
    // https://github.com/huggingface/diffusers/issues/10599
    title: 'LoRAs of OneTrainer for Flux',
    network: 'Flux.1',
    make: KOHYA,
    entries: [
      [
        'lora_transformer_transformer_blocks_10_attn_add_k_proj',
        `${U}.double_blocks.10.txt_attn.qkv.weight`,
        KOHYA,
        [D, D],
      ],
      [
        'lora_transformer_single_transformer_blocks_0_attn_to_v',
        `${U}.single_blocks.0.linear1.weight`,
        KOHYA,
        [2 * D, D],
      ],
      ['lora_transformer_transformer_blocks_10_attn_to_add_out', `${U}.double_blocks.10.txt_attn.proj.weight`],
      ['lora_transformer_transformer_blocks_10_attn_to_out_0', `${U}.double_blocks.10.img_attn.proj.weight`],
      ['lora_transformer_transformer_blocks_10_attn_to_k', `${U}.double_blocks.10.img_attn.qkv.weight`, KOHYA, [D, D]],
    ],
  },
  {
    title: 'LoRAs of kohya’s scripts for Flux',
    network: 'Flux.1',
    make: KOHYA,
    entries: [
      ['lora_unet_double_blocks_0_img_attn_qkv', `${U}.double_blocks.0.img_attn.qkv.weight`],
      ['lora_unet_single_blocks_12_linear1', `${U}.single_blocks.12.linear1.weight`],
    ],
  },
  {
    title: 'flux-RealismLora and others of XLabs',
    network: 'Flux.1',
    make: UNDERSCORE,
    entries: [
      ['double_blocks.0.processor.qkv_lora1', `${U}.double_blocks.0.img_attn.qkv.weight`],
      ['double_blocks.0.processor.proj_lora2', `${U}.double_blocks.0.txt_attn.proj.weight`],
    ],
  },
  {
    title: 'FLUX.1-Depth-dev-lora and FLUX.1-Canny-dev-lora',
    network: 'Flux.1',
    make: PEFT,
    entries: [
      [
        'img_in',
        `${U}.img_in.weight`,
        ([out = 1, inner = 1], rank) => ({
          'lora_A.weight': [rank, 2 * inner],
          'lora_B.weight': [out, rank],
          'lora_B.bias': [out],
        }),
      ],
      ['double_blocks.0.img_attn.qkv', `${U}.double_blocks.0.img_attn.qkv.weight`],
      ['single_blocks.0.norm.key_norm', `${U}.single_blocks.0.norm.key_norm.scale`, (shape) => ({ scale: shape })],
      ['final_layer.adaLN_modulation.1', `${U}.final_layer.adaLN_modulation.1.weight`],
    ],
  },
  {
    // https://github.com/Nerogar/OneTrainer/issues/1079
    title: 'LoRAs of OneTrainer for Chroma, with DoRA',
    network: 'Chroma',
    shown: null,
    make: DORA,
    kind: 'LoRA with DoRA',
    entries: [
      ['transformer.distilled_guidance_layer.layers.0.in_layer', 'distilled_guidance_layer.layers.0.in_layer.weight'],
      ['transformer.distilled_guidance_layer.layers.1.out_layer', 'distilled_guidance_layer.layers.1.out_layer.weight'],
    ],
  },
  {
    // https://github.com/kijai/ComfyUI-HunyuanVideoWrapper/issues/468
    title: 'LoRAs with differences of biases for HunyuanVideo',
    network: 'HunyuanVideo',
    make: BIASED,
    entries: [
      ['diffusion_model.double_blocks.19.img_attn.qkv', 'double_blocks.19.img_attn.qkv.weight'],
      ['diffusion_model.double_blocks.19.txt_mod.lin', 'double_blocks.19.txt_mod.lin.weight'],
      ['diffusion_model.guidance_in.in_layer', 'guidance_in.in_layer.weight'],
    ],
  },
  {
    title: 'Qwen-Image-Lightning',
    network: 'Qwen-Image',
    make: KOHYA,
    entries: [
      ['transformer_blocks.0.attn.add_k_proj', 'transformer_blocks.0.attn.add_k_proj.weight'],
      ['transformer_blocks.0.attn.to_out.0', 'transformer_blocks.0.attn.to_out.0.weight'],
      ['transformer_blocks.0.img_mlp.net.0.proj', 'transformer_blocks.0.img_mlp.net.0.proj.weight'],
    ],
  },
  {
    title: 'LoRAs of DiffSynth-Studio for Qwen-Image',
    network: 'Qwen-Image',
    make: DEFAULT,
    entries: [
      ['transformer_blocks.0.attn.to_q', 'transformer_blocks.0.attn.to_q.weight'],
      ['transformer_blocks.0.img_mod.1', 'transformer_blocks.0.img_mod.1.weight'],
    ],
  },
  {
    // https://github.com/kijai/ComfyUI-WanVideoWrapper/issues/445
    title: 'LoRAs for Wan with the names of PEFT and alphas',
    network: 'Wan',
    make: ALPHA,
    entries: [
      ['diffusion_model.blocks.0.cross_attn.k_img', 'blocks.0.cross_attn.k_img.weight'],
      ['diffusion_model.blocks.0.self_attn.k', 'blocks.0.self_attn.k.weight'],
    ],
  },
  {
    // https://github.com/kijai/ComfyUI-WanVideoWrapper/issues/807, 940 and 1862
    title: 'the step distillation of LightX2V for Wan 2.1 and 2.2, Wan2.2-Lightning, AccVideo',
    network: 'Wan',
    make: NO_ALPHA,
    entries: [
      [
        'diffusion_model.blocks.0.cross_attn.q',
        'blocks.0.cross_attn.q.weight',
        (s, r) => ({ ...NO_ALPHA(s, r), ...DIFF_B(s, r) }),
      ],
      ['diffusion_model.blocks.0.cross_attn.k_img', 'blocks.0.cross_attn.k_img.weight'],
      ['diffusion_model.blocks.0.self_attn.norm_k', 'blocks.0.self_attn.norm_k.weight', DIFF],
      ['diffusion_model.blocks.0.cross_attn.norm_k_img', 'blocks.0.cross_attn.norm_k_img.weight', DIFF],
      ['diffusion_model.img_emb.proj.1', 'img_emb.proj.1.weight', BIASED],
      ['diffusion_model.blocks.0', 'blocks.0.modulation', DIFF_M],
      ['diffusion_model.patch_embedding', 'patch_embedding.weight', DIFF],
      ['diffusion_model.time_projection.1', 'time_projection.1.weight'],
      ['diffusion_model.head.head', 'head.head.weight'],
    ],
  },
  {
    // https://github.com/huggingface/diffusers/pull/12040
    title: 'the same, for models in the form of diffusers',
    network: 'Wan of diffusers',
    shown: 'Wan',
    make: NO_ALPHA,
    entries: [
      ['diffusion_model.blocks.0.cross_attn.k_img', 'blocks.0.attn2.add_k_proj.weight', BIASED],
      ['diffusion_model.img_emb.proj.1', 'condition_embedder.image_embedder.ff.net.0.proj.weight', BIASED],
      ['diffusion_model.img_emb.proj.4', 'condition_embedder.image_embedder.norm2.weight', DIFF],
    ],
  },
  {
    title: 'CausVid and most LoRAs of diffusion-pipe and ai-toolkit for Wan',
    network: 'Wan',
    make: PEFT,
    entries: [
      ['diffusion_model.blocks.0.self_attn.q', 'blocks.0.self_attn.q.weight'],
      ['diffusion_model.blocks.0.ffn.0', 'blocks.0.ffn.0.weight'],
    ],
  },
  {
    title: 'LoRAs of DiffSynth-Studio for Wan',
    network: 'Wan',
    make: DEFAULT,
    entries: [['blocks.0.self_attn.k', 'blocks.0.self_attn.k.weight']],
  },
  {
    title: 'LoRAs of musubi-tuner for Wan',
    network: 'Wan',
    make: KOHYA,
    entries: [['lora_unet_blocks_0_self_attn_q', 'blocks.0.self_attn.q.weight']],
  },
  {
    // https://github.com/AbstractEyes/comfyui-lycoris/issues/6
    title: 'LoHa of SimpleTuner for Z-Image',
    network: 'Z-Image',
    shown: 'Z-Image or Lumina 2',
    make: HADA,
    kind: 'LoHa',
    entries: [
      ['lycoris_noise_refiner_0_attention_to_k', 'noise_refiner.0.attention.qkv.weight', HADA, [8, 8]],
      ['lycoris_layers_0_attention_to_out_0', 'layers.0.attention.out.weight'],
    ],
  },
  {
    // https://github.com/Comfy-Org/ComfyUI/issues/11487
    title: 'LoRAs of musubi-tuner for Z-Image',
    network: 'Z-Image',
    shown: 'Z-Image or Lumina 2',
    make: KOHYA,
    entries: [
      ['lora_unet_layers_0_attention_to_q', 'layers.0.attention.qkv.weight', KOHYA, [0, 8]],
      ['lora_unet_layers_0_attention_to_out_0', 'layers.0.attention.out.weight'],
    ],
  },
  {
    // https://github.com/tdrussell/diffusion-pipe/issues/470
    title: 'zimage_turbo_training_adapter and LoRAs of ai-toolkit for Z-Image',
    network: 'Z-Image',
    shown: 'Z-Image or Lumina 2',
    make: PEFT,
    entries: [
      ['diffusion_model.layers.0.attention.to_v', 'layers.0.attention.qkv.weight', PEFT, [16, 8]],
      ['diffusion_model.layers.0.attention.to_out.0', 'layers.0.attention.out.weight'],
      ['diffusion_model.layers.0.adaLN_modulation.0', 'layers.0.adaLN_modulation.0.weight'],
    ],
  },
  {
    title: 'alpaca-lora, QLoRA and other adapters of PEFT for language models',
    network: 'Llama 2',
    shown: 'a language model',
    make: PEFT,
    config: {
      base_model_name_or_path: 'decapoda-research/llama-7b-hf',
      bias: 'none',
      enable_lora: null,
      fan_in_fan_out: false,
      inference_mode: true,
      lora_alpha: 16,
      lora_dropout: 0.05,
      merge_weights: false,
      modules_to_save: null,
      peft_type: 'LORA',
      r: 4,
      target_modules: ['q_proj', 'v_proj'],
      task_type: 'CAUSAL_LM',
    },
    entries: [
      ['base_model.model.model.layers.0.self_attn.q_proj', 'model.layers.0.self_attn.q_proj.weight'],
      ['base_model.model.model.layers.31.mlp.down_proj', 'model.layers.31.mlp.down_proj.weight'],
    ],
  },
  {
    title: 'adapters of PEFT that train embeddings and head along (`modules_to_save`)',
    network: 'Llama 2',
    shown: 'a language model',
    make: PEFT,
    config: { peft_type: 'LORA', r: 4, lora_alpha: 8, modules_to_save: ['embed_tokens', 'lm_head'] },
    entries: [
      ['base_model.model.model.layers.0.self_attn.q_proj', 'model.layers.0.self_attn.q_proj.weight'],
      ['base_model.model.model.embed_tokens', 'model.embed_tokens.weight', WHOLE],
      ['base_model.model.lm_head', 'lm_head.weight', WHOLE],
    ],
  },
  {
    title: 'e5-mistral and other adapters that were trained on a model without its head',
    network: 'Llama 2',
    shown: 'a language model',
    make: PEFT,
    config: { peft_type: 'LORA', r: 4, lora_alpha: 8 },
    entries: [['base_model.model.layers.0.self_attn.q_proj', 'model.layers.0.self_attn.q_proj.weight']],
  },
]
