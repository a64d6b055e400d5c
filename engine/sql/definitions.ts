// DDL, roles, maintenance, procedural code -> verb and relations, so that a policy can decide. These statements change what
// others mean, or run code: what they do beyond the relations that they name is the risk of the policy that allows them.
import type { Node, RangeVar } from "@pgsql/types";
import type { Relation } from "../model/catalog.ts";
import type { SqlVerb } from "../model/statement.ts";
import { addUse, type Binder, touch } from "./bind-context.ts";
import { bindFrom } from "./bind-from.ts";
import type { BoundParts } from "./bind-statement.ts";
import { FaultError, refuse } from "./fault.ts";
import { kindOf } from "./node-kinds.ts";
import { resolveRelation } from "./resolve-names.ts";
import { newScope } from "./scope.ts";
import { temporarySchema } from "./settings.ts";
import { stringOf } from "./tree.ts";

const verbsOf: Readonly<Record<string, SqlVerb>> = {
  ...verb(
    "create",
    "CreateStmt CreateTableAsStmt ViewStmt IndexStmt CreateSchemaStmt CreateSeqStmt CreateFunctionStmt CreateTrigStmt CreateExtensionStmt CreateDomainStmt CreateEnumStmt CompositeTypeStmt CreateRangeStmt DefineStmt RuleStmt CreatePolicyStmt CreateStatsStmt CreateForeignTableStmt CreateFdwStmt CreateForeignServerStmt CreateUserMappingStmt CreatedbStmt CreateTableSpaceStmt CreatePublicationStmt CreateSubscriptionStmt CreateCastStmt CreateOpClassStmt CreateOpFamilyStmt CreateConversionStmt CreateTransformStmt CreateEventTrigStmt CreatePLangStmt CreateAmStmt ImportForeignSchemaStmt",
  ),
  ...verb(
    "alter",
    "AlterTableStmt AlterDomainStmt AlterEnumStmt AlterTypeStmt AlterFunctionStmt AlterSeqStmt AlterOwnerStmt AlterObjectSchemaStmt AlterObjectDependsStmt AlterOperatorStmt AlterOpFamilyStmt AlterCollationStmt AlterExtensionStmt AlterExtensionContentsStmt AlterFdwStmt AlterForeignServerStmt AlterUserMappingStmt AlterPolicyStmt AlterEventTrigStmt AlterStatsStmt AlterDatabaseStmt AlterDatabaseSetStmt AlterDatabaseRefreshCollStmt AlterSystemStmt AlterTableSpaceOptionsStmt AlterTableMoveAllStmt AlterPublicationStmt AlterSubscriptionStmt AlterTSDictionaryStmt AlterTSConfigurationStmt RenameStmt",
  ),
  ...verb("drop", "DropStmt DropdbStmt DropTableSpaceStmt DropOwnedStmt DropSubscriptionStmt DropUserMappingStmt"),
  ...verb("truncate", "TruncateStmt"),
  ...verb("comment", "CommentStmt SecLabelStmt"),
  ...verb("refresh", "RefreshMatViewStmt"),
  ...verb("reindex", "ReindexStmt"),
  ...verb("cluster", "ClusterStmt"),
  ...verb("vacuum", "VacuumStmt"),
  ...verb("grant", "GrantStmt GrantRoleStmt AlterDefaultPrivilegesStmt"),
  ...verb("role", "CreateRoleStmt AlterRoleStmt AlterRoleSetStmt DropRoleStmt ReassignOwnedStmt"),
  ...verb("listen", "ListenStmt"),
  ...verb("notify", "NotifyStmt"),
  ...verb("unlisten", "UnlistenStmt"),
  ...verb("call", "CallStmt"),
  ...verb("do", "DoStmt"),
  ...verb("load", "LoadStmt"),
  ...verb("checkpoint", "CheckPointStmt"),
};

function verb(name: SqlVerb, kinds: string): Readonly<Record<string, SqlVerb>> {
  return Object.fromEntries(kinds.split(" ").map((kind) => [kind, name]));
}

export const definitionKinds: ReadonlyMap<string, SqlVerb> = new Map(Object.entries(verbsOf));

/** @throws FaultError `unsupported-statement` */
export function bindDefinition(b: Binder, node: Node): BoundParts {
  const kind = kindOf(node);
  const named = definitionKinds.get(kind);
  if (named === undefined) refuse("unsupported-statement", `statements of kind \`${kind}\` are not supported`);
  const what = refinedVerb(node, named);
  const targets = targetsOf(node);
  const targetNames = new Set(targets.map((t) => t.range).filter((r) => r !== undefined));
  for (const target of targets) {
    const relation = target.range ? known(b, target.range) : known(b, rangeOf(target.path));
    if (relation) addUse(b, relation, what, { where: undefined });
  }
  refuseTemporary(b, node);
  for (const range of rangesIn(node)) {
    if (targetNames.has(range)) continue;
    if (!known(b, range)) continue;
    const scope = newScope(undefined, []);
    bindFrom(b, [{ RangeVar: { ...range } }], { scope: undefined, ctes: undefined }, { where: undefined }, scope);
    for (const column of scope.columns) touch(b, column);
  }
  return {
    node,
    bindings: b.bindings,
    form: "definition",
    verb: what,
    output: undefined,
    query: undefined,
    effects: () => [{ kind: "catalog-changed" }],
    isRowReturning: false,
  };
}

