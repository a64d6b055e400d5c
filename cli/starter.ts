// a database's catalog + a few answers -> a working configuration, with policies and their test
import { formatPolicy } from "../dsl/format.ts";
import { invariant } from "../engine/lib/assert.ts";
import type { Catalog, Relation } from "../engine/model/catalog.ts";
import { encodeCatalogSnapshot } from "../engine/model/catalog-snapshot.ts";
import type { UpstreamTarget } from "../proxy/deps.ts";

export type StarterAnswers = {
  /** Name in gw.yaml, used in `at "…"`. */
  readonly connection: string;
  readonly target: Pick<UpstreamTarget, "host" | "port" | "database" | "user" | "tls">;
  readonly listen: string;
  readonly issuer: string;
  readonly audience: string;
  /** Whose members may read. */
  readonly group: string;
};

export type ProposedMask = { readonly table: string; readonly column: string; readonly mask: string };

/** Names that say that people don't want the column shown. */
const sensitive: readonly (readonly [pattern: RegExp, mask: string])[] = [
  [/(?:^|_)e?mail(?:_address)?$/, "partial(first: 1, keep_domain: true)"],
  [/(?:^|_)(?:phone|mobile|fax)(?:_|$)/, "partial(last: 2)"],
  [/(?:^|_)(?:iban|card|pan|account_(?:no|number))(?:_|$)/, "partial(last: 4)"],
  [/(?:^|_)(?:ssn|tax_(?:id|no)|passport|national_id|password|passwd|secret|token|api_?key)(?:_|$)/, "redact"],
];

/** To be read by a person: names are a hint, not knowledge. */
export function proposeMasks(catalog: Catalog): readonly ProposedMask[] {
  return tablesOf(catalog).flatMap((relation) =>
    relation.columns.flatMap(({ name, type }) => {
      const mask = sensitive.find(([pattern]) => pattern.test(name))?.[1];
      if (mask === undefined || !isPlain(name) || !/^(?:text|varchar|bpchar)$/.test(type.name)) return [];
      return [{ table: tableKey(relation), column: name, mask }];
    }),
  );
}

/** Path -> text. Secrets are not among them. */
export function starterFiles(catalog: Catalog, answers: StarterAnswers): ReadonlyMap<string, string> {
  const masks = proposeMasks(catalog);
  return new Map([
    ["gw.yaml", configText(answers)],
    ["policies/access.policy", formatted(policyText(answers, schemasOf(catalog), masks))],
    ["policies/access.test.policy", formatted(testText(answers, catalog, masks))],
    ["policies/catalog.json", encodeCatalogSnapshot(catalog)],
  ]);
}

const configText = ({ connection, target, listen, issuer, audience }: StarterAnswers): string => `\
# Written by \`gw init\`. Every key is in docs/operations.md.
policies: { path: policies }
recording: { directory: recording, durability: batched }
admin: { listen: 127.0.0.1:7070 }

identity:
  issuers:
    - issuer: ${JSON.stringify(issuer)}
      audience: ${JSON.stringify(audience)}
      discovery: true
      default_kind: human

connections:
  - name: ${connection}
    kind: postgres
    listen: ${listen}
    env: dev
    tls: self-signed
    mask_key: { file: secrets/mask-key }
    upstream:
      host: ${JSON.stringify(target.host)}
      port: ${target.port}
      database: ${JSON.stringify(target.database)}
      user: ${JSON.stringify(target.user)}
      password: { file: secrets/upstream-password }
      sslmode: ${target.tls.mode}
`;

const policyText = (
  { connection, group }: StarterAnswers,
  schemas: readonly string[],
  masks: readonly ProposedMask[],
): string => `\
## Who may do what on ${connection}. What no rule allows is denied.
package access

# \`gw catalog pull --config gw.yaml --out policies/catalog.json\` writes it again when the database has changed.
catalog "${connection}" from "./catalog.json"

default deny because "no rule of access.policy allows this"

## People and agents of one group read.
allow group_reads on sql read of ${schemas.map((schema) => `${schema}.*`).join(", ")} at "${connection}"
  when identity.groups contains ${JSON.stringify(group)}

allow session_chatter on sql session, tcl at "${connection}"

## Whatever is allowed later: no UPDATE or DELETE without a WHERE that limits it.
deny unbounded_write on sql update, delete
  when not sql.has_where or sql.where_always_true
  because "{sql.verb} on {table} has no WHERE clause that limits it"
${
  masks.length === 0
    ? "\n# No column's name asks for a mask: mask what only you know, e.g.\n# mask address of public.customers.street using redact\n"
    : `\n# Proposed from the columns' names: read them, and add what only you know.\n${masks
        .map(({ table, column, mask }) => `mask ${ruleName(table, column)} of ${table}.${column} using ${mask}\n`)
        .join("")}`
}`;

function testText({ connection, group }: StarterAnswers, catalog: Catalog, masks: readonly ProposedMask[]): string {
  const [table] = tablesOf(catalog);
  const read = table === undefined ? "1" : `* from ${tableKey(table)}`;
  const [mask] = masks;
  const at = `at "${connection}"`;
  return `package access

fixture reader: identity = { sub: "reader", kind: agent, groups: [${JSON.stringify(group)}] }
fixture stranger: identity = { sub: "stranger", kind: human, groups: [] }

test "the group reads" {
  given identity reader
  given sql "select ${read}" ${at}
  expect allow
}
${
  table === undefined
    ? ""
    : `
test "nobody else reads, and nobody writes" {
  cases
    | who      | q                                |
    | stranger | "select * from ${tableKey(table)}" |
    | reader   | "delete from ${tableKey(table)}"   |
  given identity who
  given sql q ${at}
  expect deny
}
`
}${
  mask === undefined
    ? ""
    : `
test "what is masked is masked for the group too" {
  given identity reader
  given sql "select ${mask.column} from ${mask.table}" ${at}
  expect mask ${mask.table}.${mask.column} using ${mask.mask.replace(/\(.*/, "")}
}
`
}`;
}

/** Written in the language and in SQL without quotes. */
const isPlain = (name: string): boolean => /^[a-z_][a-z0-9_]{0,62}$/.test(name);
const tableKey = ({ schema, name }: Relation): string => `${schema}.${name}`;
const ruleName = (table: string, column: string): string => `${table}_${column}`.replaceAll(".", "_");

const tablesOf = (catalog: Catalog): readonly Relation[] =>
  [...catalog.relations.values()].filter(
    ({ kind, schema, name, columns }) => kind === "table" && isPlain(schema) && isPlain(name) && columns.length > 0,
  );

function schemasOf(catalog: Catalog): readonly string[] {
  const schemas = [...new Set(tablesOf(catalog).map(({ schema }) => schema))].sort();
  return schemas.length === 0 ? ["public"] : schemas;
}

function formatted(text: string): string {
  const result = formatPolicy("starter.policy", text);
  invariant(result.ok, "a starter policy is a policy");
  return result.value;
}
