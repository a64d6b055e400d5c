// The target of a write: hidden rows stay untouched, masks are never written back (sections 4.4 and 4.7).
import type { Node, RangeVar } from "@pgsql/types";
import type { Column, Relation, RelationConstraint } from "../model/catalog.ts";
import { keyOf } from "./bind-context.ts";
import type { TargetUse } from "./bindings.ts";
import { descendantsOf, referringTo } from "./family.ts";
import { refuse } from "./fault.ts";
import { figureName } from "./figure-name.ts";
import { filterNode } from "./filter-node.ts";
import { generatedInputs } from "./generated-inputs.ts";
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
  const written = [...writtenBy(target)];
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
  checkReferences(r, target);
  if (target.verb === "delete") return;
  const children =
    target.verb === "insert" && !isChanging(target) && target.relation.kind !== "partitioned-table"
      ? []
      : descendantsOf(target.relation, r.context.catalog);
  for (const relation of [target.relation, ...children])
    checkOwn(r, target, relation, relation === target.relation ? p : r.protection(relation));
}

const isChanging = (target: TargetUse): boolean => (target.changed?.size ?? 0) > 0;

const writtenBy = (target: TargetUse): ReadonlySet<string> =>
  new Set([...target.write.columns, ...(target.changed ?? [])]);

/**
 * Constraints of one relation whose rows are written. A check, or a generated column, judges old masked values too. One
 * that isn't valid judges a row at every UPDATE, and a partition that a row comes into judges all of it.
 */
function checkOwn(r: Rewriting, target: TargetUse, relation: Relation, p: Protection): void {
  const named = writtenBy(target);
  const isUpdate = target.verb !== "insert" || isChanging(target);
  const isNew = isUpdate && relation !== target.relation && movesRows(r, target, named);
  const computed = relation.columns.filter(
    (c) =>
      generatedInputs(relation, c.generated).some((i) => named.has(i)) ||
      (isNew && c.generated !== undefined && c.generated !== sameColumn(target, c)?.generated),
  );
  if (isNew)
    for (const c of relation.columns)
      if (p.masks.has(c.name) && !c.isNullable && sameColumn(target, c)?.isNullable !== false)
        refuseConstraint(target, c.name, []);
  const written = new Set([...named, ...computed.map((c) => c.name)]);
  for (const c of computed)
    if (isUpdate && generatedInputs(relation, c.generated).some((i) => p.masks.has(i)))
      refuseConstraint(target, c.name, []);
  for (const c of relation.constraints) {
    const isJudging =
      c.columns.some((column) => written.has(column)) ||
      (isUpdate && c.kind === "check" && c.isValid === false) ||
      (isNew && !(c.kind === "check" && target.relation.constraints.some((k) => isInherited(k, c))));
    if (!isJudging) continue;
    const isMasked = c.columns.some((x) => p.masks.has(x));
    if (c.kind === "check" ? isUpdate && isMasked : isOracle(r, c, p, isMasked))
      refuseConstraint(target, c.name, c.columns);
  }
}

/** A new value of a column that decides the partition: the row is written anew, into another one. */
function movesRows(r: Rewriting, target: TargetUse, written: ReadonlySet<string>): boolean {
  const parents = [target.relation, ...descendantsOf(target.relation, r.context.catalog)];
  return parents.some(
    ({ kind, partitionColumns }) =>
      kind === "partitioned-table" && (partitionColumns ?? [...written]).some((c) => written.has(c)),
  );
}

const sameColumn = (target: TargetUse, column: Column): Column | undefined =>
  target.relation.columns.find((c) => c.name === column.name);

/** The parent's own, which its rows have passed already. */
const isInherited = (parent: RelationConstraint, child: RelationConstraint): boolean =>
  parent.kind === "check" && parent.isValid !== false && parent.name === child.name;

function isOracle(r: Rewriting, c: RelationConstraint, p: Protection, isMasked: boolean): boolean {
  if (c.kind !== "foreign-key") return p.filter !== undefined || isMasked;
  const other = c.references === undefined ? undefined : r.context.catalog.relations.get(c.references);
  const q = other ? r.protection(other) : p;
  if (q.filter !== undefined) return true;
  const keys = other?.constraints.filter((k) => k.kind === "primary-key" || k.kind === "unique") ?? [];
  const columns = c.referencedColumns ?? keys.flatMap((k) => k.columns);
  return columns.some((x) => q.masks.has(x));
}

/** Hidden rows, or masked columns, that refer to the target's key would be touched, or tell of themselves by an error. */
function checkReferences(r: Rewriting, target: TargetUse): void {
  if (!changesKeys(target)) return;
  for (const { relation, constraint } of referringTo(target.relation, r.context.catalog)) {
    const p = r.protection(relation);
    if (p.filter !== undefined || constraint.columns.some((c) => p.masks.has(c)))
      refuseConstraint(target, constraint.name, []);
  }
}

/** Rows that are there lose their key: by DELETE, or by a new value. A key that an INSERT brings has no row refer to it yet. */
function changesKeys({ relation, verb, write, changed, isDeleting }: TargetUse): boolean {
  if (verb === "delete" || isDeleting === true) return true;
  const named = verb === "update" ? write.columns : (changed ?? new Set<string>());
  const isNew = (c: Column): boolean =>
    named.has(c.name) || generatedInputs(relation, c.generated).some((input) => named.has(input));
  const columns = new Set(relation.columns.filter(isNew).map((c) => c.name));
  return relation.constraints.some(
    (c) => (c.kind === "primary-key" || c.kind === "unique") && c.columns.some((x) => columns.has(x)),
  );
}

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
