// Rules as texts, over the catalog below: what the laws of decisions are tried on.
import fc from "fast-check";
import type { Catalog } from "../../engine/model/catalog.ts";
import { decodeCatalogSnapshot } from "../../engine/model/catalog-snapshot.ts";

/** Masks that fit texts only. */
const partials: readonly string[] = ["partial(keep_domain: true)", "partial(keep_domain: true) searchable"];

const column = (name: string, type: string, tags: readonly string[] = []): object => ({ name, type, tags });
export const catalogText = JSON.stringify({
  gatewright: "catalog/1",
  database: "gen",
  schemas: {
    public: {
      relations: {
        orders: { columns: [column("id", "integer"), column("tenant", "text"), column("total", "integer")] },
        customers: {
          columns: [
            column("id", "integer"),
            column("email", "text", ["pii"]),
            column("ssn", "text", ["pii", "secret"]),
            column("tenant", "text"),
          ],
        },
        payroll: { tags: ["secret"], columns: [column("id", "integer"), column("name", "text")] },
        drafts: { tags: null, columns: [column("id", "integer"), { name: "body", type: "text", tags: null }] },
      },
    },
    pg_catalog: { relations: { pg_class: { columns: [column("relname", "name")] } } },
  },
});

export function testCatalog(): Catalog {
  const decoded = decodeCatalogSnapshot(catalogText);
  if (!decoded.ok) throw new Error(`${decoded.error.path}: ${decoded.error.message}`);
  return decoded.value;
}

const conditions = [
  "is_agent",
  "identity.kind == human",
  'identity.groups contains "ops"',
  'identity.groups contains "dba"',
  "identity.mfa",
  'identity.sub in ["bot", "olga"]',
  'identity.sub == "bot"',
  'identity.email is present and identity.email endswith "example"',
  'identity.ip in cidr"10.0.0.0/8"',
  'identity.claims.tenant == "acme"',
  "sql.verb == select",
  "sql.kind in [write, ddl]",
  "sql.has_where",
  "sql.where_always_true",
  "sql.statements > 1",
  "sql.joins * 2 >= 4",
  "(sql.estimated_rows ?? 0) > 1_000",
  'any f in sql.functions: f in ["pg_sleep"]',
  'all c in sql.columns_read: c.name != "ssn"',
  'none t in sql.tables: t.tags contains "secret"',
  "time.hour in 8..18",
  'session.purpose is present and session.purpose == "support"',
  "seen > 5",
  "small(sql.joins)",
  "count(sql.tables) == 0",
  "identity.sub in trusted",
  'table.name == "orders"',
  "true",
];

const condition: fc.Arbitrary<string> = fc.oneof(
  { weight: 5, arbitrary: fc.constantFrom(...conditions) },
  { weight: 1, arbitrary: fc.constantFrom(...conditions).map((a) => `not (${a})`) },
  {
    weight: 1,
    arbitrary: fc
      .tuple(fc.constantFrom(...conditions), fc.constantFrom(...conditions))
      .map(([a, b]) => `(${a}) or (${b})`),
  },
  {
    weight: 1,
    arbitrary: fc
      .tuple(fc.constantFrom(...conditions), fc.constantFrom(...conditions))
      .map(([a, b]) => `(${a}) and (${b})`),
  },
);

const clauses = fc
  .array(fc.tuple(fc.constantFrom("when", "when", "unless"), condition), { maxLength: 2 })
  .map((list) => list.map(([word, text]) => `  ${word} ${text}\n`).join(""));
const tables = [
  "public.orders",
  "public.customers",
  "public.*",
  "*.*",
  'tagged "secret"',
  'tagged "pii"',
  "public.payroll",
  "public.drafts",
];
const target = fc
  .tuple(
    fc.constantFrom("", "read", "write", "select, update", "ddl", "unknown"),
    fc.option(fc.constantFrom(...tables), { nil: "" }),
  )
  .map(([action, table]) => `on sql ${action}${table === "" ? "" : ` of ${table}`}`);
