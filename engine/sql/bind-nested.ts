// Statements around a statement: PREPARE, EXECUTE, DECLARE, EXPLAIN, COPY.
import type { Node, RangeVar, SelectStmt } from "@pgsql/types";
import { addUse, type Binder, keyOf } from "./bind-context.ts";
import { bindExpression } from "./bind-expression.ts";
import { constantText } from "./bind-functions.ts";
import type { BoundParts } from "./bind-statement.ts";
import { bindStatement, checkPathChanges } from "./bind-statement.ts";
import { factsOf, markTargetReads } from "./facts.ts";
import { type FaultDetails, FaultError, refuse } from "./fault.ts";
import { kindOf } from "./node-kinds.ts";
import { notBound } from "./parameters.ts";
import { fingerprintSql, parseSql, textBehindAs } from "./pg-parser.ts";
import { resolveRelation, resolveType } from "./resolve-names.ts";
import { isBoundStatement } from "./statement.ts";
import { isSystemSchema } from "./system-catalog.ts";
import { mapTree, sameTree, stringNode, stringOf, stringsOf } from "./tree.ts";
import type { AnalyzedStatement } from "./types.ts";

const dataStatements: ReadonlySet<string> = new Set([
  "SelectStmt",
  "InsertStmt",
  "UpdateStmt",
  "DeleteStmt",
  "MergeStmt",
]);

function bindInner(b: Binder, query: Node | undefined, around: string): BoundParts {
  if (!query || !dataStatements.has(kindOf(query)))
    refuse("unsupported-statement", `${around} of this statement is not supported`);
  const inner = bindStatement(query, b.sql);
  checkPathChanges(inner.bindings, []);
  return inner;
}

const around = (inner: BoundParts, node: Node, form: BoundParts["form"]): BoundParts => ({
  ...inner,
  node,
  form,
  effects: () => [],
});

type Kind<K extends string> = Extract<Node, { readonly [P in K]: unknown }>;

/**
 * EXECUTE analyses the client's own words again: under the names of its own moment, as PostgreSQL does where search_path or
 * a relation has changed since PREPARE (sql-prepare.html, Notes).
 */
export function bindPrepare(b: Binder, node: Kind<"PrepareStmt">): BoundParts {
  const types = (node.PrepareStmt.argtypes ?? []).flatMap((t) => ("TypeName" in t ? t.TypeName : []));
  for (const t of types) resolveType(b, t);
  const asWritten = structuredClone(node.PrepareStmt.query);
  const inner = bindInner(b, node.PrepareStmt.query, "PREPARE");
  const name = node.PrepareStmt.name ?? "";
  const prepared = (whole: string): AnalyzedStatement => {
    markTargetReads(inner.bindings);
    const text = textBehindAs(whole) ?? "";
    const again = parseSql(text);
    if (!again.ok || again.value.length !== 1 || !sameTree(again.value[0]?.stmt, asWritten))
      refuse("rewrite-mismatch", "the statement inside of this PREPARE can't be told from it");
    const fingerprint = fingerprintSql(text);
    return {
      facts: factsOf({
        verb: inner.verb,
        bindings: inner.bindings,
        output: inner.output,
        query: inner.query,
        isDefinition: false,
        statements: 1,
        values: notBound,
        text,
        fingerprint: fingerprint.ok ? fingerprint.value : refuse("parser-failed", "the statement has no fingerprint"),
      }),
      effects: [],
      tree: { node: inner.node, bindings: inner.bindings, form: inner.form, parameterTypes: types },
      catalogVersion: b.sql.catalog.version,
      isRowReturning: inner.isRowReturning,
      isEmpty: false,
    };
  };
  return {
    ...around(inner, node, "prepare"),
    isRowReturning: false,
    effects: (whole) => [{ kind: "prepare", name, statement: prepared(whole) }],
  };
}

