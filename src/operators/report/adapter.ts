import { guessArchitecture } from '../../architectures/adapters/guess.js'
import { rankOf } from '../../architectures/adapters/factors.js'
import { kindOf } from '../../architectures/adapters/kinds.js'
import { groupAdapter, type AdapterModule } from '../../architectures/adapters/modules.js'
import { ownsParameters } from '../../architectures/adapters/parameters.js'
import { configOf, scalesOf } from '../../architectures/adapters/scale.js'
import { readTags, type Tag } from '../../architectures/adapters/tags.js'
import { detectArchitecture } from '../../architectures/detect.js'
import { notAnAdapter } from '../../base/catalogue/adapters.js'
import type { Diagnostic } from '../../base/diagnostic.js'
import { groupBy } from '../../base/lists.js'
import { failed, ok } from '../../base/result.js'
import { WEB_HASHES } from '../../safetensors/web-hashes.js'
import type { AdapterFile } from '../../safetensors/adapter-file.js'
import { sizeOf } from '../../tensor/info.js'
import { named } from '../aliases.js'
import { adapterOf, modelsOf, valueOf } from '../call-arguments.js'
import type { Call } from '../operator.js'
import { drawChanges, lookAtChanges, type Changes } from '../adapter-changes.js'
import { adapter as adapterInput, flag, optionalModel } from '../params.js'
import { count, plainLabel, words, type Fact, type ReportDocument, type Section } from '../report-document.js'
import { defineReport } from '../report-operator.js'

/** Characters of one entry of the metadata that a report shows. */
const LONGEST = 300
/** Entries of the metadata that have a part of the report of their own. */
const SHOWN_ELSEWHERE = ['ss_tag_frequency']

interface Described {
  readonly kind: string
  readonly rank: number | undefined
  readonly alpha: number | undefined
  readonly problems: readonly Diagnostic[]
}

/** The rank of every module, and the alpha that its scale comes from: its own, or what the config says. */
const describe = (call: Call, file: AdapterFile, modules: readonly AdapterModule[]): readonly Described[] => {
  const { value, at } = adapterOf(call, 'adapter')
  const source = { label: value.label, file, alpha: value.alpha, at }
  const scaleOf = scalesOf(source)
  const config = configOf(source)
  const parameters = config?.type === 'ok' ? config.value.parameters : []
  return modules.map((module) => {
    // The factors of parameters are those of all experts, whose number the adapter does not say.
    const rank = ownsParameters(module.name, parameters) ? undefined : rankOf(module)
    const scale = rank === undefined ? undefined : scaleOf(module, rank)
    // The config of rsLoRA divides by the root of the rank.
    const isRoot = config?.type === 'ok' && config.value.root && module.peft && !module.tensors.has('alpha')
    const alpha =
      rank === undefined || scale?.type !== 'ok'
        ? undefined
        : Number((scale.value * (isRoot ? Math.sqrt(rank) : rank)).toPrecision(6))
    return { kind: kindOf(module), rank, alpha, problems: scale?.diagnostics ?? [] }
  })
}

const groupOf = ({ kind, rank, alpha }: Described): string =>
  [kind, ...(rank === undefined ? [] : [`rank ${rank}`]), ...(alpha === undefined ? [] : [`alpha ${alpha}`])].join(', ')

/** How many modules have which number or kind: `8 (192 modules), 4 (72 modules)`. */
const spread = (numbers: readonly (number | string | undefined)[]): string => {
  const groups = [
    ...groupBy(
      numbers.filter((n) => n !== undefined),
      String,
    ),
  ].sort(([, x], [, y]) => y.length - x.length)
  if (groups.length < 2) return groups[0]?.[0] ?? 'none'
  return groups.map(([number, { length }]) => `${number} (${length} modules)`).join(', ')
}

const metadataOf = ({ metadata }: AdapterFile): readonly Fact[] =>
  [...metadata]
    // Of an adapter that a step makes, hashes are not known yet.
    .filter(([key, text]) => !SHOWN_ELSEWHERE.includes(key) && WEB_HASHES.get(key) !== text)
    .map(([key, text]) => words(key, text.length > LONGEST ? `${text.slice(0, LONGEST)}…` : text))

const tagSections = (tags: readonly Tag[]): readonly Section[] =>
  tags.length === 0
    ? []
    : [
        {
          type: 'tags',
          title: 'Tags',
          note: `${tags.length} tags, the most frequent first`,
          tags: tags.map(({ tag, count: n }) => ({ label: tag, count: n })),
        },
      ]

/** What the adapter is, and what it would change in a model where one is given. */
type Shown = { readonly document: ReportDocument; readonly changes: Changes | undefined }

