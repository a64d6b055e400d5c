import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { test } from "node:test";
import fc from "fast-check";
import { Unknown } from "../../engine/lib/truth.ts";
import { limits } from "../../engine/limits.ts";
import type { Catalog, Relation } from "../../engine/model/catalog.ts";
import { withTags } from "../../engine/model/catalog-tags.ts";
import type { ColumnMask, Obligations, RuleId } from "../../engine/model/decision.ts";
import { WindowCounters } from "../../proxy/gate/counters.ts";
import { obligationsKey } from "../../proxy/gate/obligations-key.ts";
import { timeFactsIn } from "../../proxy/gate/time-facts.ts";
import { makeSelfSigned } from "../../proxy/tls/self-signed.ts";

test("a counter is the sum of its window, within one bucket, and never less than what the window holds", () => {
  const windowMs = 60_000;
  const event = fc.record({ afterMs: fc.nat(20_000), amount: fc.integer({ min: 1, max: 9 }) });
  fc.assert(
    fc.property(fc.array(event, { maxLength: 60 }), (events) => {
      let nowMs = 1_700_000_000_000;
      const counters = new WindowCounters({ nowMs: () => nowMs });
      const past: { readonly atMs: number; readonly amount: number }[] = [];
      for (const { afterMs, amount } of events) {
        nowMs += afterMs;
        counters.add("c", "k", windowMs, amount);
        past.push({ atMs: nowMs, amount });
        const sumSince = (ms: number) => past.filter((p) => p.atMs > ms).reduce((sum, p) => sum + p.amount, 0);
        const read = counters.read("c", "k") as number;
        assert.ok(read <= sumSince(nowMs - windowMs - 1_000), "nothing older than the window and one bucket");
        assert.ok(read >= sumSince(nowMs - windowMs + 1_000), "everything younger than the window less one bucket");
      }
    }),
  );
});

test("counters of other names and keys are apart, and a clock that goes back forgets nothing", () => {
  let nowMs = 1_000_000;
  const counters = new WindowCounters({ nowMs: () => nowMs });
  counters.add("a", "k", 60_000, 5);
  counters.add("a", "l", 60_000, 1);
  nowMs -= 500_000;
  assert.deepEqual([counters.read("a", "k"), counters.read("a", "l"), counters.read("b", "k")], [5, 1, 0]);
});

test("a counter of the largest amount forgets it with its bucket, and says so when an amount was not known", () => {
  let nowMs = 1_000_000;
  const counters = new WindowCounters({ nowMs: () => nowMs });
  const seen = [5, 9, 2].map((amount) => {
    counters.add("m", "k", 60_000, amount, "max");
    nowMs += 20_000;
    return counters.read("m", "k");
  });
  nowMs += 21_000;
  assert.deepEqual([...seen, counters.read("m", "k")], [5, 9, 9, 2]);
  counters.add("m", "k", 60_000, Number.POSITIVE_INFINITY, "max");
  assert.ok(counters.read("m", "k") instanceof Unknown);
  nowMs += 61_000;
  assert.equal(counters.read("m", "k"), 0);
});

test("a counter of different things counts each once while the window holds it, with what is about to be counted", () => {
  const windowMs = 60_000;
  const event = fc.record({
    afterMs: fc.nat(30_000),
    items: fc.array(fc.constantFrom("a", "b", "c"), { maxLength: 3 }),
  });
  fc.assert(
    fc.property(fc.array(event, { maxLength: 40 }), (events) => {
      let nowMs = 1_700_000_000_000;
      const counters = new WindowCounters({ nowMs: () => nowMs });
      const past: { readonly atMs: number; readonly item: string }[] = [];
      for (const { afterMs, items } of events) {
        nowMs += afterMs;
        const pending = [{ name: "d", key: "k", windowMs, amount: 0, measure: "distinct", items } as const];
        const before = counters.read("d", "k", pending);
        counters.add("d", "k", windowMs, 0, "distinct", items);
        past.push(...items.map((item) => ({ atMs: nowMs, item })));
        const since = (ms: number) => new Set(past.filter((p) => p.atMs > ms).map((p) => p.item)).size;
        const read = counters.read("d", "k") as number;
        assert.equal(before, read);
        assert.ok(read <= since(nowMs - windowMs - 1_000) && read >= since(nowMs - windowMs + 1_000));
      }
    }),
  );
});

test("a counter of more different things than there is room for cannot be read", () => {
  const counters = new WindowCounters({ nowMs: () => 0 });
  const items = Array.from({ length: limits.counterItemsMax + 1 }, (_, i) => String(i));
  counters.add("d", "k", 60_000, 0, "distinct", items.slice(1));
  assert.equal(counters.read("d", "k"), limits.counterItemsMax);
  counters.add("d", "k", 60_000, 0, "distinct", items);
  assert.ok(counters.read("d", "k") instanceof Unknown);
});