const at = fc.constantFrom("", ' at "prod-*"', ' at "prod-pg"');
const shadow = fc.constantFrom("", "", "", "@mode(shadow)\n");

const heads = {
  allow: fc.tuple(target, at).map(
    ([t, a]) =>
      (name: string) =>
        `allow ${name} ${t}${a}\n`,
  ),
  allowColumns: at.map((a) => (name: string) => `allow ${name} on sql read of public.customers(id, tenant)${a}\n`),
  deny: fc.tuple(target, at).map(
    ([t, a]) =>
      (name: string) =>
        `deny ${name} ${t}${a}\n`,
  ),
  mask: fc
    .tuple(
      fc.constantFrom("public.customers.email", "*.*.email", 'tagged "pii"'),
      fc.constantFrom("hash", 'hash(salt: "x")', "redact", "nullify", ...partials),
      at,
    )
    .map(
      ([c, m, a]) =>
        (name: string) =>
          // Columns of unknown tags count as tagged, and not all of those are texts.
          `mask ${name} of ${c} using ${c.startsWith("tagged") && partials.includes(m) ? "redact" : m}${a}\n`,
    ),
  filter: fc
    .tuple(
      fc.constantFrom("public.orders", "public.customers"),
      fc.constantFrom(
        "row.tenant == identity.claims.tenant",
        "row.tenant in identity.groups",
        "row.id > 3 or identity.mfa",
        "not (row.id in [1, 2])",
      ),
      at,
    )
    .map(
      ([t, w, a]) =>
        (name: string) =>
          `filter ${name} of ${t} where ${w}${a}\n`,
    ),
  limit: fc.tuple(fc.integer({ min: 1, max: 9 }), target).map(
    ([n, t]) =>
      (name: string) =>
        `limit ${name} to ${n} rows ${t}\n`,
  ),
  rate: fc.tuple(fc.integer({ min: 1, max: 9 }), target).map(
    ([n, t]) =>
      (name: string) =>
        `limit ${name} to ${n} requests per 1m by identity.sub ${t}\n`,
  ),
  approval: target.map((t) => (name: string) => `require approval ${name} from group "dba" within 30m ${t}\n`),
} as const;

const rule = (kinds: readonly (keyof typeof heads)[]): fc.Arbitrary<(name: string) => string> =>
  fc.tuple(fc.oneof(...kinds.map((k) => heads[k])), clauses, shadow).map(
    ([head, body, mode]) =>
      (name: string) =>
        `${mode}${head(name)}${body}  because "{identity.sub} was stopped"\n`.replace(
          /(mask|filter|allow)( [\s\S]*?) {2}because "[^"]*"\n$/,
          "$1$2",
        ),
  );

/** Three in four have an allow for everything: else most requests end at the default, and the rest is not tried. */
export const anyRules = fc
  .tuple(
    fc.array(
      rule(["allow", "allow", "allowColumns", "deny", "mask", "mask", "filter", "filter", "limit", "rate", "approval"]),
      { minLength: 1, maxLength: 24 },
    ),
    fc.constantFrom("allow base on sql\n", "allow base on sql\n", "allow base on any\n", undefined),
  )
  .map(([list, base]) => [...(base === undefined ? [] : [base]), ...list.map((make, i) => make(`r${i}`))]);
export const anyRestriction = rule(["deny", "mask", "filter", "limit", "rate", "approval"]).map((make) =>
  make("extra"),
);
export const anyDeny = rule(["deny"]).map((make) => make("extra"));

export const preamble = `package gen

catalog "prod-pg" from "./catalog.json"
schema identity.claims: { tenant: string }
data trusted: set<string> from "./trusted.json"
counter seen = count of sql read by identity.sub over 1h
let is_agent = identity.kind == agent
func small(n: int): bool = n < 2
default deny because "nothing allows this for {identity.sub}"

`;

export const filesOf = (rules: readonly string[]): ReadonlyMap<string, string> =>
  new Map([
    ["gen.policy", preamble + rules.join("\n")],
    ["catalog.json", catalogText],
    ["trusted.json", '["olga"]'],
  ]);