/** What an adapter is and was trained on. */
export const adapter = defineReport<Shown>({
  id: 'report.adapter',
  version: 3,
  summary: 'Shows what an adapter holds, its tags with their counts, and what it would change in a model.',
  aliases: [...named('ComfyUI-DareMerge', ['DM_LoRAReporting', 'LoRA Reporting'])],
  details: [
    'With `model`, it shows which tensors the adapter would change, with their shapes, ranks and scales, and how large the change of each is beside the weight: `‖ΔW‖/‖W‖` at strength 1, also by block as a picture. That reads these tensors; with `norms: false`, and without `model`, only headers and alphas are read.',
    'Tags come from `ss_tag_frequency`, which kohya’s trainer writes, over all folders of its training, the most frequent first.',
  ].join('\n\n'),
  source: 'ComfyUI-DareMerge, LoRA loader with tags and LoRA reporting',
  inputs: {
    adapter: adapterInput('The adapter, from the block `adapters` of the recipe.'),
    model: optionalModel('A model, to show what the adapter would change in it.', 'any'),
  },
  params: { norms: flag(true, 'With `model`: measures how large the change of each tensor is.') },
  examples: [
    {
      inputs: {
        adapter: {
          'x.lora_up.weight': [
            [1, 0],
            [0, 2],
          ],
          'x.lora_down.weight': [
            [1, 2],
            [3, 4],
          ],
          'x.alpha': 1,
        },
      },
      expect: { tensors: [3], parameters: [9], modules: [1] },
    },
  ],
  look: (call) => {
    const { file, label } = adapterOf(call, 'adapter').value
    const model = modelsOf(call, 'model')[0]?.value
    const changes = model === undefined ? ok(undefined) : lookAtChanges(call, model, valueOf(call, 'norms') !== false)
    if (changes.type === 'failed') return changes
    const tags = readTags(file.metadata, file.path)
    const { modules, others, refused } = groupAdapter(file.tensors)
    const title = modules.length === 0 && refused === undefined ? detectArchitecture(file.tensors)?.title : undefined
    if (title !== undefined)
      return failed(notAnAdapter(adapterOf(call, 'adapter').at, label, [...file.tensors.keys()], title))
    const described = describe(call, file, modules)
    // A report shows what there is also of an adapter that cannot be applied, and says why an alpha is missing.
    const unscaled = described
      .flatMap((d) => d.problems)
      .slice(0, 1)
      .map((problem): Diagnostic => ({ ...problem, severity: 'warning' }))
    return ok(
      {
        measured: changes.value?.measured ?? [],
        shown: () => ({
          changes: changes.value?.changes(),
          document: {
            title: 'Adapter',
            subject: plainLabel(label),
            facts: [
              words('trained for', guessArchitecture(file.tensors)?.title ?? 'unknown'),
              words(
                'kind',
                refused === undefined
                  ? spread(described.map((d) => d.kind))
                  : `${refused.kind}, which smelt does not apply`,
              ),
              count('tensors', file.tensors.size),
              count(
                'parameters',
                [...file.tensors.values()].reduce((n, t) => n + sizeOf(t.shape), 0),
              ),
              count('modules', modules.length),
              words('rank', spread(described.map((d) => d.rank))),
              words('alpha', spread(described.map((d) => d.alpha))),
              ...(others.length === 0 ? [] : [count('tensors without factors', others.length)]),
            ],
            sections: [
              ...tagSections(tags.type === 'ok' ? tags.value : []),
              {
                type: 'table',
                title: 'Modules',
                columns: [
                  { label: 'module', format: 'text' },
                  { label: 'rank', format: 'number' },
                  { label: 'alpha', format: 'number' },
                ],
                rows: modules.map(({ name }, i) => ({
                  group: groupOf(described[i]!),
                  cells: [name, described[i]!.rank ?? null, described[i]!.alpha ?? null],
                })),
              },
              ...(metadataOf(file).length === 0
                ? []
                : [{ type: 'facts' as const, title: 'Metadata', facts: metadataOf(file) }]),
            ],
          },
        }),
      },
      [...tags.diagnostics, ...changes.diagnostics, ...unscaled],
    )
  },
  draw: ({ document, changes }, figures) => {
    if (changes === undefined) return document
    const { facts, sections } = drawChanges(changes, figures)
    const tags = document.sections.findLastIndex(({ type }) => type === 'tags') + 1
    return {
      ...document,
      facts: [...document.facts, ...facts],
      sections: [...document.sections.slice(0, tags), ...sections, ...document.sections.slice(tags)],
    }
  },
})
