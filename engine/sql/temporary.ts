// CREATE TEMPORARY TABLE (AS), SELECT INTO TEMPORARY, an index on one, DROP -> bound statement and the session's new names.
// What such a table holds was masked and filtered when it was put in, so that it has no protection of its own.
import type { Constraint, CreateStmt, Node, RangeVar, SelectStmt } from "@pgsql/types";
import { type Column, type Relation, relationKey } from "../model/catalog.ts";
import { addUse, type Binder } from "./bind-context.ts";
import { bindExpression } from "./bind-expression.ts";
import { bindQuery, type Output } from "./bind-query.ts";
import { type BoundParts, checkPathChanges } from "./bind-statement.ts";
import { refuse } from "./fault.ts";
import { generated } from "./masks.ts";
import { checkTree, kindOf } from "./node-kinds.ts";
import { print } from "./print.ts";
import { lookupPath, resolveCollation, resolveRelation, resolveType } from "./resolve-names.ts";
import { itemOf, newScope, type Scope } from "./scope.ts";
import { temporarySchema } from "./settings.ts";
import { stringNode, stringOf, stringsOf } from "./tree.ts";
import type { SessionEffect } from "./types.ts";

/**
 * `SELECT … INTO t` is CREATE TABLE t AS. The leftmost arm of a set operation carries the INTO. undefined: there is none.
 * https://www.postgresql.org/docs/18/sql-selectinto.html
 */
export function selectInto(query: SelectStmt): Node | undefined {
  const into = query.intoClause;
  if (into) {
    const { intoClause: _, ...rest } = query;
    return { CreateTableAsStmt: { query: { SelectStmt: rest }, into, objtype: "OBJECT_TABLE" } };
  }
  if (!query.larg || query.op === "SETOP_NONE") return undefined;
  const left = selectInto(query.larg);
  if (!left || !("CreateTableAsStmt" in left)) return undefined;
  const arm = left.CreateTableAsStmt.query;
  if (!arm || !("SelectStmt" in arm)) return undefined;
  return {
    CreateTableAsStmt: { ...left.CreateTableAsStmt, query: { SelectStmt: { ...query, larg: arm.SelectStmt } } },
  };
}

/** undefined: the statement is not about temporary tables only. @throws FaultError */
export function bindTemporary(b: Binder, node: Node): BoundParts | undefined {
  if ("CreateStmt" in node && isTemporary(b, node.CreateStmt.relation)) return bindCreate(b, node);
  if ("CreateTableAsStmt" in node && node.CreateTableAsStmt.objtype === "OBJECT_TABLE")
    return isTemporary(b, node.CreateTableAsStmt.into?.rel) ? bindCreateAs(b, node) : undefined;
  if ("DropStmt" in node && node.DropStmt.removeType === "OBJECT_TABLE") return bindDrop(b, node);
  if ("IndexStmt" in node) return bindIndex(b, node);
  return undefined;
}

/** Made temporary by a word, by its schema, or because the path begins with that schema. */
const isTemporary = (b: Binder, name: RangeVar | undefined): boolean =>
  name !== undefined &&
  (name.relpersistence === "t" ||
    name.schemaname === temporarySchema ||
    (name.schemaname === undefined && name.relpersistence === "p" && b.sql.searchPath[0] === temporarySchema));

/** The one spelling that is sent: `TEMPORARY` and a bare name. */
function temporaryName(b: Binder, name: RangeVar | undefined): RangeVar {
  if (!name?.relname) refuse("unsupported-node", "this table has no name");
  if (name.schemaname !== undefined && name.schemaname !== temporarySchema)
    refuse("unsupported-clause", "a temporary table is in no schema of its own naming", { position: name.location });
  if (name.catalogname !== undefined && name.catalogname !== b.sql.catalog.database)
    refuse("other-database", "cross-database references are not supported", { position: name.location });
  return { relname: name.relname, inh: true, relpersistence: "t" };
}

