// Transactions, settings, cursors, prepared statements, COPY, EXPLAIN, LOCK -> bound statement and effects.
import type { Node, VariableSetStmt } from "@pgsql/types";
import type { SqlVerb } from "../model/statement.ts";
import { addUse, type Binder } from "./bind-context.ts";
import { constantText } from "./bind-functions.ts";
import { bindCopy, bindCursor, bindExecute, bindExplain, bindFetch, bindPrepare } from "./bind-nested.ts";
import { type BoundParts, bindStatement } from "./bind-statement.ts";
import { bindDefinition, definitionKinds } from "./definitions.ts";
import { refuse } from "./fault.ts";
import { checkTree, isNodeKind, kindOf } from "./node-kinds.ts";
import { parseSql } from "./pg-parser.ts";
import { resolveRelation } from "./resolve-names.ts";
import { isReadableSetting, isSettingAllowed, settingName } from "./settings.ts";
import { bindTemporary } from "./temporary.ts";
import type { SessionEffect } from "./types.ts";

type Simple = { readonly verb: SqlVerb; readonly effects: readonly SessionEffect[]; readonly rows?: boolean };

const simple = (b: Binder, node: Node, s: Simple): BoundParts => ({
  node,
  bindings: b.bindings,
  form: "utility",
  verb: s.verb,
  output: undefined,
  query: undefined,
  effects: () => s.effects,
  isRowReturning: s.rows === true,
});

/** @throws FaultError */
export function bindUtility(b: Binder, node: Node): BoundParts {
  const temporary = bindTemporary(b, node);
  if (temporary) return temporary;
  if (definitionKinds.has(kindOf(node)) || !isNodeKind(kindOf(node))) return bindDefinition(b, node);
  checkTree(node);
  if ("TransactionStmt" in node) return simple(b, node, transaction(node.TransactionStmt));
  if ("VariableSetStmt" in node) return simple(b, node, setting(node.VariableSetStmt));
  if ("VariableShowStmt" in node) {
    const name = settingName(node.VariableShowStmt.name ?? "");
    if (name === "all") return { ...bindStatement(showAll(), b.sql), verb: "show" };
    if (!isReadableSetting(name)) refuse("setting-not-allowed", `setting \`${name}\` may not be read`);
    return simple(b, node, { verb: "show", effects: [], rows: true });
  }
  if ("DiscardStmt" in node) {
    return simple(b, node, { verb: "discard", effects: discarded[node.DiscardStmt.target ?? ""] ?? [] });
  }
  if ("DeallocateStmt" in node)
    return simple(b, node, { verb: "deallocate", effects: [{ kind: "deallocate", name: node.DeallocateStmt.name }] });
  if ("ClosePortalStmt" in node) return simple(b, node, { verb: "close", effects: [] });
  if ("LockStmt" in node) return bindLock(b, node);
  // An error at the end of a transaction that wrote to a protected relation is reduced like one of the write itself.
  if ("ConstraintsSetStmt" in node) return simple(b, node, { verb: "set", effects: [] });
  if ("FetchStmt" in node) return bindFetch(b, node);
  if ("PrepareStmt" in node) return bindPrepare(b, node);
  if ("ExecuteStmt" in node) return bindExecute(b, node);
  if ("DeclareCursorStmt" in node) return bindCursor(b, node);
  if ("ExplainStmt" in node) return bindExplain(b, node);
  if ("CopyStmt" in node) return bindCopy(b, node);
  return refuse("unsupported-statement", `\`${kindOf(node)}\` is not a statement that is supported`);
}

/** SHOW ALL, of the settings that may be read. */
function showAll(): Node {
  const parsed = parseSql(
    "SELECT name, current_setting(name, true) AS setting, short_desc AS description FROM pg_catalog.pg_settings ORDER BY name",
  );
  return (
    (parsed.ok ? parsed.value[0]?.stmt : undefined) ?? refuse("unsupported-statement", "SHOW ALL is not supported")
  );
}

const discarded: Readonly<Record<string, readonly SessionEffect[]>> = {
  DISCARD_ALL: [{ kind: "discard-all" }],
  DISCARD_TEMP: [{ kind: "drop-temporary", names: undefined }],
};

