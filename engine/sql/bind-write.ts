// INSERT, UPDATE, DELETE, MERGE -> bound statement; every use of the target's columns is noted for the rewriter.
import type {
  DeleteStmt,
  InsertStmt,
  MergeStmt,
  Node,
  OnConflictClause,
  RangeVar,
  ReturningClause,
  UpdateStmt,
} from "@pgsql/types";
import type { Relation } from "../model/catalog.ts";
import { addUse, type Binder, keyOf } from "./bind-context.ts";
import { bindAll, bindExpression, noteAssigned, type Place } from "./bind-expression.ts";
import { addFamily, bindFrom, bindFromItem, relationColumns } from "./bind-from.ts";
import { bindQuery, bindTargets, bindWith, type Output } from "./bind-query.ts";
import type { RelationUse, Place as StatementPlace, TargetUse } from "./bindings.ts";
import { referringTo } from "./family.ts";
import { refuse } from "./fault.ts";
import { kindOf } from "./node-kinds.ts";
import { checkAttribute, resolveCollation, resolveRelation } from "./resolve-names.ts";
import { addItem, itemOf, newScope, type Scope, type Source } from "./scope.ts";
import { isSystemSchema } from "./system-catalog.ts";
import { stringOf } from "./tree.ts";

/** @throws FaultError; `unsupported-statement` for a node that is no write. */
export function bindWrite(b: Binder, node: Node, at: Place): Output {
  if ("InsertStmt" in node) return bindInsert(b, node.InsertStmt, at);
  if ("UpdateStmt" in node) return bindUpdate(b, node.UpdateStmt, at);
  if ("DeleteStmt" in node) return bindDelete(b, node.DeleteStmt, at);
  if ("MergeStmt" in node) return bindMerge(b, node.MergeStmt, at);
  return refuse("unsupported-statement", `\`${kindOf(node)}\` is not supported here`);
}

function bindTarget(b: Binder, name: RangeVar | undefined, verb: TargetUse["verb"], place: StatementPlace): TargetUse {
  if (!name) refuse("unsupported-node", "this statement has no target");
  const relation = resolveRelation(b.sql, name);
  const at = { position: name.location };
  if (isSystemSchema(relation.schema))
    refuse("catalog-not-allowed", `writing to \`${keyOf(relation)}\` is not allowed`, at);
  if (relation.kind !== "table" && relation.kind !== "partitioned-table")
    refuse("relation-not-supported", `writing to \`${keyOf(relation)}\`, a ${relation.kind}, is not supported`, {
      ...at,
      help: "write to the table itself",
    });
  if (relation.hasRules)
    refuse("rules-not-supported", `\`${keyOf(relation)}\` has rewrite rules; writing to it is not supported`, at);
  const write = addUse(b, relation, verb, place);
  const read = addUse(b, relation, "select", place);
  const target: TargetUse = { relation, verb, write, read, changed: new Set<string>() };
  addFamily(b, relation, name.inh === true, place);
  b.bindings.targets.set(name, target);
  return target;
}

/**
 * Foreign keys make the server look into other relations: whether those are hidden decides what the write may do. Called
 * when the written columns are known.
 */
function addReferences(b: Binder, target: TargetUse): void {
  const { relation, write } = target;
  const { relations } = b.sql.catalog;
  const isWritten = (columns: readonly string[]): boolean =>
    columns.some((c) => write.columns.has(c) || target.changed?.has(c) === true);
  const touchesKey =
    target.verb === "delete" ||
    target.verb === "merge" ||
    ((target.verb === "update" || (target.changed?.size ?? 0) > 0) &&
      relation.constraints.some((c) => (c.kind === "primary-key" || c.kind === "unique") && isWritten(c.columns)));
  const referenced = relation.constraints
    .filter((c) => c.references !== undefined && isWritten(c.columns))
    .flatMap((c) => relations.get(c.references ?? "") ?? []);
  const referring = touchesKey ? referringTo(relation, b.sql.catalog).map((r) => r.relation) : [];
  for (const other of new Set([...referenced, ...referring]))
    if (other !== relation) addUse(b, other, "select", write.place, { implied: "constraint" });
}

