// Who may do what: principals × tables × verbs, each cell decided.
import type { Relation } from "../engine/model/catalog.ts";
import type { Decision } from "../engine/model/decision.ts";
import type { PolicySet } from "../engine/model/policy.ts";
import type { IdentityFacts } from "../engine/model/principal.ts";
import type { PolicyRequest } from "../engine/model/request.ts";
import { renderRowPredicate } from "../engine/model/row-predicate.ts";
import { kindOfVerb, type SqlVerb } from "../engine/model/statement.ts";
import type { Checked } from "./checked.ts";

export type Principal = { readonly name: string; readonly identity: IdentityFacts };
export type MatrixOptions = {
  readonly principals: readonly Principal[];
  /** Default: select, insert, update, delete. */
  readonly verbs?: readonly SqlVerb[] | undefined;
  /** Milliseconds since the epoch, and the hour that policies are asked at. */
  readonly time: PolicyRequest["time"];
};
export type MatrixCell = {
  readonly principal: string;
  readonly connection: string;
  /** `schema.name`. */
  readonly table: string;
  readonly verb: SqlVerb;
  readonly effect: Decision["effect"];
  readonly rules: readonly string[];
  /** `email: hash`. */
  readonly masks: readonly string[];
  readonly filter: string | undefined;
};

/** Each cell asks for one statement on all columns of the table, with a WHERE clause that limits it. */
export function permissionMatrix(
  checked: Checked,
  policySet: PolicySet,
  options: MatrixOptions,
): readonly MatrixCell[] {
  const cells: MatrixCell[] = [];
  for (const [connection, catalog] of [...checked.catalogs].sort(([a], [b]) => (a < b ? -1 : 1))) {
    for (const [key, relation] of [...catalog.relations].sort(([a], [b]) => (a < b ? -1 : 1))) {
      if (relation.schema === "pg_catalog" || relation.schema === "information_schema") continue;
      if (relation.kind === "index" || relation.kind === "composite-type") continue;
      for (const verb of options.verbs ?? defaultVerbs) {
        for (const principal of options.principals) {
          const request = requestFor(principal, connection, relation, verb, options.time);
          cells.push(cellOf(policySet.decide(request), principal.name, connection, key, verb));
        }
      }
    }
  }
  return cells;
}

const defaultVerbs: readonly SqlVerb[] = ["select", "insert", "update", "delete"];

function cellOf(d: Decision, principal: string, connection: string, table: string, verb: SqlVerb): MatrixCell {
  const obligations = d.effect === "deny" ? undefined : d.obligations;
  const masks = [...(obligations?.masks.get(table) ?? [])].map(([column, { mask }]) => `${column}: ${mask.kind}`);
  const filter = obligations?.filters.get(table);
  return {
    principal,
    connection,
    table,
    verb,
    effect: d.effect,
    rules: d.rules,
    masks: masks.sort(),
    filter: filter && renderRowPredicate(filter.predicate),
  };
}

function requestFor(
  principal: Principal,
  connection: string,
  relation: Relation,
  verb: SqlVerb,
  time: PolicyRequest["time"],
): PolicyRequest {
  const columns = relation.columns.map((c) => c.name);
  const refs = columns.map((column) => ({ relation, column }));
  const isRead = verb === "select";
  return {
    protocol: "sql",
    sql: {
      accesses: [{ verb, kind: kindOfVerb[verb], relation, columns, hasWhere: true, whereAlwaysTrue: false, via: [] }],
      verb,
      statements: 1,
      tables: [relation],
      readTables: isRead ? [relation] : [],
      writeTables: isRead ? [] : [relation],
      columnsRead: isRead ? refs : [],
      columnsWritten: isRead ? [] : refs,
      columnsReturned: isRead ? refs : [],
      functions: new Set(),
      hasLimit: false,
      limit: undefined,
      joins: 0,
      estimatedRows: undefined,
      text: "",
      fingerprint: "0000000000000000",
    },
    identity: principal.identity,
    connection: { name: connection, env: "", tags: new Set<string>() },
    session: { id: "matrix", age: 0, purpose: undefined },
    time,
    counter: () => 0,
    approved: new Set(),
  };
}