type Transaction = Extract<Node, { readonly TransactionStmt: unknown }>["TransactionStmt"];

const transactionOptions: ReadonlySet<string> = new Set([
  "transaction_isolation",
  "transaction_read_only",
  "transaction_deferrable",
]);

function checkTransactionOptions(options: readonly Node[] | undefined): void {
  for (const o of options ?? [])
    if (!("DefElem" in o) || !transactionOptions.has(o.DefElem.defname ?? ""))
      refuse("unsupported-clause", "this transaction option is not supported");
}

function transaction(t: Transaction): Simple {
  checkTransactionOptions(t.options);
  const name = t.savepoint_name ?? "";
  const chain = t.chain === true;
  switch (t.kind) {
    case "TRANS_STMT_BEGIN":
    case "TRANS_STMT_START":
      return { verb: "begin", effects: [{ kind: "begin", chain: false }] };
    case "TRANS_STMT_COMMIT":
      return { verb: "commit", effects: [{ kind: "commit", chain }] };
    case "TRANS_STMT_ROLLBACK":
      return { verb: "rollback", effects: [{ kind: "rollback", chain }] };
    case "TRANS_STMT_SAVEPOINT":
      return { verb: "savepoint", effects: [{ kind: "savepoint", name }] };
    case "TRANS_STMT_RELEASE":
      return { verb: "savepoint", effects: [{ kind: "release", name }] };
    case "TRANS_STMT_ROLLBACK_TO":
      return { verb: "rollback", effects: [{ kind: "rollback-to", name }] };
    default:
      return refuse("unsupported-statement", "two-phase commit is not supported");
  }
}

function setting(s: VariableSetStmt): Simple {
  const name = settingName(s.name ?? "");
  const isLocal = s.is_local === true;
  switch (s.kind) {
    case "VAR_SET_VALUE": {
      const value = settingValue(name, s.args ?? []);
      if (!isSettingAllowed(name, value)) refuseSetting(name, s.location);
      return { verb: "set", effects: [{ kind: "set", name, value, isLocal }] };
    }
    case "VAR_SET_DEFAULT":
    case "VAR_RESET":
      if (!isSettingAllowed(name, undefined)) refuseSetting(name, s.location);
      return {
        verb: s.kind === "VAR_RESET" ? "reset" : "set",
        effects: [{ kind: "set", name, value: undefined, isLocal }],
      };
    case "VAR_RESET_ALL":
      return { verb: "reset", effects: [{ kind: "reset-all" }] };
    case "VAR_SET_MULTI":
      if (s.name !== "TRANSACTION" && s.name !== "SESSION CHARACTERISTICS")
        refuse("unsupported-clause", `SET ${s.name ?? ""} is not supported`);
      checkTransactionOptions(s.args);
      return { verb: "set", effects: [] };
    default:
      return refuse("unsupported-clause", "this form of SET is not supported");
  }
}

function refuseSetting(name: string, at: number | undefined): never {
  refuse("setting-not-allowed", `setting \`${name}\` may not be changed`, {
    position: at !== undefined && at >= 0 ? at : undefined,
  });
}

/** The list elements of search_path are names: they are quoted as the server would print them. */
function settingValue(name: string, args: readonly Node[]): string {
  const values = args.map(
    (a) => constantText(a) ?? refuse("unsupported-clause", "this value of a setting is not supported"),
  );
  if (name !== "search_path") return values.join(", ");
  return values.map((v) => `"${v.replaceAll('"', '""')}"`).join(", ");
}

/** pg_dump takes ACCESS SHARE on what it reads; every stronger lock reaches hidden rows and other sessions. */
function bindLock(b: Binder, node: Extract<Node, { readonly LockStmt: unknown }>): BoundParts {
  if (node.LockStmt.mode !== 1) refuse("unsupported-statement", "LOCK TABLE is supported in ACCESS SHARE MODE only");
  for (const r of node.LockStmt.relations ?? []) {
    if (!("RangeVar" in r)) refuse("unsupported-node", "this LOCK is not supported");
    addUse(b, resolveRelation(b.sql, r.RangeVar), "lock", { where: undefined });
  }
  return simple(b, node, { verb: "lock", effects: [] });
}
