/** The sentences and headings of a model card. */
export const cardSays = {
  merged: 'This model was merged with smelt from the models below. The recipe at the end rebuilds it.',
  models: 'Models',
  steps: 'Steps',
  recipe: 'Recipe',
  settings: 'Built with',
} as const
