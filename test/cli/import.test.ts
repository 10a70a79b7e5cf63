import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { runHere } from '../support/run-here.js'
import { makeFolder } from '../support/smelt.js'
import { writeSafetensors } from '../support/write-safetensors.js'

const LINEAR = `models:
  - model: org/first
    parameters: { weight: 1 }
  - model: org/second
    parameters: { weight: 0.5 }
merge_method: linear
`
const folder = makeFolder({
  'linear.yml': LINEAR,
  'template.yml': `${LINEAR}chat_template: vicuna\n`,
  'evolve.yml': 'genome: { models: [a] }\ntasks: []\n',
  'note.txt': 'remember the milk\n',
})
afterAll(() => folder.remove())
for (const name of ['first', 'second']) {
  mkdirSync(join(folder.path, 'my models', `org_${name}`), { recursive: true })
  writeSafetensors(join(folder.path, 'my models', `org_${name}`, 'model.safetensors'), {
    'x.weight': { dtype: 'F32', shape: [2], values: 1 },
  })
}

const run = (...args: readonly string[]) => runHere(folder.path, ['import', ...args])
const at = (name: string): string => join(folder.path, name)

describe('smelt import', () => {
  it('prints a recipe', async () => {
    const { code, stdout, stderr } = await run('linear.yml')
    expect([code, stderr]).toEqual([0, ''])
    expect(stdout).toContain('\nsteps:\n  merged:\n    op: merge.linear\n')
  })

  it('writes a recipe, whose models it finds, and which passes its check', async () => {
    mkdirSync(at('recipes'))
    expect(await run('linear.yml', '-o', 'recipes/a.yaml', '--models', 'my models')).toMatchObject({
      code: 0,
      stdout: 'recipes/a.yaml\n',
      stderr: '',
    })
    expect(readFileSync(at('recipes/a.yaml'), 'utf8')).toContain('first: "../my models/org_first"\n')
    expect((await runHere(folder.path, ['check', 'recipes/a.yaml'])).code).toBe(0)
  })

  it('replaces nothing unless it is told to', async () => {
    writeFileSync(at('mine.yaml'), 'mine')
    const refused = await run('linear.yml', '-o', 'mine.yaml')
    expect([refused.code, readFileSync(at('mine.yaml'), 'utf8')]).toEqual([1, 'mine'])
    expect(refused.stderr).toContain('error[recipe-exists]: mine.yaml already exists')
    expect((await run('linear.yml', '-o', 'mine.yaml', '--force')).code).toBe(0)
    expect(readFileSync(at('mine.yaml'), 'utf8')).toContain('smelt: 1')
  })

  it('never replaces the file it reads, nor anything that is no recipe', async () => {
    const onto = await run('linear.yml', '-o', './linear.yml', '--force')
    expect([onto.code, readFileSync(at('linear.yml'), 'utf8')]).toEqual([2, LINEAR])
    expect(onto.stderr).toContain('error[import-onto-itself]')
    const model = await run('linear.yml', '-o', 'my models/org_first/model.safetensors', '--force')
    expect(model.code).toBe(2)
    expect(model.stderr).toContain('error[import-not-yaml]')
  })

  it('says with its exit code that a recipe is not all there is', async () => {
    const { code, stdout, stderr } = await run('template.yml')
    expect(code).toBe(5)
    expect(stdout).toContain('# Not in this recipe, because smelt cannot say it:\n# - line 7: `chat_template')
    expect(stderr).toMatchInlineSnapshot(`
      "warning[import-lacks]: line 7: \`chat_template\`: it is neither \`auto\`, nor a template, nor the name of one that mergekit has: alpaca, chatml, exaone, llama3, mistral

      1 warning
      "
    `)
  })

  it('writes nothing where nothing is left', async () => {
    const { code, screen } = await run('evolve.yml', '-o', 'evolve.yaml')
    expect([code, existsSync(at('evolve.yaml'))]).toEqual([1, false])
    expect(screen).toMatchInlineSnapshot(`
      "error[import-lacks]: line 1: \`genome\`: it describes a search over merges; import the configuration that the search has written

      error[nothing-imported]: evolve.yml describes no model that smelt can make
      help: the messages above say what is in the way

      2 errors
      "
    `)
  })

  it('gives all of it as JSON', async () => {
    const { code, stdout } = await run('template.yml', '--json')
    expect(code).toBe(5)
    expect(JSON.parse(stdout)).toMatchObject({
      type: 'import',
      tool: 'mergekit',
      recipe: expect.stringContaining('merge.linear'),
      out: null,
      notes: [],
      missing: [{ where: 'line 7', what: expect.stringContaining('chat_template') as string }],
    })
  })

  it('lets no name of a file drive the terminal, or write into the recipe', async () => {
    const evil = '\\e[2J\\u202e\\u000a  injected: true'
    writeFileSync(
      at('evil.yml'),
      `merge_method: linear\nmodels: ["org/a${evil}", "b@${evil}"]\nparameters: { weight: 1, "k${evil}": 1 }\nchat_template: "chatml"\nout_dtype: "${evil}"\n`,
    )
    const { code, stdout, stderr } = await run('evil.yml')
    expect(code).toBe(5)
    expect(stdout + stderr).not.toMatch(/[\u001b\u202e]|^\s*injected/m)
    expect(stdout).toContain('\\e[2J')
  })

  it.each([
    [['note.txt'], 1, 'not-importable'],
    [['none.yml'], 1, 'file-missing'],
    [['my models'], 1, 'folder-not-file'],
    [['linear.yml', '--models', 'nowhere'], 2, 'models-not-folder'],
    [['linear.yml', '-o', 'no/such/folder/x.yaml', '--loud'], 2, 'command-line'],
    [['my models/org_first/model.safetensors'], 1, 'not-importable'],
  ])('refuses %j', async (args, code, problem) => {
    const ran = await run(...args)
    expect(ran.code).toBe(code)
    expect(ran.stderr).toContain(`error[${problem}]`)
  })
})