/** The prepared statement is decided, rewritten and sent anew, with constants in place of its parameters. */
export function bindExecute(b: Binder, node: Kind<"ExecuteStmt">): BoundParts {
  const name = node.ExecuteStmt.name ?? "";
  const prepared = b.sql.prepared?.get(name);
  if (!prepared || !isBoundStatement(prepared.tree))
    refuse("unknown-prepared-statement", `prepared statement \`${name}\` does not exist`);
  const inner = boundAgain(b, prepared);
  const types = prepared.tree.parameterTypes ?? [];
  const parameters = (node.ExecuteStmt.params ?? []).map((p, i): Node => {
    if (constantText(p) === undefined && !isNull(p))
      refuse("unsupported-clause", "EXECUTE is supported with constants as its arguments only");
    bindExpression(b, p, { scope: undefined, ctes: undefined });
    const type = types[i];
    return type ? { TypeCast: { arg: p, typeName: type } } : p;
  });
  if (parameters.length > Math.max(types.length, highestParameter(inner.node)))
    refuse("unsupported-clause", "EXECUTE has more arguments than the prepared statement has parameters");
  return { ...inner, verb: "execute", effects: () => [], parameters };
}

function highestParameter(node: Node): number {
  let highest = 0;
  mapTree(node, (value) => {
    if ("ParamRef" in value)
      highest = Math.max(highest, (value as Extract<Node, { ParamRef: unknown }>).ParamRef.number ?? 0);
    return undefined;
  });
  return highest;
}

const isNull = (node: Node): boolean =>
  "TypeCast" in node
    ? node.TypeCast.arg !== undefined && isNull(node.TypeCast.arg)
    : "A_Const" in node && node.A_Const.isnull === true;

function boundAgain(b: Binder, prepared: AnalyzedStatement): BoundParts {
  const parsed = parseSql(prepared.facts.text);
  const [statement] = parsed.ok ? parsed.value : [];
  if (!statement?.stmt) refuse("unknown-prepared-statement", "the prepared statement can't be analysed again");
  try {
    return bindStatement(statement.stmt, b.sql);
  } catch (error) {
    // Its places are those of the text that was prepared, not of this EXECUTE.
    if (error instanceof FaultError) throw new FaultError(error.fault.code, error.fault.message, helpOf(error));
    throw error;
  }
}

const helpOf = ({ fault }: FaultError): FaultDetails => (fault.help === undefined ? {} : { help: fault.help });

/** CURSOR_OPT_BINARY 1, SCROLL 2, NO SCROLL 4, INSENSITIVE 8, ASENSITIVE 16, HOLD 32 */
export function bindCursor(b: Binder, node: Kind<"DeclareCursorStmt">): BoundParts {
  const query = node.DeclareCursorStmt.query;
  if (!query || !("SelectStmt" in query)) refuse("unsupported-statement", "a cursor needs a query");
  const inner = bindInner(b, query, "DECLARE");
  return { ...around(inner, node, "cursor"), verb: "declare", isRowReturning: false };
}

export function bindFetch(b: Binder, node: Kind<"FetchStmt">): BoundParts {
  return {
    node,
    bindings: b.bindings,
    form: "utility",
    verb: node.FetchStmt.ismove ? "fetch" : "fetch",
    output: undefined,
    query: undefined,
    effects: () => [],
    isRowReturning: node.FetchStmt.ismove !== true,
  };
}

const explainOptions: ReadonlySet<string> = new Set([
  "verbose",
  "costs",
  "format",
  "settings",
  "summary",
  "generic_plan",
  "memory",
  "serialize",
  "timing",
  "buffers",
  "wal",
  "analyze",
]);

export function bindExplain(b: Binder, node: Kind<"ExplainStmt">): BoundParts {
  for (const o of node.ExplainStmt.options ?? []) {
    const name = "DefElem" in o ? (o.DefElem.defname ?? "") : "";
    const arg = "DefElem" in o ? o.DefElem.arg : undefined;
    if (name === "analyze" && !isOff(arg))
      refuse(
        "unsupported-clause",
        "EXPLAIN ANALYZE is not supported: it runs the statement and tells times, rows and buffers",
      );
    if (!explainOptions.has(name)) refuse("unsupported-clause", `EXPLAIN option \`${name}\` is not supported`);
  }
  const inner = bindInner(b, node.ExplainStmt.query, "EXPLAIN");
  return { ...around(inner, node, "explain"), output: undefined, query: undefined, isRowReturning: false };
}

const isOff = (arg: Node | undefined): boolean =>
  arg !== undefined &&
  ["false", "off", "0"].includes(stringOf(arg) ?? ("Boolean" in arg && !arg.Boolean.boolval ? "off" : ""));