const targetSource = (name: RangeVar | undefined, use: RelationUse): Source => ({
  name: name?.alias?.aliasname ?? use.relation.name,
  schema: name?.alias ? undefined : use.relation.schema,
  columns: relationColumns(use),
  isOpen: false,
  use,
  isTarget: true,
});

function checkColumn(relation: Relation, name: string, at: number | undefined): string {
  if (relation.columns.some((c) => c.name === name)) return name;
  return refuse("unknown-column", `column \`${name}\` of \`${keyOf(relation)}\` does not exist or is not known`, {
    position: at,
  });
}

/** Columns named on the left side of SET or in the column list of INSERT; subscripts and fields in them are bound. */
function bindAssigned(
  b: Binder,
  targets: readonly Node[] | undefined,
  relation: Relation,
  at: Place,
): readonly string[] {
  return (targets ?? []).map((t) => {
    if (!("ResTarget" in t)) refuse("unsupported-node", "this list of columns is not supported");
    for (const part of t.ResTarget.indirection ?? []) {
      const field = stringOf(part);
      if (field !== undefined) checkAttribute(b, field, t.ResTarget.location);
      else bindExpression(b, part, at);
    }
    return checkColumn(relation, t.ResTarget.name ?? "", t.ResTarget.location);
  });
}

/** Right sides of SET. The source of `(a, b) = (…)` is bound once per column, like the parser repeats it. */
function bindAssignments(b: Binder, targets: readonly Node[] | undefined, target: TargetUse, at: Place): void {
  for (const column of bindAssigned(b, targets, target.relation, at)) target.write.columns.add(column);
  for (const t of targets ?? []) {
    if (!("ResTarget" in t) || !t.ResTarget.val) continue;
    const val = t.ResTarget.val;
    if ("MultiAssignRef" in val) bindMulti(b, val.MultiAssignRef, at);
    else {
      bindExpression(b, val, at);
      const column = target.relation.columns.find((c) => c.name === t.ResTarget.name);
      if (column && !t.ResTarget.indirection?.length) noteAssigned(b, val, column);
    }
  }
}

function bindMulti(b: Binder, m: { source?: Node; colno?: number }, at: Place): void {
  if (m.colno === 1) {
    bindExpression(b, m.source, at);
    return;
  }
  // The printer writes the first copy only; the parser will repeat it. Uses of the copies would count twice.
  const before = b.bindings.uses.length;
  bindExpression(b, m.source, at);
  b.bindings.uses.length = before;
}

function bindInsert(b: Binder, s: InsertStmt, at: Place): Output {
  const ctes = bindWith(b, s.withClause, at);
  const target = bindTarget(b, s.relation, "insert", { where: undefined });
  const columns = bindAssigned(b, s.cols, target.relation, { scope: undefined, ctes });
  if (s.selectStmt) {
    if (!("SelectStmt" in s.selectStmt)) refuse("unsupported-node", "this INSERT is not supported");
    const output = bindQuery(b, s.selectStmt.SelectStmt, { scope: at.scope, ctes });
    const count = output.isOpen ? target.relation.columns.length : output.columns.length;
    const named = s.cols?.length ? columns : target.relation.columns.slice(0, count).map((c) => c.name);
    for (const column of named) target.write.columns.add(column);
    noteRows(b, s.selectStmt.SelectStmt.valuesLists, target.relation, named);
  } else for (const column of columns) target.write.columns.add(column);
  const row = targetSource(s.relation, target.read);
  const scope = newScope(at.scope, [itemOf(row)]);
  if (s.onConflictClause) bindOnConflict(b, s.onConflictClause, target, { scope, ctes });
  addReferences(b, target);
  return bindReturning(b, s.returningClause, row, { scope, ctes });
}

