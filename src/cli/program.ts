import { Argument, Command, CommanderError, Option } from 'commander'
import type { Console } from './console.js'
import { readPackage } from '../base/version.js'

const collect = (text: string, before: readonly string[]): readonly string[] => [...before, text]

const SET = [
  '--set <name=value>',
  'give a param of the recipe another value, or several to build them all: keep=0.2,0.4 or keep=0:1:0.1 (repeatable)',
  collect,
  [],
] as const

const SET_FILE = [
  '--set-file <file>',
  'build the settings of a CSV file: params in its first line, one setting in each line below',
] as const

const DEVICE = [
  '--device <device>',
  'where programs run: auto, cpu, cuda, cuda:1 for the second graphics card, or webgpu',
  'auto',
] as const

/**
 * The commands and what they take. Each loads what it needs only when it is called, so that help and version are quick.
 * `run` receives the chosen command as a function of the console.
 */
const describeCommands = (run: (command: (console: Console) => Promise<number>) => Promise<void>): Command => {
  const program = new Command('smelt')
    .description('Merges model checkpoints as a recipe says. The same recipe always gives the same bytes.')
    .version(readPackage().version, '-V, --version', 'print the version')
    .helpOption('-h, --help', 'print help')
    .addOption(new Option('--color', 'colour the output even when it is not a terminal'))
    .addOption(new Option('--no-color', 'do not colour the output'))
    .showSuggestionAfterError(true)
    .addHelpText('after', '\nA recipe to begin with: smelt init\nEach command explains itself: smelt build --help')
  program
    .command('build')
    .argument('<recipe>')
    .description('plan, run, and write the outputs')
    .option(...SET)
    .option(...SET_FILE)
    .option('--out <folder>', 'write outputs relative to this folder instead of the recipe’s')
    .option(...DEVICE)
    .option('--engine <engine>', 'what computes on the CPU: compiled, or onnx for a second opinion', 'compiled')
    .option('--workers <n>', 'worker threads, 1 to 64 (default: one per processor, at most 16)')
    .option('--frozen', 'refuse to build anything but what the lock says')
    .option('--force', 'compute everything, whatever earlier builds left')
    .option('--update', 'take what branches of the hub are now, not the commits of the lock')
    .option('--rehash', 'read inputs and outputs again, even those whose times did not change')
    .option('--sha256', 'also record the sha256 of every input in the lock')
    .option('--watch', 'build again whenever the recipe or an input changes; Ctrl-C ends it')
    .option('--attest <file>', 'write an in-toto statement with SLSA provenance (hashes every file)')
    .option('--json', 'print events as JSON, one per line')
    .option('--quiet', 'print problems only')
    .option('--no-dashboard', 'show one line of progress instead of the dashboard')
    .option('--report <file>', 'write a report on the build: .html, .svg, .png, .txt or .json')
    .option('--table <file>', 'write a table of the outputs with their settings and digests: .csv or .html')
    .addOption(
      new Option(
        '--on <where>',
        'have many machines build it: exec runs a command for each part, slurm hands the parts to Slurm, kubernetes writes a manifest',
      ).choices(['exec', 'slurm', 'kubernetes']),
    )
    .option(
      '--exec <command>',
      'the command of a task: {smelt} work --run {run} --part {part} (default), with {host} and {slot}',
    )
    .option('--hosts <names>', 'machines for {host} in the command, separated by commas')
    .option('--parallel <n>', 'tasks at a time (default: one for each host, or as many as Slurm starts)')
    .option('--manifest <file>', 'where the manifest for Kubernetes is written')
    .option('--stage <folder>', 'where tasks copy the inputs that they read: a folder on a disk of each machine')
    .option('--cluster <file>', 'how tasks are started (default: smelt.cluster.yaml beside the recipe or above)')
    .option('--parts <n>', 'about how many parts to cut the work into')
    .option(
      '--run-dir <folder>',
      'where the run is kept, seen by all machines (default: .smelt/runs beside the recipe)',
    )
    .action((recipe, flags) =>
      run(async (console) =>
        [
          flags.on,
          flags.exec,
          flags.hosts,
          flags.parallel,
          flags.parts,
          flags.runDir,
          flags.cluster,
          flags.stage,
          flags.manifest,
        ].every((f) => f === undefined)
          ? (await import('./build.js')).build(console, recipe, flags)
          : (await import('./on.js')).buildOn(console, recipe, flags),
      ),
    )
  program
    .command('work')
    .requiredOption('--run <folder>', 'the folder of the run')
    .requiredOption('--part <n>', 'which part to do, or `commit` to write the outputs once all are done')
    .option('--workers <n>', 'worker threads')
    .option('--stage <folder>', 'a folder of this machine to copy inputs to (default: as the driver says)')
    .description('do one part of a build on many machines; `smelt build --on` starts it')
    .action((flags) => run(async (console) => (await import('./work.js')).work(console, flags)))
  program
    .command('follow')
    .argument('<run>', 'the folder of a run, or its name below .smelt/runs')
    .description('show how far a build on many machines is, until it is over')
    .option('--once', 'show it once')
    .action((name, flags) => run(async (console) => (await import('./runs.js')).followRun(console, name, flags)))
  program
    .command('cancel')
    .argument('<run>', 'the folder of a run, or its name below .smelt/runs')
    .description('stop a build on many machines for good, and remove what it wrote')
    .action((name) => run(async (console) => (await import('./runs.js')).cancel(console, name)))
  const operating = (command: Command): Command =>
    command
      .argument('[words...]', 'files for its inputs, in their order, and `--KEY VALUE` for any of its parameters')
      .allowUnknownOption(true)
      .option('-o, --output <file>', 'where the result is written')
      .option('--dtype <dtype>', 'dtype of the result: same, f32, f16, bf16, f8_e4m3 or f8_e5m2')
      .option('--shard-size <size>', 'write shards of at most this size, such as 5GB')
      .option('--print', 'print the equivalent recipe and build nothing')
      .option(...DEVICE)
      .option('--workers <n>', 'worker threads')
      .option('--json', 'print events as JSON, one per line')
      .option('--quiet', 'print problems only')
      .option('--no-dashboard', 'show one line of progress instead of the dashboard')
  operating(
    program.command('blend').description('blend two models without a recipe: smelt blend A B -o OUT --keep 0.6'),
  ).action((words, flags) =>
    run(async (console) => (await import('./run-operator.js')).runOperator(console, 'merge.blend', words, flags)),
  )
  operating(
    program
      .command('run')
      .argument('<operator>')
      .description('run one operator over files without a recipe: smelt run merge.ties BASE A B -o OUT --density 0.2'),
  ).action((operator, words, flags) =>
    run(async (console) => (await import('./run-operator.js')).runOperator(console, operator, words, flags)),
  )
  program
    .command('watch')
    .argument('<events>', 'what `smelt build --json` wrote, or `-` for standard input')
    .description('show another build’s dashboard')
    .option('--speed <n>', 'replay the events at n times the original speed')
    .action((events, flags) => run(async (console) => (await import('./watch.js')).watch(console, events, flags)))
  program
    .command('plan')
    .argument('<recipe>')
    .description('show what a build would do, without doing it')
    .option(...SET)
    .option(...SET_FILE)
    .option('--out <folder>', 'plan for outputs relative to this folder')
    .option(...DEVICE)
    .option('--workers <n>', 'estimate memory for this many worker threads')
    .addOption(
      new Option('--format <format>', 'how to print it').choices(['text', 'json', 'dot', 'mermaid']).default('text'),
    )
    .action((recipe, flags) => run(async (console) => (await import('./plan.js')).plan(console, recipe, flags)))
  program
    .command('search')
    .argument('<recipe>')
    .description('look for the params of a recipe that a command scores best')
    .option('--over <name=low:high>', 'a param to search, and its range: keep=0:1 (repeatable)', collect, [])
    .requiredOption(
      '--score <command>',
      'a command of the shell that prints the score of {output}, or {output:NAME}; its last number counts',
    )
    .option(...SET)
    .option('--trials <n>', 'the most trials, those of earlier runs included', '50')
    .option('--time <minutes>', 'begin no trial after so many minutes')
    .option('--seed <seed>', 'another seed makes other trials', '0')
    .option('--maximize', 'the greatest score is the best (default)')
    .option('--minimize', 'the least score is the best')
    .option('--restart', 'forget the trials of earlier runs')
    .option('--write', 'put the best values into the recipe')
    .option('--picture <file>', 'draw the trials: .html, .svg or .png')
    .option(...DEVICE)
    .option('--workers <n>', 'worker threads')
    .option('--quiet', 'print problems and the best settings only')
    .action((recipe, flags) =>
      run(async (console) => (await import('./search.js')).searchRecipe(console, recipe, flags)),
    )
  program
    .command('check')
    .argument('<recipes...>')
    .description('look for mistakes in recipes and their files')
    .option(...SET)
    .option(...SET_FILE)
    .option('--json', 'print the findings as JSON')
    .action((recipes, flags) => run(async (console) => (await import('./check.js')).check(console, recipes, flags)))
  program
    .command('why')
    .argument('<recipe>')
    .argument('[step]', 'a step of the recipe; all of them unless given')
    .description('show why steps run: what changed since the last build')
    .option(...SET)
    .option(...SET_FILE)
    .option('--out <folder>', 'look for outputs below this folder')
    .option('--json', 'print it as JSON')
    .action((recipe, step, flags) =>
      run(async (console) => (await import('./why.js')).why(console, recipe, step, flags)),
    )
  program
    .command('verify')
    .argument('<recipe>')
    .description('read inputs and outputs again, and compare them with the lock')
    .option('--out <folder>', 'look for outputs below this folder instead of the recipe’s')
    .option('--workers <n>', 'worker threads')
    .option('--json', 'print the findings as JSON')
    .action((recipe, flags) => run(async (console) => (await import('./verify.js')).verify(console, recipe, flags)))
  program
    .command('cache')
    .addArgument(
      new Argument(
        '<action>',
        'list what earlier builds left, remove the least recently used beyond the limit, or remove everything',
      ).choices(['ls', 'gc', 'clear']),
    )
    .description('manage the build cache')
    .option('--json', 'print the list as JSON')
    .addHelpText(
      'after',
      '\nLocation: $SMELT_CACHE (default: smelt in your cache folder). Size limit: $SMELT_CACHE_SIZE (default: 1.07 GB).',
    )
    .action((action, flags) => run(async (console) => (await import('./cache.js')).cache(console, action, flags)))
  program
    .command('inspect')
    .argument(
      '<file>',
      'a safetensors file, a checkpoint that PyTorch saved, or the index or folder of a sharded model',
    )
    .argument('[layers...]', 'patterns of the tensors to show, such as "**.attn2"')
    .description('show the tensors, architecture and metadata of a model')
    .option('--stats', 'also show mean, deviation, min, max, norm and odd values of each tensor (reads the data)')
    .option('--json', 'print all of it as JSON')
    .action((file, layers, flags) =>
      run(async (console) => (await import('./inspect.js')).inspect(console, file, layers, flags)),
    )
  program
    .command('diff')
    .argument('<a>', 'a model')
    .argument('<b>', 'the model to compare with it')
    .argument('[layers...]', 'patterns of the tensors to compare')
    .description('show how two models differ, by block and by layer')
    .option('--html <file>', 'write it as a page (or, by extension, as .svg, .png, .json or .txt)')
    .option('--json', 'print it as JSON')
    .action((a, b, layers, flags) =>
      run(async (console) => (await import('./diff.js')).diff(console, a, b, layers, flags)),
    )
  program
    .command('repair')
    .argument('<path>', 'a safetensors file that breaks the format, or a folder of shards without an index')
    .description('write a valid copy of a broken file, or a missing index; existing files are never changed')
    .option('-o, --out <file>', 'where to write the copy (default: NAME.repaired.safetensors beside the file)')
    .option('--json', 'print what was done as JSON')
    .action((path, flags) => run(async (console) => (await import('./repair.js')).repair(console, path, flags)))
  program
    .command('convert')
    .argument('<path>', 'a .ckpt, .pt, .pth or .bin file that PyTorch saved, or the index or folder of a sharded one')
    .description('write a checkpoint that PyTorch saved as safetensors, running nothing in it; overwrites nothing')
    .option('-o, --output <file>', 'where to write it (default: NAME.safetensors beside the file)')
    .option('--key <key>', 'which of several models in the file to take, such as params_ema')
    .option('--json', 'print what was done as JSON')
    .action((path, flags) => run(async (console) => (await import('./convert.js')).convert(console, path, flags)))
  program
    .command('ops')
    .argument('[name...]', 'an operator, a family, or what another tool calls an operator, such as "sum twice"')
    .description('list operators, or explain one')
    .option(
      '--search <words...>',
      'find operators by words of their names, aliases, descriptions, parameters or papers',
    )
    .option('--json', 'print it as JSON')
    .action((name, flags) => run(async (console) => (await import('./ops.js')).ops(console, name, flags)))
  program
    .command('import')
    .argument('<file>', 'a configuration, workflow or preset file of another tool, or a file with metadata')
    .description('make a recipe of what another tool has: mergekit, sd-mecha, supermerger, ComfyUI')
    .option('-o, --output <file>', 'where to write the recipe (default: standard output)')
    .option('--models <folder>', 'find the model files below this folder, or those of an extra_model_paths.yaml, by name (repeatable)', collect, [])
    .option('--force', 'replace a recipe that is there')
    .option('--json', 'print the recipe and what it lacks as JSON')
    .action((file, flags) => run(async (console) => (await import('./import.js')).importRecipe(console, file, flags)))
  program
    .command('init')
    .argument('[folder]', 'where', '.')
    .description('write a recipe for the models in a folder')
    .option('--force', 'overwrite an existing recipe')
    .action((folder, flags) => run(async (console) => (await import('./init.js')).init(console, folder, flags)))
  program
    .command('cuda')
    .argument('[sources...]', 'wheels, tarballs or folders that hold what CUDA needs; without any it is downloaded')
    .description('set up CUDA for NVIDIA GPUs: install what is missing, and test it')
    .option('--remove', 'remove what this command installed')
    .option('--json', 'print what was found as JSON')
    .action((sources, flags) => run(async (console) => (await import('./cuda.js')).cuda(console, sources, flags)))
  program
    .command('doctor')
    .description('show what this machine can do')
    .option('--json', 'print it as JSON')
    .action((flags) => run(async (console) => (await import('./doctor.js')).doctor(console, flags)))
  return program
}

