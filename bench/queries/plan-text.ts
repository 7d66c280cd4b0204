/** A node of EXPLAIN (FORMAT JSON), as far as it is read here. */
export interface PlanNode {
  readonly 'Node Type': string;
  readonly 'Relation Name'?: string;
  readonly 'Index Name'?: string;
  readonly 'Actual Rows'?: number;
  readonly 'Actual Loops'?: number;
  readonly Plans?: readonly PlanNode[];
}

/** The nodes of a plan in one line, the outermost first: `Limit < Sort < Index Scan leads_pkey (1 row)`. Siblings stand in brackets. */
export function toPlanText(node: PlanNode): string {
  const of = node['Index Name'] ?? node['Relation Name'];
  const rows = of === undefined ? '' : ` (${Math.round(node['Actual Rows'] ?? 0)} rows × ${node['Actual Loops'] ?? 1})`;
  const own = `${node['Node Type']}${of === undefined ? '' : ` ${of}`}${rows}`;
  const below = (node.Plans ?? []).map(toPlanText);
  if (below.length === 0) return own;
  return `${own} < ${below.length === 1 ? below[0] : `[${below.join('; ')}]`}`;
}

/** Names of the indexes that a plan uses, each once. */
export function toIndexNames(node: PlanNode): string[] {
  const below = (node.Plans ?? []).flatMap(toIndexNames);
  const own = node['Index Name'];
  return [...new Set(own === undefined ? below : [own, ...below])];
}
