// statement of any supported kind -> SQL text.
import type { DefElem, Node, VariableSetStmt } from "@pgsql/types";
import { quoteIdent, quoteLiteral } from "../model/row-predicate.ts";
import { refuse } from "./fault.ts";
import { kindOf } from "./node-kinds.ts";
import { type Body, list, print, relation, spelling, typeName } from "./print.ts";
import { temporaryPrinters } from "./print-temporary.ts";
import { stringOf, stringsOf } from "./tree.ts";

const transactions: Readonly<Record<string, string>> = {
  TRANS_STMT_BEGIN: "BEGIN",
  TRANS_STMT_START: "START TRANSACTION",
  TRANS_STMT_COMMIT: "COMMIT",
  TRANS_STMT_ROLLBACK: "ROLLBACK",
  TRANS_STMT_SAVEPOINT: "SAVEPOINT",
  TRANS_STMT_RELEASE: "RELEASE SAVEPOINT",
  TRANS_STMT_ROLLBACK_TO: "ROLLBACK TO SAVEPOINT",
};

/** `ISOLATION LEVEL SERIALIZABLE, READ ONLY`: the grammar's own words, not values. */
function transactionModes(options: readonly Node[] | undefined): string {
  return (options ?? [])
    .map((o) => {
      const { defname, arg } = "DefElem" in o ? o.DefElem : ({} as DefElem);
      const isOn = arg !== undefined && "A_Const" in arg && arg.A_Const.ival?.ival === 1;
      if (defname === "transaction_read_only") return isOn ? "READ ONLY" : "READ WRITE";
      if (defname === "transaction_deferrable") return isOn ? "DEFERRABLE" : "NOT DEFERRABLE";
      if (defname !== "transaction_isolation" || !arg || !("A_Const" in arg))
        return refuse("unsupported-clause", "this transaction option is not supported");
      return `ISOLATION LEVEL ${spelling(isolation, arg.A_Const.sval?.sval)}`;
    })
    .join(", ");
}

const isolation: Readonly<Record<string, string>> = {
  serializable: "SERIALIZABLE",
  "repeatable read": "REPEATABLE READ",
  "read committed": "READ COMMITTED",
  "read uncommitted": "READ UNCOMMITTED",
};

function transaction(t: Body<"TransactionStmt">): string {
  const modes = transactionModes(t.options);
  return [
    spelling(transactions, t.kind),
    ...(t.savepoint_name === undefined ? [] : [quoteIdent(t.savepoint_name)]),
    ...(modes === "" ? [] : [modes]),
    ...(t.chain ? ["AND CHAIN"] : []),
  ].join(" ");
}

function set(s: VariableSetStmt): string {
  const local = s.is_local ? "LOCAL " : "";
  const name = (s.name ?? "").split(".").map(quoteIdent).join(".");
  switch (s.kind) {
    case "VAR_SET_VALUE":
      return `SET ${local}${name} TO ${(s.args ?? [])
        .map(print)
        .join(", ")
        .replaceAll(/\((-[\d.]+)\)/g, "$1")}`;
    case "VAR_SET_DEFAULT":
      return `SET ${local}${name} TO DEFAULT`;
    case "VAR_RESET":
      return `RESET ${name}`;
    case "VAR_RESET_ALL":
      return "RESET ALL";
    case "VAR_SET_MULTI":
      return s.name === "TRANSACTION"
        ? `SET ${local}TRANSACTION ${transactionModes(s.args)}`
        : `SET SESSION CHARACTERISTICS AS TRANSACTION ${transactionModes(s.args)}`;
    default:
      return refuse("unsupported-clause", "this form of SET is not supported");
  }
}

const discards: Readonly<Record<string, string>> = {
  DISCARD_ALL: "DISCARD ALL",
  DISCARD_PLANS: "DISCARD PLANS",
  DISCARD_SEQUENCES: "DISCARD SEQUENCES",
  DISCARD_TEMP: "DISCARD TEMP",
};

/** FETCH_ALL is LONG_MAX in PostgreSQL; JSON rounds it up. */
const FETCH_ALL = 9_223_372_036_854_775_000;

function fetch(f: Body<"FetchStmt">): string {
  const verb = f.ismove ? "MOVE" : "FETCH";
  const count = Number(f.howMany ?? 0);
  const cursor = quoteIdent(f.portalname ?? "");
  const amount = count >= FETCH_ALL ? "ALL" : String(count);
  switch (f.direction) {
    case "FETCH_FORWARD":
      return `${verb} FORWARD ${amount} FROM ${cursor}`;
    case "FETCH_BACKWARD":
      return `${verb} BACKWARD ${amount} FROM ${cursor}`;
    case "FETCH_ABSOLUTE":
      return `${verb} ABSOLUTE ${count} FROM ${cursor}`;
    case "FETCH_RELATIVE":
      return `${verb} RELATIVE ${count} FROM ${cursor}`;
    default:
      return refuse("unsupported-clause", "this FETCH is not supported");
  }
}