const COMPLETION = 'print a script that completes commands, options and operators: source <(smelt completion bash)'

/** The exit code of a command line that is wrong. */
const USAGE = 2

/** Prints help or the version; a reader that goes away is no problem. */
const print = (text: string): void => {
  process.stdout.once('error', () => undefined).write(text)
}

/** Words of the program as its parser may put them, as a sentence. */
const sentenceOf = (message: string): string =>
  message
    .replace(/^error: /, '')
    .replace(/\s*\(Did you mean .*\?\)/, '')
    .replace(/\n/g, ' ')
    .replace(
      /^command-argument value ('.*') is invalid for argument ('.*')\. Allowed choices are (.*)\.$/,
      '$1 is no $2: $3',
    )
    .replace(/'([^']*)'/g, '`$1`')
    .trim()

/** The command whose help explains what was meant. */
const helpFor = (program: Command, args: readonly string[]): string => {
  const name = args.find((arg) => !arg.startsWith('-'))
  return program.commands.some((command) => command.name() === name) ? `smelt ${name}` : 'smelt'
}

/**
 * Reads the command line and runs the command it names, on `given` or else on the console of this process; the result
 * is the exit code.
 */
export const runCommand = async (args: readonly string[], given?: Console): Promise<number> => {
  let code = 0
  const open = async (): Promise<Console> =>
    given ?? (await import('./console.js')).openConsole({ color: program.opts<{ color?: boolean }>().color })
  const program = describeCommands(async (command) => {
    const console = await open()
    const problems = process.env['SMELT_CACHE_SIZE'] === undefined ? [] : (await import('./store.js')).storeProblems()
    console.tell(problems)
    code = problems.length > 0 ? USAGE : await command(console)
  })
  const first = args.find((arg) => !arg.startsWith('-'))
  // Only help needs to know the command otherwise: what it is made of is loaded when a shell asks.
  if (first === 'completion' || first === 'complete')
    (await import('./completion.js')).addCompletion(program, COMPLETION, args.at(-1) ?? '')
  else program.command('completion').argument('<shell>', 'bash, zsh, fish or powershell').description(COMPLETION)
  for (const command of [program, ...program.commands]) {
    command.exitOverride().configureOutput({ writeOut: print, writeErr: () => undefined, outputError: () => undefined })
  }
  if (args.length === 0) {
    process.stderr.write(program.helpInformation())
    return USAGE
  }
  try {
    await program.parseAsync([...args], { from: 'user' })
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error
    if (error.exitCode === 0) return 0
    const [{ commandLine }, { adviceOn }] = [await import('../base/catalogue/cli.js'), await import('./advice.js')]
    const console = await open()
    console.tell([
      commandLine(sentenceOf(error.message), helpFor(program, args), adviceOn(program, error, args, console.cwd)),
    ])
    return USAGE
  }
  return code
}
