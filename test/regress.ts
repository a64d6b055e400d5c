// node test/regress.ts FOLDER…: PostgreSQL's own regression SQL (src/test/regress/sql of its source) as a corpus.
// Each statement is analysed against the catalog as it stands there; none may crash. What is let through as a read runs
// twice, as written and as the gateway writes it: without a policy the answers must be equal.
import { globSync, readFileSync } from "node:fs";
import { basename } from "node:path";
import pg from "pg";
import { startPostgres } from "../cli/demo/postgres-server.ts";
import type { Catalog } from "../engine/model/catalog.ts";
import { noObligations } from "../engine/model/decision.ts";
import { analyzeSql } from "../engine/sql/analyze.ts";
import { rewriteSql } from "../engine/sql/rewrite.ts";
import { loadCatalog } from "../proxy/postgres/catalog-loader.ts";
import { splitScript } from "./support/split-script.ts";
import { type Answer, failureOf, observe, withoutOrder } from "./support/twin-transcript.ts";

const files = process.argv
  .slice(2)
  .flatMap((folder) => globSync(`${folder}/*.sql`))
  .sort();
if (files.length === 0) {
  console.error("usage: node test/regress.ts FOLDER…   (folders with PostgreSQL's regression SQL)");
  process.exit(1);
}

const counts = { statements: 0, letThrough: 0, compared: 0, different: 0, crashed: 0 };
const refusals = new Map<string, number>();
const server = await startPostgres({ password: "regress" });
try {
  const setup = files.find((f) => basename(f) === "test_setup.sql");
  for (const file of files) await runFile(file, setup === file ? undefined : setup);
} finally {
  await server.stop();
}
console.log(JSON.stringify(counts));
for (const [code, n] of [...refusals].sort(([, a], [, b]) => b - a).slice(0, 40)) console.log(`${n} × ${code}`);
process.exit(counts.crashed === 0 ? 0 : 1);

async function runFile(file: string, setup: string | undefined): Promise<void> {
  const name = `regress_${basename(file, ".sql")}`;
  const at = { host: server.host, port: server.port, user: server.superuser, password: server.password };
  await withAdmin((c) => c.query(`CREATE DATABASE ${name} TEMPLATE template0`));
  const client = new pg.Client({ ...at, database: name });
  const reader = new pg.Client({ ...at, database: name });
  for (const c of [client, reader]) c.on("error", () => undefined);
  await client.connect();
  await reader.connect();
  await client.query("SET statement_timeout = '3s'; SET lock_timeout = '1s'; SET client_min_messages = error");
  if (setup)
    for (const text of splitScript(readFileSync(setup, "utf8"))) await client.query(text).catch(() => undefined);
  let catalog: Catalog | undefined;
  for (const text of splitScript(readFileSync(file, "latin1"))) {
    if (/^\s*(create|alter|drop|begin|commit|rollback|end|abort|do|call|set|reset)\b/i.test(text)) catalog = undefined;
    else {
      catalog ??= (await loadCatalog(async (sql) => (await reader.query<Record<string, unknown>>(sql)).rows)).catalog;
      await judge(client, catalog, text, file);
      continue;
    }
    await client.query(text).catch(() => undefined);
  }
  await client.end().catch(() => undefined);
  await reader.end().catch(() => undefined);
  await withAdmin((c) => c.query(`DROP DATABASE ${name} WITH (FORCE)`)).catch(() => undefined);
}

async function judge(client: pg.Client, catalog: Catalog, text: string, file: string): Promise<void> {
  counts.statements += 1;
  let rewritten: string | undefined;
  try {
    const { rows } = await client
      .query<{ path: string[] }>("SELECT current_schemas(false)::text[] AS path")
      .catch(() => ({ rows: [] }));
    const context = {
      catalog,
      searchPath: rows[0]?.path ?? ["public"],
      user: "postgres",
      parameterTypes: [],
      allowedFunctions: new Set<string>(),
      temporary: new Map(),
    };
    const analyzed = analyzeSql(text, context);
    const [statement] = analyzed.ok ? analyzed.value : [];
    if (!analyzed.ok) count(`${analyzed.error.code}: ${analyzed.error.message.replace(/`[^`]*`|"[^"]*"/g, "…")}`);
    else if (statement && analyzed.value.length === 1) {
      const result = rewriteSql(statement, noObligations, context, { maskKey: "regress" });
      if (!result.ok) count(`${result.error.code}: ${result.error.message.replace(/`[^`]*`|"[^"]*"/g, "…")}`);
      else {
        counts.letThrough += 1;
        if (statement.facts.verb === "select" && !/^prepare\b/i.test(text)) rewritten = result.value.text;
      }
    }
  } catch (error) {
    counts.crashed += 1;
    console.log(`CRASH ${basename(file)}: ${text}\n${error instanceof Error ? error.stack : String(error)}`);
  }
  const direct: Answer = { kind: "answered", seen: await observe(client, { text }) };
  if (rewritten === undefined || failureOf(direct) !== undefined) return;
  const given: Answer = { kind: "answered", seen: await observe(client, { text: rewritten }) };
  counts.compared += 1;
  if (JSON.stringify(withoutOrder([direct])) === JSON.stringify(withoutOrder([given]))) return;
  counts.different += 1;
  console.log(
    `DIFFERS ${basename(file)}: ${text.slice(0, 600)}\n  ${JSON.stringify(direct.seen).slice(0, 300)}\n  ${JSON.stringify(given.seen).slice(0, 300)}`,
  );
}

function count(reason: string): void {
  refusals.set(reason, (refusals.get(reason) ?? 0) + 1);
}

async function withAdmin(use: (client: pg.Client) => Promise<unknown>): Promise<void> {
  const client = new pg.Client({
    host: server.host,
    port: server.port,
    user: server.superuser,
    password: server.password,
    database: "postgres",
  });
  await client.connect();
  await use(client).finally(() => client.end());
}
