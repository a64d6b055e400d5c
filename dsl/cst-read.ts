// What the lowering asks of a CST node. Parts may be missing: error recovery leaves holes.
import { type Span, spanOf } from "../engine/lib/span.ts";

/** A token as the CST holds it. */
export type CstToken = {
  readonly image: string;
  readonly startOffset: number;
  readonly endOffset?: number;
  readonly isInsertedInRecovery?: boolean;
};
/** A node of the CST: its parts under the names of grammar rules, tokens or labels. */
export type Cst = {
  readonly name: string;
  readonly children: { readonly [name: string]: readonly (Cst | CstToken)[] };
  readonly recoveredNode?: boolean;
  readonly location?: { readonly startOffset: number; readonly endOffset?: number };
};

const isNode = (part: Cst | CstToken): part is Cst => "children" in part;

export const nodesOf = (of: Cst, name: string): readonly Cst[] => (of.children[name] ?? []).filter(isNode);

export const nodeOf = (of: Cst, name: string): Cst | undefined => {
  const part = of.children[name]?.[0];
  return part !== undefined && isNode(part) ? part : undefined;
};

/** Tokens that stand in the text: what recovery imagined is left out. */
export const tokensOf = (of: Cst, name: string): readonly CstToken[] =>
  (of.children[name] ?? []).filter((part) => !isNode(part) && part.isInsertedInRecovery !== true) as CstToken[]; // SAFETY: filtered by isNode

export const tokenOf = (of: Cst, name: string): CstToken | undefined => tokensOf(of, name)[0];

export const spanOfToken = (token: CstToken): Span =>
  spanOf(token.startOffset, (token.endOffset ?? token.startOffset) + 1);

/** The text a node covers; empty at `fallback` when recovery left nothing in it. */
export function spanOfNode(node: Cst, fallback = 0): Span {
  const start = node.location?.startOffset ?? Number.NaN;
  const end = node.location?.endOffset ?? Number.NaN;
  if (!(start >= 0 && end >= start)) return spanOf(fallback, fallback);
  return spanOf(start, end + 1);
}