type Kind<K extends string> = Extract<Node, { readonly [P in K]: unknown }>;

const noTags: ReadonlySet<string> = new Set();
/** What the columns' types are only the server knows. Nothing asks: such a table has no masks. */
const unknownType: Column["type"] = { sql: "", name: "", schema: "", oid: 0, modifier: -1, category: "X" };

const column = (name: string, number: number, more: Partial<Column> = {}): Column => ({
  name,
  number,
  type: unknownType,
  isNullable: true,
  generated: undefined,
  hasDefault: false,
  tags: noTags,
  ...more,
});

const tableOf = (name: string, columns: readonly Column[]): Relation => ({
  kind: "table",
  schema: temporarySchema,
  name,
  oid: 0,
  columns,
  tags: noTags,
  definition: undefined,
  parents: [],
  hasRules: false,
  hasTriggers: false,
  hasRowSecurity: false,
  constraints: [],
});

/** The statement makes `relation`, unless IF NOT EXISTS finds one. */
function made(
  b: Binder,
  node: Node,
  relation: Relation,
  how: { readonly onCommit: string | undefined; readonly isConditional: boolean; readonly output: Output | undefined },
): BoundParts {
  addUse(b, relation, "temporary", { where: undefined });
  const isThere = how.isConditional && b.sql.temporary.has(relation.name);
  const effect: SessionEffect = {
    kind: "create-temporary",
    name: relation.name,
    relation,
    isDroppedAtCommit: how.onCommit === "ONCOMMIT_DROP",
  };
  return {
    node,
    bindings: b.bindings,
    form: "temporary",
    verb: "temporary",
    output: how.output,
    query: undefined,
    effects: () => (isThere ? [] : [effect]),
    isRowReturning: false,
  };
}

/** The column names are written out, so that the table has those that the gateway will know it by. */
function bindCreateAs(b: Binder, node: Kind<"CreateTableAsStmt">): BoundParts {
  checkTree(node);
  const { query, into, if_not_exists } = node.CreateTableAsStmt;
  if (!query || !("SelectStmt" in query) || !into)
    refuse("unsupported-statement", "a temporary table is made of a query, not of EXECUTE");
  const rel = temporaryName(b, into.rel);
  const output = bindQuery(b, query.SelectStmt, { scope: undefined, ctes: undefined });
  checkPathChanges(b.bindings, []);
  if (output.isOpen) refuse("unsupported-clause", "the columns of this query can't be told: name them one by one");
  const given = stringsOf(into.colNames);
  if (given.length > output.columns.length)
    refuse("unsupported-clause", "there are more column names than columns", { position: into.rel?.location });
  const names = output.columns.map((c, i) => given[i] ?? c.name);
  const relation = tableOf(
    rel.relname ?? "",
    names.map((name, i) => column(name, i + 1)),
  );
  const bound: Node = {
    CreateTableAsStmt: {
      query,
      into: {
        rel,
        ...(names.length === 0 ? {} : { colNames: names.map(stringNode) }),
        onCommit: into.onCommit ?? "ONCOMMIT_NOOP",
        ...(into.skipData ? { skipData: true } : {}),
      },
      objtype: "OBJECT_TABLE",
      ...(if_not_exists ? { if_not_exists } : {}),
    },
  };
  return made(b, bound, relation, { onCommit: into.onCommit, isConditional: if_not_exists === true, output });
}