test("the hour and the weekday are those of the zone, over changes to summer time too", () => {
  const berlin = timeFactsIn("Europe/Berlin");
  const rows = [
    ["2026-03-29T00:59:59Z", 1, 59, "sun"],
    ["2026-03-29T01:00:00Z", 3, 0, "sun"],
    ["2026-12-31T23:30:00Z", 0, 30, "fri"],
  ] as const;
  for (const [at, hour, minute, weekday] of rows) {
    const now = Date.parse(at);
    assert.deepEqual(berlin(now), { now, hour, minute, weekday });
  }
  assert.equal(timeFactsIn("Asia/Kathmandu")(Date.parse("2026-01-01T00:00:00Z")).minute, 45);
});

const relation = (schema: string, name: string, columns: readonly string[]): Relation => ({
  kind: "table",
  schema,
  name,
  oid: columns.length,
  columns: columns.map((column, i) => ({
    name: column,
    number: i + 1,
    type: { sql: "text", name: "text", schema: "pg_catalog", oid: 25, modifier: -1, category: "S" },
    isNullable: true,
    generated: undefined,
    hasDefault: false,
    tags: new Set<string>(),
  })),
  tags: new Set<string>(),
  definition: undefined,
  parents: [],
  hasRules: false,
  hasTriggers: false,
  hasRowSecurity: false,
  constraints: [],
});

test("what the policy's snapshot doesn't know has unknown tags, and the system's own schemas none", () => {
  const people = relation("public", "people", ["id", "email"]);
  const added = relation("public", "added", ["x"]);
  const system = relation("pg_catalog", "pg_class", ["oid", "relname", "relkind"]);
  const catalog: Catalog = {
    version: "v1",
    database: "d",
    serverVersion: 180004,
    schemas: new Set(["public"]),
    relations: new Map([
      ["public.people", people],
      ["public.added", added],
      ["pg_catalog.pg_class", system],
    ]),
    relationsByOid: new Map(),
    functions: new Map(),
    types: new Map(),
  };
  const tags = {
    relations: new Map([["public.people", { tags: new Set(["core"]), columns: new Map([["id", new Set<string>()]]) }]]),
  };
  const tagged = withTags(catalog, tags, "t1");
  const seen = [...tagged.relations.values()].map((r) => [r.tags, ...r.columns.map((c) => c.tags)]);
  const unknown = (tag: unknown) => (tag instanceof Unknown ? "unknown" : tag);
  assert.deepEqual(
    seen.map((list) => list.map(unknown)),
    [
      [new Set(["core"]), new Set(), "unknown"],
      ["unknown", "unknown"],
      [new Set(), new Set(), new Set(), new Set()],
    ],
  );
  assert.notEqual(tagged.version, withTags(catalog, tags, "t2").version);
  assert.equal(unknown(withTags(catalog, undefined, "u").relations.get("public.people")?.tags), "unknown");
});

test("the obligations' key doesn't depend on order or on who demands them, and differs with what is demanded", () => {
  const rules = (name: string): [RuleId] => [name as RuleId];
  const make = (rule: string, order: 1 | -1, last: number): Obligations => {
    const columns = [
      ["a", { mask: { kind: "redact" as const }, rules: rules(rule) }],
      ["b", { mask: { kind: "partial" as const, first: 1, last, keepDomain: false, fill: "*" }, rules: rules(rule) }],
    ] as const;
    return {
      masks: new Map([["public.t", new Map<string, ColumnMask>(columns.toSorted(() => order))]]),
      filters: new Map(),
      limits: [],
    };
  };
  assert.equal(obligationsKey(make("x", 1, 0)), obligationsKey(make("y", -1, 0)));
  assert.notEqual(obligationsKey(make("x", 1, 0)), obligationsKey(make("x", 1, 2)));
});

test("a self-made certificate is what OpenSSL reads, names its hosts, and fits its key", () => {
  const { cert, key } = makeSelfSigned(["localhost", "127.0.0.1", "::1"], Date.parse("2026-06-01T00:00:00Z"));
  const certificate = new X509Certificate(cert);
  assert.equal(certificate.subjectAltName, "DNS:localhost, IP Address:127.0.0.1, IP Address:0:0:0:0:0:0:0:1");
  assert.equal(certificate.validTo, "Jul  1 00:00:00 2026 GMT");
  assert.ok(certificate.verify(certificate.publicKey));
  assert.ok(key.startsWith("-----BEGIN PRIVATE KEY-----"));
});
