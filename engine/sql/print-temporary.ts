// CREATE TEMPORARY TABLE (AS), DROP TABLE of one -> SQL text.
import type { Node } from "@pgsql/types";
import { quoteIdent } from "../model/row-predicate.ts";
import { refuse } from "./fault.ts";
import { type Body, print, spelling } from "./print.ts";
import { stringOf, stringsOf } from "./tree.ts";

const onCommit: Readonly<Record<string, string>> = {
  ONCOMMIT_NOOP: "",
  ONCOMMIT_PRESERVE_ROWS: " ON COMMIT PRESERVE ROWS",
  ONCOMMIT_DELETE_ROWS: " ON COMMIT DELETE ROWS",
  ONCOMMIT_DROP: " ON COMMIT DROP",
};

const head = (name: string | undefined, isConditional: boolean | undefined): string =>
  `CREATE TEMPORARY TABLE ${isConditional ? "IF NOT EXISTS " : ""}${quoteIdent(name ?? "")}`;

const nameList = (nodes: readonly Node[] | undefined): string => stringsOf(nodes).map(quoteIdent).join(", ");

function create(c: Body<"CreateStmt">): string {
  const elements = (c.tableElts ?? []).map((e) => ("Constraint" in e ? constraint(e.Constraint) : element(e)));
  return `${head(c.relation?.relname, c.if_not_exists)} (${elements.join(", ")})${spelling(onCommit, c.oncommit)}`;
}

function element(node: Node): string {
  if (!("ColumnDef" in node)) return refuse("unsupported-node", "this part of a table is not supported");
  const constraints = (node.ColumnDef.constraints ?? []).map((c) =>
    "Constraint" in c ? ` ${constraint(c.Constraint)}` : "",
  );
  return print(node) + constraints.join("");
}

const generatedWhen: Readonly<Record<string, string>> = { a: "ALWAYS", d: "BY DEFAULT" };
const generatedKinds: Readonly<Record<string, string>> = { s: "STORED", v: "VIRTUAL" };

function constraint(c: Body<"Constraint">): string {
  const name = c.conname === undefined ? "" : `CONSTRAINT ${quoteIdent(c.conname)} `;
  return name + constraintBody(c) + (c.deferrable ? " DEFERRABLE" : "") + (c.initdeferred ? " INITIALLY DEFERRED" : "");
}

function constraintBody(c: Body<"Constraint">): string {
  const keys = c.keys?.length ? ` (${nameList(c.keys)})` : "";
  const formula = c.raw_expr ? print(c.raw_expr) : "";
  switch (c.contype) {
    case "CONSTR_NULL":
      return "NULL";
    case "CONSTR_NOTNULL":
      return keys === "" ? "NOT NULL" : `NOT NULL ${nameList(c.keys)}`;
    case "CONSTR_DEFAULT":
      return `DEFAULT ${formula}`;
    case "CONSTR_CHECK":
      return `CHECK (${formula})${c.is_no_inherit ? " NO INHERIT" : ""}`;
    case "CONSTR_PRIMARY":
      return `PRIMARY KEY${keys}`;
    case "CONSTR_UNIQUE":
      return `UNIQUE${c.nulls_not_distinct ? " NULLS NOT DISTINCT" : ""}${keys}`;
    case "CONSTR_IDENTITY":
      return `GENERATED ${spelling(generatedWhen, c.generated_when)} AS IDENTITY`;
    case "CONSTR_GENERATED":
      return `GENERATED ALWAYS AS (${formula}) ${spelling(generatedKinds, c.generated_kind)}`;
    default:
      return refuse("unsupported-clause", "this constraint is not supported");
  }
}

function createAs(c: Body<"CreateTableAsStmt">): string {
  const { into, query } = c;
  const columns = into?.colNames?.length ? ` (${nameList(into.colNames)})` : "";
  const body = query ? print(query) : "";
  return `${head(into?.rel?.relname, c.if_not_exists)}${columns}${spelling(onCommit, into?.onCommit)} AS (${body})${into?.skipData ? " WITH NO DATA" : ""}`;
}

function drop(d: Body<"DropStmt">): string {
  const names = (d.objects ?? []).map((o) =>
    ("List" in o ? (o.List.items ?? []) : []).map((i) => quoteIdent(stringOf(i) ?? "")).join("."),
  );
  return `DROP TABLE ${d.missing_ok ? "IF EXISTS " : ""}${names.join(", ")}${spelling({ DROP_RESTRICT: "", DROP_CASCADE: " CASCADE" }, d.behavior)}`;
}

export const temporaryPrinters = { CreateStmt: create, CreateTableAsStmt: createAs, DropStmt: drop };
