// bound statement + obligations -> text that reads masked columns and permitted rows only (section 3.1).
import type { ColumnRef, Node, RangeVar, SelectStmt } from "@pgsql/types";
import { err, ok, type Result } from "../lib/result.ts";
import type { Relation } from "../model/catalog.ts";
import type { Obligations } from "../model/decision.ts";
import { stackFault } from "./analyze.ts";
import { keyOf } from "./bind-context.ts";
import type { Bindings, RelationUse } from "./bindings.ts";
import { descendantsOf } from "./family.ts";
import { FaultError, refuse } from "./fault.ts";
import { filterNode } from "./filter-node.ts";
import { type Image, imageOf } from "./image-cache.ts";
import { leakproofConjuncts, moveTo } from "./leakproof.ts";
import { applyChangeLimit } from "./limit-changes.ts";
import { applyRowLimit } from "./limit-rows.ts";
import { generated, maskNode } from "./masks.ts";
import { deparseDefinition } from "./pg-deparser.ts";
import { isProtected, isReduced, type Protection, protectionOf } from "./protection.ts";
import { renderStatement } from "./render.ts";
import { reviewUses } from "./review.ts";
import { checkCopyTarget, rewriteWrite } from "./rewrite-write.ts";
import { searchesOf } from "./search.ts";
import { type BoundStatement, isBoundStatement } from "./statement.ts";
import { storedProtection } from "./stored-results.ts";
import { allOf, columnRef, mapBelow, mapTree, numberConst, stringNode } from "./tree.ts";
import type { AnalyzedStatement, RewrittenSql, SqlContext, SqlFault } from "./types.ts";

export type RewriteOptions = {
  /** Key of this connection's `hash` and `tokenize` masks. */
  readonly maskKey: string;
};

/** What rewriting needs at every step. */
export type Rewriting = {
  readonly bindings: Bindings;
  /** Constants that will stand in place of the parameters: the arguments of EXECUTE. */
  readonly inlined: readonly Node[] | undefined;
  readonly context: SqlContext;
  readonly obligations: Obligations;
  readonly options: RewriteOptions;
  readonly protection: (relation: Relation) => Protection;
  /** Conjuncts that see real values, by the relation that they move into. Noted when their query level is entered. */
  readonly searches: Map<RelationUse, readonly Node[]>;
  /** Images whose placeholders were put into the tree. */
  readonly images: Image[];
};

/**
 * The statement to send upstream. Fails where an obligation can't be carried out soundly: `mask-not-applicable`,
 * `masked-column-written`, `constraint-oracle` …
 */
export function rewriteSql(
  statement: AnalyzedStatement,
  obligations: Obligations,
  context: SqlContext,
  options: RewriteOptions,
): Result<RewrittenSql, SqlFault> {
  if (!isBoundStatement(statement.tree))
    return err(new FaultError("unsupported-statement", "the statement was not analysed here").fault);
  try {
    return ok(rewriteBound(statement.tree, statement.facts.text, obligations, context, options));
  } catch (error) {
    return err(error instanceof FaultError ? error.fault : stackFault(error));
  }
}

function rewriteBound(
  bound: BoundStatement,
  clientText: string,
  obligations: Obligations,
  context: SqlContext,
  options: RewriteOptions,
): RewrittenSql {
  const known = new Map<Relation, Protection>();
  const protection = (relation: Relation): Protection => {
    let p = known.get(relation);
    if (!p) {
      p = protectionOf(relation, obligations, context.catalog);
      known.set(relation, p);
    }
    return p;
  };
  const r: Rewriting = {
    inlined: bound.parameters,
    bindings: bound.bindings,
    context,
    obligations,
    options,
    protection,
    searches: new Map(),
    images: [],
  };
  reviewUses(r, bound.form);
  if (bound.form === "copy-in") for (const target of bound.bindings.targets.values()) checkCopyTarget(r, target);
  const masked = bound.form === "definition" ? bound.node : rewriteTree(r, bound.node);
  const { node: limited, ceiling } = applyChangeLimit(
    applyRowLimit(masked, bound.form, obligations),
    bound,
    obligations,
    context.catalog,
  );
  const node = bound.parameters ? withParameters(limited, bound.parameters) : limited;
  const reduced = bound.bindings.uses.filter((u) => u.implied !== "constraint" && isReduced(protection(u.relation)));
  return {
    text:
      bound.form === "definition" ? deparseDefinition(node, clientText) : renderStatement(node, r.images, bound.holes),
    touchesProtected: reduced.length > 0 || firesTriggers(bound.bindings, context.catalog),
    ...(bound.shape && ceiling?.isCountOnly !== true ? { shape: bound.shape } : {}),
    ...(ceiling ? { ceiling } : {}),
    maskedOrigins: new Set(reduced.flatMap((u) => originsOf(u.relation, protection(u.relation)))),
  };
}

