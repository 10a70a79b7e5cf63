/** Where an input of a node comes from: an output of another node, counted from 0, or a value in the file. */
export type WorkflowInput =
  | { readonly type: 'link'; readonly node: string; readonly slot: number }
  | { readonly type: 'value'; readonly value: unknown }

/** A node of a workflow, whichever format the file has. */
export interface WorkflowNode {
  /** As the file has it; `12:5` is node 5 of the subgraph or group that is node 12. */
  readonly id: string
  /** The node's class. */
  readonly type: string
  /** What its user calls it, if not by its class. */
  readonly title: string | undefined
  /** True for a node that does not run: muted, or bypassed without an output to pass on. */
  readonly muted: boolean
  /** Linked inputs, and the values that the file has by name. */
  readonly inputs: ReadonlyMap<string, WorkflowInput>
  /** Values in the order of the node's widgets, where the file has them so. */
  readonly widgets: readonly unknown[]
}

/** The nodes of a workflow that can run, by id, in the order of the file; links lead from node to node. */
export interface Workflow {
  /** The API format leaves out what does not run; the UI format shows it. */
  readonly format: 'api' | 'ui'
  readonly nodes: ReadonlyMap<string, WorkflowNode>
}

/** Why a workflow cannot be read. */
export type WorkflowProblem = 'large'

/** Nodes beyond which a workflow is refused, those of subgraphs counted as often as they are used. */
export const MOST_NODES = 5000
