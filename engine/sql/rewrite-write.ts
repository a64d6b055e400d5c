// The target of a write: hidden rows stay untouched, masks are never written back (sections 4.4 and 4.7).
import type { Node, RangeVar } from "@pgsql/types";
import { keyOf } from "./bind-context.ts";
import type { TargetUse } from "./bindings.ts";
import { refuse } from "./fault.ts";
import { figureName } from "./figure-name.ts";
import { filterNode } from "./filter-node.ts";
import { isLeakproof } from "./leakproof.ts";
import { filterColumns, type Protection } from "./protection.ts";
import { type Rewriting, rewriteBelow, rewriteTree } from "./rewrite.ts";
import { withRowCheck } from "./row-check.ts";
import { flat, isSearch } from "./search.ts";
import { allOf, booleanConst, when } from "./tree.ts";

/** @throws FaultError `masked-column-written`, `row-outside-filter`, `constraint-oracle`. */
export function rewriteWrite(r: Rewriting, node: Node): Node | undefined {
  const name = targetName(node);
  const target = name && r.bindings.targets.get(name);
  if (!name || !target) return undefined;
  const p = r.protection(target.relation);
  checkColumns(target, p);
  checkConstraints(r, target, p);
  const row = name.alias?.aliasname ?? target.relation.name;
  if ("InsertStmt" in node) {
    const body = nameReturning(r, rewriteBelow(r, node.InsertStmt), node.InsertStmt);
    return { InsertStmt: p.filter ? withRowCheck(body, target, p.filter) : body };
  }
  if ("UpdateStmt" in node) {
    const s = node.UpdateStmt;
    const body = nameReturning(r, rewriteBelow(r, s), s);
    return { UpdateStmt: { ...body, ...whereOf(r, target, p, row, s.whereClause) } };
  }
  if ("DeleteStmt" in node) {
    const s = node.DeleteStmt;
    const body = nameReturning(r, rewriteBelow(r, s), s);
    return { DeleteStmt: { ...body, ...whereOf(r, target, p, row, s.whereClause) } };
  }
  if ("MergeStmt" in node) {
    if (p.filter)
      refuse(
        "filter-not-applicable",
        `MERGE into \`${keyOf(target.relation)}\` is not supported: its rows are filtered by a policy`,
        {
          help: "use UPDATE and INSERT",
        },
      );
    return { MergeStmt: nameReturning(r, rewriteBelow(r, node.MergeStmt), node.MergeStmt) };
  }
  return undefined;
}

/** Rows of COPY FROM are data: no condition can be put around them. @throws FaultError */
export function checkCopyTarget(r: Rewriting, target: TargetUse): void {
  const p = r.protection(target.relation);
  checkColumns(target, p);
  checkConstraints(r, target, p);
  if (p.filter)
    refuse(
      "row-outside-filter",
      `COPY into \`${keyOf(target.relation)}\` is not supported: its rows are filtered by a policy`,
      { help: "use INSERT" },
    );
}

function targetName(node: Node): RangeVar | undefined {
  if ("InsertStmt" in node) return node.InsertStmt.relation;
  if ("UpdateStmt" in node) return node.UpdateStmt.relation;
  if ("DeleteStmt" in node) return node.DeleteStmt.relation;
  return "MergeStmt" in node ? node.MergeStmt.relation : undefined;
}

const quoted = (names: readonly string[]): string => names.map((n) => `\`${n}\``).join(", ");

function checkColumns(target: TargetUse, p: Protection): void {
  const written = [...target.write.columns];
  const masked = written.filter((c) => p.masks.has(c));
  if (masked.length > 0)
    refuse(
      "masked-column-written",
      `${quoted(masked)} of \`${keyOf(target.relation)}\` can't be written: a policy masks ${masked.length === 1 ? "it" : "them"}, and the mask would replace the value`,
      {
        help: `leave ${quoted(masked)} out of the statement`,
      },
    );
  if (!p.filter || target.verb === "insert") return;
  const moved = written.filter((c) => p.filter && filterColumns(p.filter).includes(c));
  if (moved.length > 0)
    refuse(
      "row-outside-filter",
      `${quoted(moved)} of \`${keyOf(target.relation)}\` can't be changed: a policy's row filter depends on ${moved.length === 1 ? "it" : "them"}`,
      {
        help: `leave ${quoted(moved)} out of the statement`,
      },
    );
}

/**
 * A unique, exclusion or foreign key constraint that judges what the client can't see answers questions about it. Keys
 * that the server draws itself are no question.
 */