function withParameters(node: Node, parameters: readonly Node[]): Node {
  return mapTree(node, (value) => {
    if (!("ParamRef" in value)) return undefined;
    const { number } = (value as Extract<Node, { ParamRef: unknown }>).ParamRef;
    return (
      parameters[(number ?? 0) - 1] ??
      refuse("unsupported-clause", "EXECUTE has fewer arguments than the prepared statement has parameters")
    );
  });
}

/** A trigger's notices, errors and notifications carry what its code saw: they are reduced like those of a protected relation. */
const firesTriggers = (bindings: Bindings, catalog: SqlContext["catalog"]): boolean =>
  [...bindings.targets.values()].some((t) =>
    [t.relation, ...descendantsOf(t.relation, catalog)].some((relation) => relation.hasTriggers),
  );

const originsOf = (relation: Relation, p: Protection): readonly string[] =>
  relation.columns.filter((c) => p.masks.has(c.name)).map((c) => `${relation.oid}:${c.number}`);

/** Replaces relations, targets and references to targets at every depth. */
export function rewriteTree<T extends object>(r: Rewriting, tree: T): T {
  return mapTree(tree, (value) => replaceNode(r, value));
}

/** As `rewriteTree` for what lies below a node that was handled already. */
export const rewriteBelow = <T extends object>(r: Rewriting, tree: T): T =>
  mapBelow(tree, (value) => replaceNode(r, value));

function replaceNode(r: Rewriting, value: object): object | undefined {
  if ("RangeVar" in value) return replaceRelation(r, value.RangeVar as RangeVar);
  if ("fromClause" in value && "limitOption" in value && ("whereClause" in value || "groupClause" in value))
    return rewriteLevel(r, value as SelectStmt);
  if ("ColumnRef" in value) return replaceTargetRef(r, value.ColumnRef as ColumnRef);
  if ("InsertStmt" in value || "UpdateStmt" in value || "DeleteStmt" in value || "MergeStmt" in value)
    return rewriteWrite(r, value as Node);
  return undefined;
}

/** A SELECT with a WHERE or GROUP BY. What its searches see is the real value: they move below the mask. */
function rewriteLevel(r: Rewriting, s: SelectStmt): SelectStmt {
  const { byUse, rest } = searchesOf(r, s.whereClause, s.fromClause ?? []);
  if (byUse.size === 0) return s.groupClause ? groupWithKey(r, s) : rewriteBelow(r, s);
  for (const [use, searches] of byUse) r.searches.set(use, searches);
  const { whereClause: _, ...open } = s;
  return groupWithKey(r, rest ? { ...open, whereClause: rest } : open);
}

/**
 * `GROUP BY p.id` also groups by what depends on the primary key, but only over a table: over its masked image the
 * columns in use are named as well. Equal keys have equal images, so the groups stay the same.
 */
function groupWithKey(r: Rewriting, s: SelectStmt): SelectStmt {
  const grouped = (s.groupClause ?? []).flatMap((g) =>
    "ColumnRef" in g ? (r.bindings.columnUses.get(g.ColumnRef) ?? []) : [],
  );
  const extra: Node[] = [];
  for (const [name, use] of r.bindings.reads) {
    if (!isProtected(r.protection(use.relation)) || !grouped.some((b) => b.use === use)) continue;
    const key = use.relation.constraints.find((c) => c.kind === "primary-key")?.columns ?? [];
    const has = (column: string): boolean => grouped.some((b) => b.use === use && b.column === column);
    const isMasked = key.some((c) => r.protection(use.relation).masks.has(c));
    if (key.length === 0 || isMasked || !key.every(has) || name.alias?.colnames?.length) continue;
    for (const column of use.relation.columns)
      if (use.columns.has(column.name) && !has(column.name) && !ungroupable.has(column.type.name))
        extra.push(columnRef(name.alias?.aliasname ?? use.relation.name, column.name));
  }
  const body = rewriteBelow(r, s);
  return extra.length === 0 ? body : { ...body, groupClause: [...(body.groupClause ?? []), ...extra] };
}

/** Types without equality. */
const ungroupable: ReadonlySet<string> = new Set([
  "json",
  "xml",
  "point",
  "polygon",
  "box",
  "circle",
  "path",
  "line",
  "lseg",
]);

/** A relation in FROM. undefined: it stays as it is. */
function replaceRelation(r: Rewriting, name: RangeVar): Node | undefined {
  const use = r.bindings.reads.get(name);
  if (!use) return undefined;
  const view = r.bindings.views.get(name);
  const p = storedProtection(r, use, view, r.protection(use.relation));
  const isOpened =
    view !== undefined && use.relation.kind === "view" && view.uses.some((u) => isReduced(r.protection(u.relation)));
  if (!isOpened && !isProtected(p)) return undefined;
  const query = isOpened ? undefined : sharedImage(r, name, use, p);
  if (query)
    return {
      RangeSubselect: { subquery: { SelectStmt: query }, alias: name.alias ?? { aliasname: use.relation.name } },
    };
  const base: Node = isOpened ? viewBody(r, name, use, view.query) : baseRelation(name);
  return {
    RangeSubselect: {
      subquery: { SelectStmt: maskedImage(r, use, p, base, isOpened && use.relation.isBarrier === true) },
      alias: name.alias ?? { aliasname: use.relation.name },
    },
  };
}