const copyOptions: ReadonlySet<string> = new Set([
  "format",
  "header",
  "delimiter",
  "null",
  "quote",
  "escape",
  "force_quote",
  "encoding",
  "default",
]);

/** COPY t TO STDOUT is a query over t; COPY t FROM STDIN an insert. Files and programs are refused. */
export function bindCopy(b: Binder, node: Kind<"CopyStmt">): BoundParts {
  const copy = node.CopyStmt;
  for (const o of copy.options ?? []) {
    const name = "DefElem" in o ? (o.DefElem.defname ?? "") : "";
    if (!copyOptions.has(name)) refuse("unsupported-clause", `COPY option \`${name}\` is not supported`);
    if ("DefElem" in o && name === "encoding") refuse("unsupported-clause", "COPY option `encoding` is not supported");
  }
  if (copy.is_from) return bindCopyIn(b, node);
  if (copy.query) {
    const inner = bindInner(b, copy.query, "COPY");
    if (!("SelectStmt" in copy.query))
      refuse("unsupported-statement", "COPY of a statement that writes is not supported");
    return { ...around(inner, node, "copy-out"), verb: "copy", isRowReturning: false };
  }
  const query = tableQuery(b, node);
  const inner = bindStatement({ SelectStmt: query }, b.sql);
  return {
    ...around(
      inner,
      { CopyStmt: { query: { SelectStmt: query }, ...(copy.options ? { options: copy.options } : {}) } },
      "copy-out",
    ),
    verb: "copy",
    isRowReturning: false,
  };
}

function tableQuery(b: Binder, node: Kind<"CopyStmt">): SelectStmt {
  const name = node.CopyStmt.relation ?? refuse("unsupported-node", "this COPY is not supported");
  const relation = resolveRelation(b.sql, name);
  const listed = stringsOf(node.CopyStmt.attlist);
  // COPY leaves generated columns out unless they are named.
  const columns =
    listed.length > 0 ? listed : relation.columns.filter((c) => c.generated === undefined).map((c) => c.name);
  return {
    targetList: columns.map((c) => ({ ResTarget: { val: { ColumnRef: { fields: [stringNode(c)] } } } })),
    fromClause: [{ RangeVar: relation.kind === "table" ? withoutInheritance(name) : { ...name, inh: true } }],
    limitOption: "LIMIT_OPTION_DEFAULT",
    op: "SETOP_NONE",
  };
}

/** COPY of a table leaves its children's rows out. The parser writes no `inh` for ONLY. */
function withoutInheritance(name: RangeVar): RangeVar {
  const { inh: _inh, ...rest } = name;
  return rest;
}

function bindCopyIn(b: Binder, node: Kind<"CopyStmt">): BoundParts {
  const copy = node.CopyStmt;
  const name = copy.relation ?? refuse("unsupported-node", "this COPY is not supported");
  const relation = resolveRelation(b.sql, name);
  if (isSystemSchema(relation.schema))
    refuse("catalog-not-allowed", `writing to \`${keyOf(relation)}\` is not allowed`);
  if (relation.kind !== "table" && relation.kind !== "partitioned-table")
    refuse("relation-not-supported", `writing to \`${keyOf(relation)}\`, a ${relation.kind}, is not supported`);
  if (relation.hasRules)
    refuse("rules-not-supported", `\`${keyOf(relation)}\` has rewrite rules; writing to it is not supported`);
  if (copy.whereClause) refuse("unsupported-clause", "COPY FROM with WHERE is not supported");
  const listed = stringsOf(copy.attlist);
  const names = relation.columns.filter((c) => c.generated === undefined).map((c) => c.name);
  const write = addUse(b, relation, "insert", { where: undefined });
  for (const c of listed.length > 0 ? listed : names) {
    if (!names.includes(c)) refuse("unknown-column", `column \`${c}\` of \`${keyOf(relation)}\` does not exist`);
    write.columns.add(c);
  }
  b.bindings.targets.set(name, {
    relation,
    verb: "insert",
    write,
    read: addUse(b, relation, "select", { where: undefined }),
  });
  return {
    node: { CopyStmt: { ...copy, attlist: [...write.columns].map(stringNode) } },
    bindings: b.bindings,
    form: "copy-in",
    verb: "copy",
    output: undefined,
    query: undefined,
    effects: () => [],
    isRowReturning: false,
  };
}