function bindCreate(b: Binder, node: Kind<"CreateStmt">): BoundParts {
  checkTree(node);
  const create = node.CreateStmt;
  const rel = temporaryName(b, create.relation);
  const elements = (create.tableElts ?? []).flatMap((e) =>
    "TableLikeClause" in e ? likeColumns(b, e.TableLikeClause) : [e],
  );
  const columns: Column[] = [];
  for (const e of elements)
    if ("ColumnDef" in e) {
      const constraints = constraintsOf(e.ColumnDef.constraints);
      const formula = constraints.find((c) => c.contype === "CONSTR_GENERATED")?.raw_expr;
      columns.push(
        column(e.ColumnDef.colname ?? "", columns.length + 1, {
          hasDefault: constraints.some((c) => c.contype === "CONSTR_DEFAULT" || c.contype === "CONSTR_IDENTITY"),
          ...(formula ? { generated: print(formula) } : {}),
        }),
      );
    }
  bindElements(b, elements, scopeOf(rel.relname ?? "", columns));
  const bound: CreateStmt = { ...create, relation: rel, ...(elements.length === 0 ? {} : { tableElts: elements }) };
  return made(b, { CreateStmt: bound }, tableOf(rel.relname ?? "", columns), {
    onCommit: create.oncommit,
    isConditional: create.if_not_exists === true,
    output: undefined,
  });
}

/** A check or a default reads the row that the client writes: nothing of another relation's. */
const scopeOf = (name: string, columns: readonly Column[]): Scope =>
  newScope(undefined, [
    itemOf({
      name,
      schema: undefined,
      columns: columns.map((c) => ({ name: c.name, bases: [] })),
      isOpen: false,
      use: undefined,
      isTarget: false,
    }),
  ]);

/** Pseudo-types: a column of one gets a sequence, temporary like its table. They have one name and no schema. */
const serials: ReadonlySet<string> = new Set(["serial", "serial2", "serial4", "serial8", "smallserial", "bigserial"]);

function bindElements(b: Binder, elements: readonly Node[], scope: Scope): void {
  for (const e of elements) {
    if ("Constraint" in e) bindConstraint(b, e.Constraint, scope);
    else if ("ColumnDef" in e) {
      const { typeName, collClause, constraints } = e.ColumnDef;
      const [only, ...others] = stringsOf(typeName?.names);
      if (only === undefined || others.length > 0 || !serials.has(only)) resolveType(b, typeName);
      if (collClause) resolveCollation(b.sql, collClause);
      for (const c of constraintsOf(constraints)) bindConstraint(b, c, scope);
    } else refuse("unsupported-clause", `\`${kindOf(e)}\` is not supported in a temporary table`);
  }
}

const constraintsOf = (nodes: readonly Node[] | undefined): readonly Constraint[] =>
  (nodes ?? []).flatMap((n) => ("Constraint" in n ? n.Constraint : []));

const constraintKinds: ReadonlySet<string> = new Set([
  "CONSTR_NULL",
  "CONSTR_NOTNULL",
  "CONSTR_DEFAULT",
  "CONSTR_IDENTITY",
  "CONSTR_GENERATED",
  "CONSTR_CHECK",
  "CONSTR_PRIMARY",
  "CONSTR_UNIQUE",
]);

function bindConstraint(b: Binder, c: Constraint, scope: Scope): void {
  if (!constraintKinds.has(c.contype ?? "") || c.skip_validation)
    refuse("unsupported-clause", "this constraint is not supported in a temporary table", { position: c.location });
  if (c.raw_expr && "FuncCall" in c.raw_expr && stringsOf(c.raw_expr.FuncCall.funcname).at(-1) === "nextval")
    refuse("unsupported-clause", "a default that draws from a sequence is not supported in a temporary table", {
      help: "use GENERATED ALWAYS AS IDENTITY",
    });
  bindExpression(b, c.raw_expr, { scope, ctes: undefined });
}