/** Alias of the real relation inside of its masked image. */
const inner = "gw";

const baseRelation = (name: RangeVar): Node => {
  const { alias: _alias, ...rest } = name;
  return { RangeVar: { ...rest, alias: { aliasname: inner } } };
};

function viewBody(r: Rewriting, name: RangeVar, use: RelationUse, query: SelectStmt): Node {
  if (!name.inh) refuse("unsupported-clause", "ONLY on a view is not supported");
  return {
    RangeSubselect: {
      subquery: { SelectStmt: rewriteTree(r, query) },
      alias: { aliasname: inner, colnames: use.relation.columns.map((c) => stringNode(c.name)) },
    },
  };
}

/** The placeholder of an image that holds nothing of this statement. undefined: it holds something. */
function sharedImage(r: Rewriting, name: RangeVar, use: RelationUse, p: Protection): SelectStmt | undefined {
  if (r.searches.has(use) || use.systemColumns.size > 0 || p !== r.protection(use.relation)) return undefined;
  if (p.filter && !use.place.isJoin && leakproofConjuncts(r, use, p).length > 0) return undefined;
  const key = `${name.inh === true} ${r.options.maskKey}`;
  const image = imageOf(r.obligations, use.relation, key, () =>
    renderStatement({ SelectStmt: maskedImage(r, use, p, baseRelation(name), false) }),
  );
  r.images.push(image);
  return image.placeholder;
}

/**
 * `SELECT` of all columns in their order, each masked where it must be. With a row filter it is fenced by OFFSET 0: the
 * planner then evaluates nothing of the client's on a hidden row. Leakproof conditions may go inside (section 4.4). A barrier
 * view, opened, keeps its barrier in the same way.
 */
function maskedImage(r: Rewriting, use: RelationUse, p: Protection, base: Node, isBarrier: boolean): SelectStmt {
  const image: SelectStmt = {
    targetList: [
      ...use.relation.columns.map((column) => {
        const mask = p.masks.get(column.name);
        const constant = p.system?.[column.name];
        const val: Node = mask
          ? maskNode(mask, column, inner, r.options)
          : constant === undefined
            ? { ColumnRef: { fields: [stringNode(inner), stringNode(column.name)] } }
            : generated(constant);
        return { ResTarget: mask || constant !== undefined ? { name: column.name, val } : { val } };
      }),
      // Partition names are schema. Where `*` doesn't show it, the image may carry one column more.
      ...(use.systemColumns.has("tableoid") ? [{ ResTarget: { val: columnRef(inner, "tableoid") } }] : []),
    ],
    fromClause: [base],
    limitOption: "LIMIT_OPTION_DEFAULT",
    op: "SETOP_NONE",
  };
  if (p.systemRows) return { ...image, whereClause: filterNode(p.systemRows, use.relation, inner) };
  const searches = (r.searches.get(use) ?? []).map((c) => moveTo(r, c, inner));
  if (!p.filter) {
    const open = searches.length === 0 ? image : { ...image, whereClause: allOf(searches) };
    return isBarrier ? { ...open, limitOffset: numberConst(0), limitOption: "LIMIT_OPTION_COUNT" } : open;
  }
  const fenced = use.place.isJoin ? [] : leakproofConjuncts(r, use, p).map((c) => moveTo(r, c, inner));
  const pushed = [...searches, ...fenced];
  return {
    ...image,
    whereClause: allOf([...pushed, filterNode(p.filter, use.relation, inner)]),
    limitOffset: numberConst(0),
    limitOption: "LIMIT_OPTION_COUNT",
  };
}

/** The mask, in place of a masked column of a write's target. */
function replaceTargetRef(r: Rewriting, ref: ColumnRef): Node | undefined {
  const target = r.bindings.targetRefs.get(ref);
  if (!target) return undefined;
  const p = r.protection(target.use.relation);
  if (p.masks.size === 0) return undefined;
  if (target.column === undefined)
    refuse(
      "mask-not-applicable",
      `the whole row of \`${keyOf(target.use.relation)}\` can't be used in a statement that writes to it`,
      {
        help: `name the columns that you need, without ${list(p)}`,
        position: ref.location,
      },
    );
  const mask = p.masks.get(target.column);
  const column = target.use.relation.columns.find((c) => c.name === target.column);
  return mask && column ? maskNode(mask, column, target.row, r.options) : undefined;
}

const list = (p: Protection): string => [...p.masks.keys()].map((c) => `\`${c}\``).join(", ");