function checkConstraints(r: Rewriting, target: TargetUse, p: Protection): void {
  if (target.verb === "delete") checkReferences(r, target);
  if (target.verb === "delete") return;
  const written = target.write.columns;
  for (const c of target.relation.constraints) {
    const isWritten = c.columns.some((column) => written.has(column));
    if (c.kind === "check" || !isWritten) continue;
    const other = c.references === undefined ? undefined : r.context.catalog.relations.get(c.references);
    const q = other ? r.protection(other) : p;
    const isHidden = q.filter !== undefined || (c.kind !== "foreign-key" && c.columns.some((x) => p.masks.has(x)));
    if (isHidden) refuseConstraint(target, c.name, c.columns);
  }
  if (target.verb !== "insert") checkReferences(r, target);
}

/** Rows of a hidden kind that refer to the target's key would be touched, or tell of themselves by an error. */
function checkReferences(r: Rewriting, target: TargetUse): void {
  const key = keyOf(target.relation);
  for (const relation of r.context.catalog.relations.values())
    for (const c of relation.constraints) {
      if (c.kind !== "foreign-key" || c.references !== key || r.protection(relation).filter === undefined) continue;
      if (target.verb === "delete" || keyColumnsWritten(target)) refuseConstraint(target, c.name, []);
    }
}

const keyColumnsWritten = (target: TargetUse): boolean =>
  target.relation.constraints.some(
    (c) => (c.kind === "primary-key" || c.kind === "unique") && c.columns.some((x) => target.write.columns.has(x)),
  );

function refuseConstraint(target: TargetUse, name: string, columns: readonly string[]): never {
  refuse(
    "constraint-oracle",
    `this write to \`${keyOf(target.relation)}\` is judged by constraint \`${name}\` over rows or values that a policy hides`,
    {
      ...(columns.length > 0 ? { help: `leave ${quoted(columns)} out, or ask for an approval` } : {}),
    },
  );
}

/** Searches stay as they are: the target is never filled up with NULL, and its row can't be put behind a mask. */
function whereOf(
  r: Rewriting,
  target: TargetUse,
  p: Protection,
  row: string,
  where: Node | undefined,
): { readonly whereClause?: Node } {
  if (p.filter) return { whereClause: guard(r, target, p, row, where) };
  const all = flat(where);
  if (!all.some((c) => isSearch(r, c, target.read, p))) return {};
  return { whereClause: allOf(all.map((c) => (isSearch(r, c, target.read, p) ? c : rewriteTree(r, c)))) };
}

/** Leakproof conditions, then CASE: PostgreSQL evaluates a CASE in its order, on the locked row too. */
function guard(r: Rewriting, target: TargetUse, p: Protection, row: string, where: Node | undefined): Node {
  if (!p.filter) return booleanConst(true);
  if (where && "CurrentOfExpr" in where)
    refuse(
      "filter-not-applicable",
      "WHERE CURRENT OF is not supported on a relation whose rows are filtered by a policy",
    );
  const filter = filterNode(p.filter, target.relation, row);
  const all = flat(where);
  const searches = all.filter((c) => isSearch(r, c, target.read, p));
  const safe = all.filter((c) => isLeakproof(r, c, target.read, p)).map((c) => rewriteTree(r, c));
  const rest = all
    .filter((c) => !searches.includes(c) && !isLeakproof(r, c, target.read, p))
    .map((c) => rewriteTree(r, c));
  const guarded = rest.length === 0 ? filter : when(filter, allOf(rest), booleanConst(false));
  return allOf([...searches, ...safe, guarded]);
}

type Returning = { readonly returningClause?: { exprs?: Node[] } };

/** What became another expression keeps its name: a mask's own would be that of its outermost function or cast. */
function nameReturning<T extends Returning>(_r: Rewriting, body: T, before: T): T {
  const exprs = body.returningClause?.exprs;
  if (!exprs || exprs === before.returningClause?.exprs) return body;
  const named = exprs.map((item, i): Node => {
    const was = before.returningClause?.exprs?.[i];
    if (item === was || !("ResTarget" in item) || !was || !("ResTarget" in was) || was.ResTarget.name !== undefined)
      return item;
    const val = was.ResTarget.val;
    const isStar = val && "ColumnRef" in val && (val.ColumnRef.fields ?? []).some((f) => "A_Star" in f);
    return isStar ? item : { ResTarget: { ...item.ResTarget, name: figureName(val) } };
  });
  return { ...body, returningClause: { ...body.returningClause, exprs: named } };
}