/** LIKE copies names, types and NOT NULL; they are written out. What INCLUDING adds would bring code of the database's own. */
function likeColumns(b: Binder, like: { relation?: RangeVar; options?: number }): readonly Node[] {
  if ((like.options ?? 0) !== 0)
    refuse("unsupported-clause", "LIKE with INCLUDING is not supported in a temporary table", {
      position: like.relation?.location,
    });
  if (!like.relation) refuse("unsupported-node", "this LIKE is not supported");
  const relation = resolveRelation(b.sql, like.relation);
  if (relation.schema === temporarySchema)
    refuse("unsupported-clause", "LIKE of a temporary table is not supported", { position: like.relation.location });
  addUse(b, relation, "select", { where: undefined });
  return relation.columns.map((c): Node => {
    const cast = generated(`CAST(NULL AS ${c.type.sql})`);
    const typeName = "TypeCast" in cast ? structuredClone(cast.TypeCast.typeName) : undefined;
    if (!typeName) refuse("unsupported-clause", `the type of \`${c.name}\` can't be written out`);
    const constraint: Node = {
      Constraint: { contype: "CONSTR_NOTNULL", is_enforced: true, initially_valid: true },
    };
    return {
      ColumnDef: { colname: c.name, typeName, is_local: true, ...(c.isNullable ? {} : { constraints: [constraint] }) },
    };
  });
}

/**
 * undefined: some permanent table is named. With IF EXISTS a name that nothing is known by is looked for among the
 * temporary ones only: the usual `DROP TABLE IF EXISTS work; CREATE TEMP TABLE work …` then needs no right to drop.
 */
function bindDrop(b: Binder, node: Kind<"DropStmt">): BoundParts | undefined {
  const drop = node.DropStmt;
  const names: string[] = [];
  for (const object of drop.objects ?? []) {
    const [name, schema, ...rest] = ("List" in object ? (object.List.items ?? []) : []).map(stringOf).reverse();
    if (name === undefined || rest.length > 0) return undefined;
    const found = isKnown(b, name, schema);
    if (found === "permanent" || (found === "unknown" && (schema !== undefined || !drop.missing_ok))) return undefined;
    names.push(name);
  }
  checkTree(node);
  for (const name of names) {
    const relation = b.sql.temporary.get(name);
    if (relation) addUse(b, relation, "temporary", { where: undefined });
  }
  const objects = names.map((name): Node => ({ List: { items: [stringNode(temporarySchema), stringNode(name)] } }));
  return {
    node: { DropStmt: { ...drop, objects } },
    bindings: b.bindings,
    form: "temporary",
    verb: "temporary",
    output: undefined,
    query: undefined,
    effects: () => [{ kind: "drop-temporary", names }],
    isRowReturning: false,
  };
}

function isKnown(b: Binder, name: string, schema: string | undefined): "temporary" | "permanent" | "unknown" {
  const { temporary, searchPath, catalog } = b.sql;
  if (schema === temporarySchema) return "temporary";
  if (schema !== undefined) return "permanent";
  if (!searchPath.includes(temporarySchema) && temporary.has(name)) return "temporary";
  for (const s of lookupPath(b.sql)) {
    if (s === temporarySchema && temporary.has(name)) return "temporary";
    if (catalog.relations.has(relationKey(s, name))) return "permanent";
  }
  return "unknown";
}

/** An index over plain columns of a temporary table. undefined: the table is a permanent one. */
function bindIndex(b: Binder, node: Kind<"IndexStmt">): BoundParts | undefined {
  const index = node.IndexStmt;
  if (!index.relation || isKnown(b, index.relation.relname ?? "", index.relation.schemaname) !== "temporary")
    return undefined;
  const isPlain = (index.indexParams ?? []).every(
    (p) => "IndexElem" in p && p.IndexElem.name !== undefined && !p.IndexElem.opclass?.length && !p.IndexElem.collation,
  );
  const methods = ["btree", "hash", "gin", "gist", "brin", "spgist"];
  if (!isPlain || index.whereClause || index.options?.length || !methods.includes(index.accessMethod ?? "btree"))
    refuse("unsupported-clause", "an index on a temporary table is supported over plain columns only");
  const relation = resolveRelation(b.sql, index.relation);
  addUse(b, relation, "temporary", { where: undefined });
  return {
    node,
    bindings: b.bindings,
    form: "definition",
    verb: "temporary",
    output: undefined,
    query: undefined,
    effects: () => [],
    isRowReturning: false,
  };
}