/** `VALUES ($1, $2)`: each takes the type of its column. */
function noteRows(b: Binder, rows: readonly Node[] | undefined, relation: Relation, names: readonly string[]): void {
  const columns = names.map((name) => relation.columns.find((c) => c.name === name));
  for (const row of rows ?? [])
    for (const [i, value] of ("List" in row ? (row.List.items ?? []) : []).entries()) {
      const column = columns[i];
      if (column) noteAssigned(b, value, column);
    }
}

function bindOnConflict(b: Binder, c: OnConflictClause, target: TargetUse, at: Place): void {
  const { infer } = c;
  for (const item of infer?.indexElems ?? []) {
    if (!("IndexElem" in item)) refuse("unsupported-node", "this ON CONFLICT is not supported");
    const e = item.IndexElem;
    if (e.opclass?.length) refuse("unsupported-clause", "an operator class in ON CONFLICT is not supported");
    if (e.collation?.length) resolveCollation(b.sql, { collname: e.collation });
    if (e.name === undefined) bindExpression(b, e.expr, at);
    else target.read.columns.add(checkColumn(target.relation, e.name, undefined));
  }
  bindExpression(b, infer?.whereClause, at);
  if (c.action !== "ONCONFLICT_UPDATE") return;
  // `excluded` holds the proposed row: the client's own values.
  const excluded: Source = {
    name: "excluded",
    schema: undefined,
    columns: target.relation.columns.map((x) => ({ name: x.name, bases: [] })),
    isOpen: false,
    use: undefined,
    isTarget: false,
  };
  const scope: Scope = newScope(at.scope?.parent, []);
  addItem(scope, { sources: at.scope?.sources ?? [], columns: at.scope?.columns ?? [], isOpen: false });
  scope.sources.push(excluded);
  const update = addUse(b, target.relation, "update", { where: c.whereClause });
  bindAssignments(b, c.targetList, { ...target, write: update }, { scope, ctes: at.ctes });
  for (const column of update.columns) target.changed?.add(column);
  bindExpression(b, c.whereClause, { scope, ctes: at.ctes });
}

function bindUpdate(b: Binder, s: UpdateStmt, at: Place): Output {
  const ctes = bindWith(b, s.withClause, at);
  const place = { where: s.whereClause };
  const target = bindTarget(b, s.relation, "update", place);
  const row = targetSource(s.relation, target.read);
  const inside = bindWriteScope(b, row, s.fromClause, { scope: at.scope, ctes }, place);
  bindAssignments(b, s.targetList, target, inside);
  addReferences(b, target);
  bindExpression(b, s.whereClause, inside);
  return bindReturning(b, s.returningClause, row, inside);
}

function bindDelete(b: Binder, s: DeleteStmt, at: Place): Output {
  const ctes = bindWith(b, s.withClause, at);
  const place = { where: s.whereClause };
  const target = bindTarget(b, s.relation, "delete", place);
  const row = targetSource(s.relation, target.read);
  const inside = bindWriteScope(b, row, s.usingClause, { scope: at.scope, ctes }, place);
  addReferences(b, target);
  bindExpression(b, s.whereClause, inside);
  return bindReturning(b, s.returningClause, row, inside);
}

/** The target, and beside it what FROM or USING names; items of FROM don't see the target. */
function bindWriteScope(
  b: Binder,
  row: Source,
  from: readonly Node[] | undefined,
  at: Place,
  place: StatementPlace,
): Place {
  const others = newScope(at.scope, []);
  bindFrom(b, from ?? [], at, place, others);
  if (from?.length) b.bindings.joins++;
  const scope = newScope(at.scope, [itemOf(row)]);
  addItem(scope, { sources: others.sources, columns: others.columns, isOpen: others.isOpen });
  return { scope, ctes: at.ctes };
}

