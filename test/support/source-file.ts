import { parseSync, Visitor, type ESTree } from 'rolldown/utils'

/** A string or template of a source file; in a template `\0` stands for each value. */
export interface Literal {
  readonly line: number
  readonly text: string
  /** True inside `throw …`, which is for bugs. */
  readonly thrown: boolean
  /** True where it is a list of words, as `'a b c'.split(' ')` writes it. */
  readonly list: boolean
}

/** A file of `src/`, and what the rules of the house ask about it. */
export interface SourceFile {
  /** Relative to `src/`. */
  readonly path: string
  readonly room: string
  readonly text: string
  /**
   * What it names of other files and packages: in imports and exports of values and types, `import()`, `require`,
   * functions made by `createRequire`, `import.meta.resolve`, paths through `node_modules`, and `new URL` beside it.
   */
  readonly imports: readonly string[]
  /** Places where it imports what cannot be told from the text. */
  readonly unclear: readonly string[]
  /** What it uses of `process`; `process` itself where that is passed on whole. */
  readonly process: ReadonlySet<string>
  readonly literals: readonly Literal[]
}

const textOf = (node: ESTree.Node | null | undefined): string | undefined => {
  if (node?.type === 'Literal') return typeof node.value === 'string' ? node.value : undefined
  return node?.type === 'TemplateLiteral' ? node.quasis.map((q) => q.value.cooked ?? '').join('\0') : undefined
}

/** The name at the end of what is called: `resolve` of `require.resolve`. */
const calledName = (node: ESTree.Node): string | undefined => {
  if (node.type === 'Identifier') return node.name
  if (node.type === 'MemberExpression') return calledName(node.property)
  return node.type === 'CallExpression' && calledName(node.callee) === 'createRequire' ? 'require' : undefined
}

/** Reads a file; `path` is relative to `src/`. */
export const readSourceFile = (path: string, source: string): SourceFile => {
  const { program, errors } = parseSync(path, source)
  if (errors.length > 0) throw new Error(`${path}: ${errors.map((e) => e.message).join('; ')}`)
  const [imports, unclear, literals, touched] = [[] as string[], [] as string[], [] as Literal[], new Set<string>()]
  const lineOf = (at: number): number => source.slice(0, at).split('\n').length
  // A name that `createRequire` made may be any; in a file that knows it, each call with a text may load that.
  const required = /\bcreateRequire\b/.test(source)
  // What JSX becomes imports this, which the text does not say.
  if (path.endsWith('.tsx')) imports.push('react/jsx-runtime')
  let thrown = 0
  const from = (node: ESTree.Node | null | undefined): void => {
    if (node === null || node === undefined) return
    const specifier = textOf(node)
    // A value may follow the name of a package, as in a path to one of its files.
    const [known, ...values] = specifier === undefined ? ['', ''] : specifier.split('\0')
    if (values.length === 0 || /^(?:@[^/.]+\/)?[^/.@]+\//.test(known!)) imports.push(known!.replace(/\/$/, ''))
    else unclear.push(`${path}:${lineOf(node.start)}`)
  }
  const literal = (text: string, { start, end }: ESTree.Span): void => {
    literals.push({ line: lineOf(start), text, thrown: thrown > 0, list: /^\s*\.split\(' '\)/.test(source.slice(end)) })
    const [, asset] = /(?:^|\/)node_modules\/((?:@[^/\0]+\/)?[^/\0]+)/.exec(text) ?? []
    if (asset !== undefined) imports.push(asset)
  }
  new Visitor({
    ImportDeclaration: ({ source }) => from(source),
    ExportNamedDeclaration: ({ source }) => from(source),
    ExportAllDeclaration: ({ source }) => from(source),
    ImportExpression: ({ source }) => from(source),
    TSImportType: ({ source }) => from(source),
    TSExternalModuleReference: ({ expression }) => from(expression),
    CallExpression: ({ callee, arguments: [first] }) => {
      const name = calledName(callee)
      const loads =
        name === 'require' ||
        (callee.type === 'MemberExpression' && callee.object.type === 'MetaProperty' && name === 'resolve')
      if (loads) from(first)
      else if (required && (callee.type === 'Identifier' || name === 'resolve') && textOf(first) !== undefined)
        from(first)
    },
    NewExpression: ({ callee, arguments: [first] }) => {
      const beside = textOf(first)
      if (calledName(callee) === 'URL' && beside !== undefined && /^\.{1,2}\/.*\.js$/.test(beside)) imports.push(beside)
    },
    MemberExpression: ({ object, property }) => {
      if (object.type === 'Identifier' && object.name === 'process' && property.type === 'Identifier')
        touched.add(property.name)
    },
    Identifier: ({ name, end }) => {
      if (name === 'process' && !/^\s*\??\./.test(source.slice(end))) touched.add('process')
    },
    ThrowStatement: () => void thrown++,
    'ThrowStatement:exit': () => void thrown--,
    Literal: (node) => {
      if (typeof node.value === 'string') literal(node.value, node)
    },
    JSXText: (node) => literal(node.value, node),
    TemplateLiteral: (node) => literal(textOf(node)!, node),
  }).visit(program)
  return {
    path,
    room: path.includes('/') ? path.split('/')[0]! : 'index',
    text: source,
    imports,
    unclear,
    process: touched,
    literals,
  }
}
