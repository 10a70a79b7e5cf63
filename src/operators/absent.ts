/** A method of another tool that smelt does not have, and why. */
export interface Absent {
  readonly name: string
  readonly from: string
  readonly why: string
}

const absent = (from: string, names: readonly string[], why: string): readonly Absent[] =>
  names.map((name) => ({ name, from, why }))

/** Methods of other tools that smelt does not have. */
export const ABSENT: readonly Absent[] = [
  ...absent(
    'sd-mecha',
    ['extract_kohya_lokr', 'extract_lycoris_lokr'],
    'extracting adapters of this kind from models is not supported yet',
  ),
  ...absent('sd-mecha', ['rebasin'], 'matches the channels of two models by an assignment, which smelt does not solve'),
  ...absent(
    'sd-mecha',
    ['randperm', 'balance_attention'],
    'reorders the channels of one model, and changes nothing that it computes',
  ),
  ...absent(
    'sd-mecha',
    ['get_dtype', 'get_device', 'get_rank_from_ratio', 'stack'],
    'only computes arguments of other methods, and merges nothing',
  ),
  ...absent(
    'sd-mecha',
    ['omit_non_finite'],
    'leaves out tensors with NaN or infinity, which are an error in smelt; `model.select` leaves out those that the error names',
  ),
  ...absent(
    'supermerger',
    ['cosineA', 'cosineB'],
    'scales the cosines to the range that they have over all layers; `merge.cosine_a` and `merge.cosine_b` are the methods of sd-mecha, which do not',
  ),
  ...absent(
    'supermerger',
    ['smoothAdd', 'smoothAdd MT'],
    'smooths a difference with a median and a Gaussian filter, which smelt does not have',
  ),
  ...absent(
    'supermerger',
    ['extract'],
    'weighs what two models have in common by a power of their cosine by row; `merge.similarity_add_difference` is the nearest',
  ),
  ...absent(
    'ComfyUI',
    ['ImageOnlyCheckpointSave'],
    'saves the vision encoder of a video model in its checkpoint, which smelt does not put there',
  ),
  ...absent(
    'mergekit',
    ['core_space'],
    'is not in 0.1.5; it averages, for which the space makes no difference: `adapter.extract`, then `adapter.merge`. The method of the paper is `adapter.core_space`',
  ),
  ...absent(
    'mergekit',
    ['mergekit-evolve'],
    'searches for the settings of a merge with benchmarks of language models; `smelt search` does it with a scoring command of your own',
  ),
  ...absent(
    'mergekit',
    ['mergekit-tokensurgeon'],
    'computes embeddings for the tokens of another tokenizer; smelt takes those of a token that a model lacks from a model that has it, or the mean of several',
  ),
]
