/** A model or adapter in a repository of the Hugging Face hub. */
export interface HubReference {
  /** `org/name`, or `name` for the oldest ones. */
  readonly repository: string
  /** A branch, a tag or a commit; undefined for the branch `main`. */
  readonly revision: string | undefined
  /** The file, index or folder in it; undefined for its root. */
  readonly files: string | undefined
}

/** Where an input was found on a hub: the same commit always holds the same bytes. */
export interface HubOrigin {
  readonly repository: string
  /** 40 hex digits. */
  readonly commit: string
  /** The file or index of the repository that was opened, with `/`. */
  readonly file: string
}

/** The branch that is meant where nothing else is said. */
export const MAIN = 'main'

const PART = /^(?![-.])(?!.*(?:--|\.\.))[\w.-]{1,96}(?<![-.])$/
const COMMIT = /^[0-9a-f]{40}$/

/** Endings of files: what has one is a path, not the name of a repository. */
const FILE = /\.(?:safetensors|sft|ckpt|pt|pth|bin|json|gguf|onnx|h5|msgpack|npz|pkl|ya?ml|zip|txt)$/i

/** True for what can be the name of a repository. */
export const isRepository = (text: string): boolean => {
  const parts = text.split('/')
  return parts.length <= 2 && parts.every((part) => PART.test(part))
}

/** True for the full name of a commit. */
export const isCommit = (revision: string): boolean => COMMIT.test(revision)

/** True for a relative path that stays inside a repository, and for a revision that stays inside its folder. */
export const staysInside = (path: string): boolean =>
  path !== '' &&
  !/[\\:\0]/.test(path) &&
  path
    .replace(/\/$/, '')
    .split('/')
    .every((part) => part !== '' && part !== '.' && part !== '..')

/** What a short path names on a hub, `org/name` or `org/name@revision`; undefined for what can only be a path. */
export const shortReference = (text: string): HubReference | undefined => {
  const [, repository = '', revision] = /^([^@]+?)(?:@([^@]+))?$/.exec(text) ?? []
  return repository.includes('/') &&
    isRepository(repository) &&
    !FILE.test(text) &&
    (revision === undefined || staysInside(revision))
    ? { repository, revision, files: undefined }
    : undefined
}

/** True for an address of the web, which is no path. */
export const isAddress = (text: string): boolean => /^[a-z][a-z\d+.-]*:\/\//i.test(text)

/** What the address of a page, a file or a clone of a hub names there: `…/org/name/resolve/main/file`. */
export const referenceAt = (address: string): HubReference | undefined => {
  const [, host, repository = '', revision, files] =
    /^https?:\/\/([^/]+)\/([^/?#]+\/[^/?#]+?)(?:\.git)?(?:\/(?:resolve|blob|tree)\/([^/?#]+)(?:\/([^?#]+?))?)?\/?(?:[?#].*)?$/i.exec(
      address,
    ) ?? []
  const isHub = revision !== undefined || /^(?:huggingface\.co|hf\.co)$/i.test(host ?? '')
  return isHub && isRepository(repository)
    ? { repository, revision: revision === MAIN ? undefined : revision, files }
    : undefined
}

/** What stands for a reference where a path would stand: in the lock, and in plans. No path begins so. */
export const labelOf = ({ repository, revision, files }: HubReference): string =>
  `hub:${repository}${revision === undefined ? '' : `@${revision}`}${files === undefined ? '' : `:${files.replace(/\/$/, '')}`}`
