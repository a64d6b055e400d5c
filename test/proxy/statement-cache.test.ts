import assert from "node:assert/strict";
import { test } from "node:test";
import { limits } from "../../engine/limits.ts";
import type { AnalyzedStatement, SqlContext } from "../../engine/sql/types.ts";
import { StatementCache } from "../../proxy/gate/statement-cache.ts";

function cacheOf(statementCacheEntriesMax: number) {
  const analyzed: string[] = [];
  const analyze = (text: string) => {
    analyzed.push(text);
    return { ok: true as const, value: [{ facts: { text } } as unknown as AnalyzedStatement] };
  };
  const rewrite = () => ({
    ok: true as const,
    value: { text: "", touchesProtected: false, maskedOrigins: new Set<string>() },
  });
  const cache = new StatementCache({ analyze, rewrite }, { ...limits, statementCacheEntriesMax });
  return { cache, analyzed };
}

const context = {
  catalog: { version: "1" },
  searchPath: ["public"],
  user: "app",
  parameterTypes: [],
  temporary: new Map(),
} as unknown as SqlContext;

test("a text is kept from the second time on, so that texts that come once push nothing out", () => {
  const { cache, analyzed } = cacheOf(4);
  for (let i = 0; i < 3; i += 1) cache.analyze("select 1", context);
  assert.deepEqual(analyzed, ["select 1", "select 1"]);
  for (let i = 0; i < 100; i += 1) cache.analyze(`select ${i} as once`, context);
  assert.equal(cache.size, 1);
  cache.analyze("select 1", context);
  assert.equal(analyzed.filter((text) => text === "select 1").length, 2);
});

test("a text under another search path, catalog, role or parameter type is another text", () => {
  const { cache, analyzed } = cacheOf(100);
  const others: readonly SqlContext[] = [
    context,
    { ...context, searchPath: ["app", "public"] },
    { ...context, searchPath: ["apppublic"] },
    { ...context, user: "olga" },
    { ...context, parameterTypes: [23] },
    { ...context, catalog: { ...context.catalog, version: "2" } },
  ];
  for (let i = 0; i < 4; i += 1) for (const other of others) cache.analyze("select 1", other);
  assert.deepEqual([analyzed.length, cache.size], [others.length * 2, others.length]);
});