function refinedVerb(node: Node, named: SqlVerb): SqlVerb {
  if ("VacuumStmt" in node) return node.VacuumStmt.is_vacuumcmd ? "vacuum" : "analyze";
  if ("GrantStmt" in node) return node.GrantStmt.is_grant ? "grant" : "revoke";
  if ("GrantRoleStmt" in node) return node.GrantRoleStmt.is_grant ? "grant" : "revoke";
  return named;
}

/** May act on a temporary table: they leave its name and columns as they are. */
const mayBeTemporary: ReadonlySet<string> = new Set(["TruncateStmt", "VacuumStmt"]);

/** The names of a session must be those that the gateway follows. */
function refuseTemporary(b: Binder, node: Node): void {
  const kind = kindOf(node);
  const makes = verbsOf[kind] === "create";
  const ranges = rangesIn(node);
  const isMade = ranges.some((r) => r.relpersistence === "t" || (makes && r.schemaname === temporarySchema));
  const isFirst = makes && b.sql.searchPath[0] === temporarySchema;
  if (isMade || isFirst)
    refuse("unsupported-statement", "of all that is temporary, only tables are supported", {
      help: "use CREATE TEMPORARY TABLE",
    });
  if (mayBeTemporary.has(kind)) {
    // Written out: should the table be gone, the permanent one of that name must not take its place.
    for (const r of ranges) if (known(b, r)?.schema === temporarySchema) r.schemaname = temporarySchema;
    return;
  }
  const reached = [...b.bindings.uses.map((u) => u.relation), ...ranges.flatMap((r) => known(b, r) ?? [])];
  const temporary = reached.find((r) => r.schema === temporarySchema);
  if (temporary)
    refuse(
      "unsupported-statement",
      `\`${temporary.name}\` is a temporary table: this statement is not supported for it`,
    );
}

/** A copy, so that resolving doesn't write into a tree that is printed as the client wrote it. */
function known(b: Binder, range: RangeVar): Relation | undefined {
  try {
    return resolveRelation(b.sql, { ...range });
  } catch (error) {
    if (error instanceof FaultError && error.fault.code === "unknown-relation") return undefined;
    throw error;
  }
}

type Target = { readonly range: RangeVar | undefined; readonly path: readonly string[] };

const rangeOf = (path: readonly string[]): RangeVar => {
  const [name, schema] = [...path].reverse();
  return { relname: name ?? "", ...(schema === undefined ? {} : { schemaname: schema }), inh: true };
};

/** What the statement acts upon: its relation, or the names that DROP and COMMENT carry as lists. */
function targetsOf(node: Node): readonly Target[] {
  const body: object = Object.values(node)[0] ?? {};
  const direct = ["relation", "view", "sequence"].flatMap((key) => {
    const value: unknown = (body as Record<string, unknown>)[key];
    return isRange(value) ? [{ range: value, path: [] }] : [];
  });
  if ("TruncateStmt" in node) return ranges(node.TruncateStmt.relations);
  if ("GrantStmt" in node) return ranges(node.GrantStmt.objects);
  if ("VacuumStmt" in node)
    return (node.VacuumStmt.rels ?? []).flatMap((r) =>
      "VacuumRelation" in r && r.VacuumRelation.relation ? [{ range: r.VacuumRelation.relation, path: [] }] : [],
    );
  if ("DropStmt" in node)
    return droppedRelations.has(node.DropStmt.removeType ?? "") ? lists(node.DropStmt.objects) : [];
  if ("CommentStmt" in node && commentedRelations.has(node.CommentStmt.objtype ?? "")) {
    const [target] = lists(node.CommentStmt.object ? [node.CommentStmt.object] : []);
    if (!target) return direct;
    return [{ ...target, path: node.CommentStmt.objtype === "OBJECT_COLUMN" ? target.path.slice(0, -1) : target.path }];
  }
  return direct;
}

const droppedRelations: ReadonlySet<string> = new Set([
  "OBJECT_TABLE",
  "OBJECT_VIEW",
  "OBJECT_MATVIEW",
  "OBJECT_SEQUENCE",
  "OBJECT_FOREIGN_TABLE",
]);
const commentedRelations: ReadonlySet<string> = new Set([...droppedRelations, "OBJECT_COLUMN"]);

const ranges = (nodes: readonly Node[] | undefined): readonly Target[] =>
  (nodes ?? []).flatMap((n) => ("RangeVar" in n ? [{ range: n.RangeVar, path: [] }] : []));

const lists = (nodes: readonly Node[] | undefined): readonly Target[] =>
  (nodes ?? []).flatMap((n) =>
    "List" in n ? [{ range: undefined, path: (n.List.items ?? []).flatMap((i) => stringOf(i) ?? []) }] : [],
  );

const isRange = (value: unknown): value is RangeVar =>
  typeof value === "object" && value !== null && "relname" in value && typeof value.relname === "string";

function rangesIn(value: unknown): RangeVar[] {
  if (typeof value !== "object" || value === null) return [];
  if (Array.isArray(value)) return value.flatMap(rangesIn);
  return isRange(value) ? [value] : Object.values(value).flatMap(rangesIn);
}
