// E0601, and that PostgreSQL's capabilities are what its adapter does.
import assert from "node:assert/strict";
import { test } from "node:test";
import { compileBundle } from "../../dsl/bundle.ts";
import { renderDiagnostics, Sources } from "../../dsl/render-diagnostic.ts";
import type { Capabilities, ConnectionCapabilities } from "../../engine/model/capabilities.ts";
import type { Column } from "../../engine/model/catalog.ts";
import type { Mask, MaskKind } from "../../engine/model/mask.ts";
import { postgresCapabilities } from "../../engine/sql/capabilities.ts";
import { maskSql } from "../../engine/sql/masks.ts";
import { testCatalog } from "../arbitraries/policy-rules.ts";

/** Adapters that don't exist yet, to see the check tell connections apart. */
const nothing: Omit<Capabilities, "protocol"> = {
  columnMasks: new Set(),
  contentMasks: new Set(),
  filtersRows: false,
  resultLimits: new Set(),
  windowLimits: new Set(),
};
const connections: readonly ConnectionCapabilities[] = [
  { name: "prod-pg", capabilities: postgresCapabilities },
  {
    name: "reports-mysql",
    capabilities: { ...nothing, protocol: "sql", columnMasks: new Set(["partial", "hash", "redact", "nullify"]) },
  },
  { name: "bank-api", capabilities: { ...nothing, protocol: "http", windowLimits: new Set(["requests"]) } },
];

function errorsOf(rule: string, of: readonly ConnectionCapabilities[] | "not known" = connections): string {
  const files = new Map([["a.policy", `package a\n${rule}\n`]]);
  const options = { revision: "1", timeZone: "UTC" };
  const { diagnostics } = compileBundle(files, { ...options, ...(of === "not known" ? {} : { connections: of }) });
  const errors = diagnostics.filter((d) => d.severity === "error");
  return renderDiagnostics(errors, new Sources(files));
}

test("a mask that one connection's adapter does not have is an error that names it", () => {
  assert.equal(
    errorsOf('mask ids of tagged "pii" using tokenize at "*"'),
    `error[E0601]: connection "reports-mysql" cannot apply \`mask … using tokenize\`
 --> a.policy:2:6
  |
2 | mask ids of tagged "pii" using tokenize at "*"
  |      ^^^ matches "reports-mysql"
  = note: the adapter of "reports-mysql" supports partial, hash, redact, nullify
  = note: gw does not load policies whose obligations a connection cannot honour
  = help: say where it holds: \`at "prod-pg"\`

1 error`,
  );
});

const refused = [
  ["filter f of public.orders where row.tenant == identity.sub", '"reports-mysql" cannot apply `filter … where`'],
  ["limit l to 5 rows on sql read", '"reports-mysql" cannot apply `limit … rows`'],
  ['limit l to 1MB bytes on sql read at "prod-*"', '"prod-pg" cannot apply `limit … bytes`'],
  ['limit l to 100 tokens per 1h by identity.sub on sql at "prod-pg"', '"prod-pg" cannot apply `limit … tokens per …`'],
  ['mask m of json "$.iban" using redact at "prod-pg"', '"prod-pg" cannot apply `mask … of json … using redact`'],
  ['mask m of text "email" using redact on http', '"bank-api" cannot apply `mask … of text … using redact`'],
  [
    "limit l to 9 calls per 1m by identity.sub on any",
    '"reports-mysql", "bank-api" cannot apply `limit … calls per …`',
  ],
] as const;
for (const [rule, expected] of refused)
  test(`refused: ${rule}`, () => {
    const shown = errorsOf(rule);
    assert.match(shown, /^error\[E0601\]/);
    assert.ok(shown.includes(expected), shown);
  });

const accepted = [
  'mask m of *.*.email using tokenize at "prod-pg"',
  "mask m of *.*.email using hash",
  'limit l to 5 rows on sql read at "prod-pg"',
  'limit l to 1MB bytes per 1h by identity.sub on sql read at "prod-pg"',
  'limit l to 60 requests per 1m by identity.sub on http at "bank-api"',
  'mask m of text "email" using redact on mcp tool "*"',
  '@mode(shadow)\nlimit l to 5 rows on sql read at "reports-mysql"',
  'deny d on sql ddl because "no"',
];
for (const rule of accepted) test(`accepted: ${rule}`, () => assert.equal(errorsOf(rule), ""));

test("where the connections are not known nothing is refused", () =>
  assert.equal(errorsOf('mask ids of tagged "pii" using tokenize at "*"', "not known"), ""));

test("PostgreSQL's adapter does every mask that its capabilities name", () => {
  const masks: Readonly<Record<MaskKind, Mask>> = {
    partial: { kind: "partial", first: 1, last: 1, keepDomain: false, fill: "*" },
    bucket: { kind: "bucket", size: 10, unit: undefined },
    round: { kind: "round", to: 10 },
    card: { kind: "card" },
    phone: { kind: "phone", last: 2 },
    fields: { kind: "fields", hide: ["a.b"] },
    hash: { kind: "hash", salt: "" },
    tokenize: { kind: "tokenize", salt: "" },
    redact: { kind: "redact" },
    constant: { kind: "constant", value: "x" },
    nullify: { kind: "nullify" },
    remove: { kind: "remove" },
  };
  const column = (table: string, name: string): Column => {
    const found = testCatalog()
      .relations.get(`public.${table}`)
      ?.columns.find((c) => c.name === name);
    assert.ok(found);
    return found;
  };
  for (const kind of postgresCapabilities.columnMasks) {
    if (kind === "fields") continue; // fits jsonb only, which the catalog of these tests doesn't have
    const isNumeric = kind === "bucket" || kind === "round";
    const of = isNumeric ? column("orders", "total") : column("customers", "email");
    assert.match(maskSql(masks[kind], of, { maskKey: "0123456789abcdef" }), /CAST/);
  }
});

test("PostgreSQL's adapter removes no column, whoever asks", () => {
  assert.equal(postgresCapabilities.columnMasks.has("remove"), false);
  for (const column of testCatalog().relations.get("public.customers")?.columns ?? [])
    assert.throws(() => maskSql({ kind: "remove" }, column, { maskKey: "0123456789abcdef" }), /mask-not-applicable/);
});
