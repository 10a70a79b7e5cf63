/** A template in a Jinja environment that leaves blanks as they are, or drops them around blocks as transformers does. */
const template = (...lines: readonly string[]): string => lines.join('')

const TURN = "m['content'] | trim ~ ('' if loop.last else '\\n\\n')"

/** What renders as the templates that mergekit 0.1 ships, by their names there. */
export const CHAT_TEMPLATES: ReadonlyMap<string, string> = new Map([
  [
    'alpaca',
    template(
      "{% set system = messages | selectattr('role', 'equalto', 'system') | list %}",
      "{% if system %}{{ (system | last)['content'] | trim }}{% endif %}",
      "{{ '\\n\\n' }}",
      '{% for m in messages %}',
      `{% if m['role'] == 'user' %}{{ '### Instruction:\\n' ~ ${TURN} }}`,
      `{% elif m['role'] == 'assistant' %}{{ '### Response:\\n' ~ ${TURN} }}`,
      `{% elif m['role'] == 'user_context' %}{{ '### Input:\\n' ~ ${TURN} }}`,
      '{% endif %}{% endfor %}',
      "{% if add_generation_prompt and messages[-1]['role'] != 'assistant' %}{{ '### Response:\\n' }}{% endif %}",
    ),
  ],
  [
    'chatml',
    template(
      '{% for m in messages %}',
      "{{ '<|im_start|>' ~ m['role'] ~ '\\n' ~ m['content'] ~ '<|im_end|>\\n' }}",
      '{% endfor %}',
      "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}",
    ),
  ],
  [
    'exaone',
    template(
      '{% for m in messages %}',
      "{% if loop.first and m['role'] != 'system' %}{{ '        [|system|][|endofturn|]\\n\\n' }}{% endif %}",
      "{{ '    [|' ~ m['role'] ~ '|]' ~ m['content'] ~ '\\n        ' }}",
      "{{ '\\n\\n' if m['role'] == 'user' else '[|endofturn|]\\n\\n' }}",
      '{% endfor %}',
      "{% if add_generation_prompt %}{{ '    [|assistant|]\\n' }}{% endif %}",
    ),
  ],
  [
    'llama3',
    template(
      '{% for m in messages %}',
      "{{ (bos_token if loop.first else '') ~ '<|start_header_id|>' ~ m['role'] ~ '<|end_header_id|>\\n\\n' }}",
      "{{ m['content'] | trim ~ '<|eot_id|>\\n' }}",
      '{% endfor %}',
      "{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}{% endif %}",
    ),
  ],
  [
    'mistral',
    template(
      "{% set first = 1 if messages[0]['role'] == 'system' else 0 %}",
      '{{ bos_token }}',
      '{% for m in messages[first:] %}',
      "{% if m['role'] not in ['user', 'assistant'] or (m['role'] == 'user') != (loop.index0 % 2 == 0) %}",
      "{{ raise_exception('roles must alternate') }}",
      '{% endif %}',
      "{% if m['role'] == 'user' %}",
      "{{ ' [INST] ' ~ (messages[0]['content'] ~ '\\n\\n' if loop.first and first else '') ~ m['content'] ~ ' [/INST]' }}",
      "{% else %}{{ ' ' ~ m['content'] ~ eos_token }}{% endif %}",
      '{% endfor %}',
    ),
  ],
])