function declare(d: Body<"DeclareCursorStmt">): string {
  const o = d.options ?? 0;
  const words = [
    o & 1 ? " BINARY" : "",
    o & 8 ? " INSENSITIVE" : "",
    o & 16 ? " ASENSITIVE" : "",
    o & 2 ? " SCROLL" : "",
    o & 4 ? " NO SCROLL" : "",
  ].join("");
  return `DECLARE ${quoteIdent(d.portalname ?? "")}${words} CURSOR${o & 32 ? " WITH HOLD" : ""} FOR ${d.query ? print(d.query) : ""}`;
}

/** `(name value, …)` of COPY and EXPLAIN. */
function options(items: readonly Node[] | undefined): string {
  const parts = (items ?? []).map((o) => {
    if (!("DefElem" in o)) return refuse("unsupported-node", "this option is not supported");
    const { defname, arg } = o.DefElem;
    return `${quoteIdent(defname ?? "")}${arg === undefined ? "" : ` ${optionValue(arg)}`}`;
  });
  return parts.length ? ` (${parts.join(", ")})` : "";
}

function optionValue(arg: Node): string {
  const text = stringOf(arg);
  if (text !== undefined) return quoteLiteral(text);
  if ("List" in arg) return `(${(arg.List.items ?? []).map((i) => quoteIdent(stringOf(i) ?? "")).join(", ")})`;
  if ("A_Star" in arg) return "*";
  if ("Boolean" in arg) return arg.Boolean.boolval ? "true" : "false";
  if ("Integer" in arg) return String(arg.Integer.ival ?? 0);
  if ("Float" in arg) return arg.Float.fval ?? "0";
  return refuse("unsupported-clause", "this value of an option is not supported");
}

function copy(c: Body<"CopyStmt">): string {
  const columns = c.attlist?.length ? ` (${stringsOf(c.attlist).map(quoteIdent).join(", ")})` : "";
  const what = c.query ? `(${print(c.query)})` : relation(c.relation) + columns;
  return `COPY ${what} ${c.is_from ? "FROM STDIN" : "TO STDOUT"}${c.options?.length ? ` WITH${options(c.options)}` : ""}`;
}

const lockModes: Readonly<Record<string, string>> = { 1: "ACCESS SHARE" };

const printers: { readonly [kind: string]: ((body: never) => string) | undefined } = {
  TransactionStmt: transaction,
  VariableSetStmt: set,
  VariableShowStmt: (s: Body<"VariableShowStmt">) => `SHOW ${(s.name ?? "").split(".").map(quoteIdent).join(".")}`,
  DiscardStmt: (d: Body<"DiscardStmt">) => spelling(discards, d.target),
  DeallocateStmt: (d: Body<"DeallocateStmt">) => `DEALLOCATE ${d.isall ? "ALL" : quoteIdent(d.name ?? "")}`,
  ClosePortalStmt: (c: Body<"ClosePortalStmt">) =>
    `CLOSE ${c.portalname === undefined ? "ALL" : quoteIdent(c.portalname)}`,
  FetchStmt: fetch,
  DeclareCursorStmt: declare,
  PrepareStmt: (p: Body<"PrepareStmt">) =>
    `PREPARE ${quoteIdent(p.name ?? "")}${p.argtypes?.length ? ` (${p.argtypes.map((t) => ("TypeName" in t ? typeName(t.TypeName) : "")).join(", ")})` : ""} AS ${p.query ? print(p.query) : ""}`,
  ExplainStmt: (e: Body<"ExplainStmt">) => `EXPLAIN${options(e.options)} ${e.query ? print(e.query) : ""}`,
  CopyStmt: copy,
  LockStmt: (l: Body<"LockStmt">) =>
    `LOCK TABLE ${list(l.relations)} IN ${spelling(lockModes, String(l.mode))} MODE${l.nowait ? " NOWAIT" : ""}`,
  ConstraintsSetStmt: (c: Body<"ConstraintsSetStmt">) =>
    `SET CONSTRAINTS ${c.constraints?.length ? list(c.constraints) : "ALL"} ${c.deferred ? "DEFERRED" : "IMMEDIATE"}`,
  ...temporaryPrinters,
};

/** @throws FaultError `unsupported-node` */
export function printStatement(node: Node): string {
  const kind = kindOf(node);
  const printer = printers[kind];
  if (!printer) return print(node);
  // SAFETY: the table's rows are typed by their kind; a lookup by a computed kind can't show it.
  return (printer as (body: unknown) => string)((node as unknown as Record<string, unknown>)[kind]);
}
