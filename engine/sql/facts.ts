// bindings -> facts that policies read.
import type { Node, SelectStmt } from "@pgsql/types";
import type { Json } from "../lib/json.ts";
import { type Fact, Unknown } from "../lib/truth.ts";
import type { Relation } from "../model/catalog.ts";
import { type ColumnRef, kindOfVerb, type SqlAccess, type SqlFacts, type SqlVerb } from "../model/statement.ts";
import { isAlwaysTrue } from "./always-true.ts";
import { keyOf } from "./bind-context.ts";
import type { Output } from "./bind-query.ts";
import type { Bindings, RelationUse } from "./bindings.ts";
import { temporarySchema } from "./settings.ts";
import { isSystemSchema } from "./system-catalog.ts";

export type StatementSummary = {
  readonly verb: SqlVerb;
  readonly bindings: Bindings;
  readonly output: Output | undefined;
  /** The query whose LIMIT counts. */
  readonly query: SelectStmt | undefined;
  /** Has an access of its own verb, whatever else it reads. */
  readonly isDefinition: boolean;
  readonly statements: number;
  readonly text: string;
  readonly fingerprint: string;
  /** Its parameters' values, where they are known already. */
  readonly values: Fact<Json>;
};

const writes: ReadonlySet<SqlVerb> = new Set(["insert", "update", "delete", "merge", "truncate"]);

export function factsOf(s: StatementSummary): SqlFacts {
  const uses = s.bindings.uses.filter(isReported);
  const accesses = withSettings(accessesOf(uses, s.verb, s.isDefinition), s);
  const reads = uses.filter((u) => u.verb === "select" && u.implied === undefined);
  const written = uses.filter((u) => writes.has(u.verb) && u.implied === undefined);
  return {
    accesses,
    verb: s.verb,
    statements: s.statements,
    tables: relations(uses.filter((u) => u.implied === undefined)),
    readTables: relations(reads),
    writeTables: relations(written),
    columnsRead: columns(reads),
    columnsWritten: columns(written),
    columnsReturned: unique([...returned(s.output), ...(written.some(isTemporary) ? columns(reads) : [])]),
    functions: s.bindings.functions,
    hasLimit: limitNode(s.query) !== undefined,
    limit: limitOf(s.query),
    joins: s.bindings.joins,
    parameters: s.values,
    estimatedRows: new Unknown("the planner was not asked"),
    text: s.text,
    fingerprint: s.fingerprint,
  };
}

/** What is written into a temporary table is as good as returned: its session reads it from there. */
const isTemporary = (use: RelationUse): boolean => use.relation.schema === temporarySchema;

const unique = (refs: readonly ColumnRef[]): readonly ColumnRef[] =>
  refs.filter((r, i) => refs.findIndex((x) => x.relation === r.relation && x.column === r.column) === i);

/** A target that isn't read isn't a read. */
const isReported = (use: RelationUse): boolean => !(isTargetRead(use) && use.columns.size === 0);

const targetReads = new WeakSet<RelationUse>();
/** Marks the read side of a write's target: without columns it stands for nothing. */
export function markTargetReads(bindings: Bindings): void {
  for (const target of bindings.targets.values()) targetReads.add(target.read);
}
const isTargetRead = (use: RelationUse): boolean => targetReads.has(use);

/** One access per use; uses that say the same are one. No relation at all: the statement's verb on nothing. */
function accessesOf(uses: readonly RelationUse[], verb: SqlVerb, isDefinition: boolean): readonly SqlAccess[] {
  const merged = new Map<string, SqlAccess>();
  const judged = new Map<Node, Fact<boolean>>();
  for (const use of uses) {
    const access = accessOf(use, judged);
    const key = [
      use.verb,
      keyOf(use.relation),
      String(access.hasWhere),
      String(access.whereAlwaysTrue),
      use.implied ?? "",
      ...use.via,
    ].join("\n");
    const before = merged.get(key);
    merged.set(
      key,
      before ? { ...access, columns: sorted(use.relation, [...before.columns, ...access.columns]) } : access,
    );
  }
  const found = [...merged.values()];
  if (isDefinition ? found.some((a) => a.verb === verb) : found.length > 0) return found;
  return [...found, bareAccess(verb)];
}

/** The verb on nothing. */
const bareAccess = (verb: SqlVerb): SqlAccess => ({
  verb,
  kind: kindOfVerb[verb],
  relation: undefined,
  columns: [],
  hasWhere: false,
  whereAlwaysTrue: true,
  via: [],
});

/** `set_config` is SET in the clothes of a query, SHOW ALL a query in those of SHOW: whoever may not, may not either way. */
const withSettings = (accesses: readonly SqlAccess[], s: StatementSummary): readonly SqlAccess[] =>
  s.verb === "show" && !accesses.some((a) => a.verb === "show")
    ? [...accesses, bareAccess("show")]
    : s.bindings.functions.has("set_config") && s.verb !== "set"
      ? [...accesses, bareAccess("set")]
      : accesses;

/** `judged`: conditions that were looked at already; all relations of one FROM share theirs. */
function accessOf(use: RelationUse, judged: Map<Node, Fact<boolean>>): SqlAccess {
  const { where } = use.place;
  let whereAlwaysTrue = where && judged.get(where);
  if (whereAlwaysTrue === undefined) {
    whereAlwaysTrue = isAlwaysTrue(where);
    if (where) judged.set(where, whereAlwaysTrue);
  }
  const access = {
    verb: use.verb,
    kind: kindOfVerb[use.verb],
    relation: use.relation,
    columns: sorted(use.relation, [...use.columns]),
    hasWhere: where !== undefined,
    whereAlwaysTrue,
    via: use.via,
  };
  return use.implied === undefined ? access : { ...access, implied: use.implied };
}

/** In the relation's own order, each once. */
function sorted(relation: Relation, names: readonly string[]): readonly string[] {
  const wanted = new Set(names);
  return relation.columns.map((c) => c.name).filter((n) => wanted.has(n));
}

const relations = (uses: readonly RelationUse[]): readonly Relation[] => [
  ...new Map(uses.map((u) => [keyOf(u.relation), u.relation])).values(),
];

function columns(uses: readonly RelationUse[]): readonly ColumnRef[] {
  return relations(uses).flatMap((relation) => {
    const names = uses.filter((u) => u.relation === relation).flatMap((u) => [...u.columns]);
    return sorted(relation, names).map((column) => ({ relation, column }));
  });
}

function returned(output: Output | undefined): readonly ColumnRef[] {
  const found = new Map<string, ColumnRef>();
  for (const column of output?.columns ?? [])
    for (const base of column.bases)
      if (!isSystemSchema(base.use.relation.schema) && base.use.implied === undefined)
        found.set(`${keyOf(base.use.relation)} ${base.column}`, { relation: base.use.relation, column: base.column });
  return [...found.values()];
}

function limitNode(query: SelectStmt | undefined): Node | undefined {
  const node = query?.limitCount;
  return node && "A_Const" in node && node.A_Const.isnull ? undefined : node;
}

function limitOf(query: SelectStmt | undefined): SqlFacts["limit"] {
  const node = limitNode(query);
  if (!node) return undefined;
  // `ORDER BY id IS NULL FETCH FIRST 1 ROW WITH TIES` gives every row.
  if (query?.limitOption === "LIMIT_OPTION_WITH_TIES") return new Unknown("rows that tie come beside the limit");
  if ("A_Const" in node && node.A_Const.ival) return node.A_Const.ival.ival ?? 0;
  return new Unknown("the limit is not a constant");
}