/** RETURNING sees the row as it is, and from PostgreSQL 18 on `old` and `new`, under names of the client's choice. */
function bindReturning(b: Binder, r: ReturningClause | undefined, row: Source, at: Place): Output {
  if (!r) return { columns: [], isOpen: false };
  const names = { RETURNING_OPTION_OLD: "old", RETURNING_OPTION_NEW: "new" };
  for (const o of r.options ?? []) {
    if (!("ReturningOption" in o)) refuse("unsupported-node", "this RETURNING is not supported");
    const { option, value } = o.ReturningOption;
    if (option === undefined || value === undefined) refuse("unsupported-node", "this RETURNING is not supported");
    names[option] = value;
  }
  const scope = newScope(at.scope?.parent, []);
  addItem(scope, {
    sources: at.scope?.sources ?? [],
    columns: at.scope?.columns ?? [],
    isOpen: at.scope?.isOpen === true,
  });
  if (b.sql.catalog.serverVersion >= 180000 || b.sql.catalog.serverVersion === 0)
    for (const name of Object.values(names))
      if (!scope.sources.some((s) => s.name === name)) scope.sources.push({ ...row, name, schema: undefined });
  return bindTargets(b, r.exprs ?? [], { scope, ctes: at.ctes });
}

function bindMerge(b: Binder, s: MergeStmt, at: Place): Output {
  const ctes = bindWith(b, s.withClause, at);
  if (!s.sourceRelation) refuse("unsupported-node", "this MERGE is not supported");
  const place: StatementPlace = { where: s.joinCondition, isJoin: true };
  const target = bindTarget(b, s.relation, "merge", place);
  const row = targetSource(s.relation, target.read);
  const others = newScope(at.scope, []);
  addItem(others, bindFromItem(b, s.sourceRelation, { scope: at.scope, ctes }, place, others));
  b.bindings.joins++;
  const scope = newScope(at.scope, [itemOf(row)]);
  addItem(scope, { sources: others.sources, columns: others.columns, isOpen: others.isOpen });
  const both: Place = { scope, ctes };
  bindExpression(b, s.joinCondition, both);
  for (const w of s.mergeWhenClauses ?? []) {
    if (!("MergeWhenClause" in w)) refuse("unsupported-node", "this MERGE is not supported");
    bindMergeWhen(b, w.MergeWhenClause, target, both, { scope: others, ctes });
  }
  addReferences(b, target);
  return bindReturning(b, s.returningClause, row, both);
}

type MergeWhen = Extract<Node, { readonly MergeWhenClause: unknown }>["MergeWhenClause"];

function bindMergeWhen(b: Binder, w: MergeWhen, target: TargetUse, both: Place, source: Place): void {
  const at = w.matchKind === "MERGE_WHEN_NOT_MATCHED_BY_TARGET" ? source : both;
  bindExpression(b, w.condition, at);
  const place = { where: w.condition };
  if (w.commandType === "CMD_UPDATE") {
    const write = addUse(b, target.relation, "update", place);
    bindAssignments(b, w.targetList, { ...target, write }, at);
    for (const column of write.columns) {
      target.write.columns.add(column);
      target.changed?.add(column);
    }
  } else if (w.commandType === "CMD_INSERT") {
    const write = addUse(b, target.relation, "insert", { where: undefined });
    const names = bindAssigned(b, w.targetList, target.relation, at);
    const all = target.relation.columns.slice(0, w.values?.length ?? 0).map((c) => c.name);
    for (const column of names.length > 0 ? names : all) {
      write.columns.add(column);
      target.write.columns.add(column);
    }
    bindAll(b, w.values, at);
  } else if (w.commandType === "CMD_DELETE") {
    target.isDeleting = true;
    addUse(b, target.relation, "delete", place);
  } else if (w.commandType !== "CMD_NOTHING") refuse("unsupported-clause", "this MERGE action is not supported");
}
