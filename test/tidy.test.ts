// The boundaries of docs/architecture.md, held as data and walked.
import assert from "node:assert/strict";
import { existsSync, globSync, readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { test } from "node:test";

/** Folder (longest prefix wins) → folders it may import from, besides itself. */
const mayImport: Readonly<Record<string, readonly string[]>> = {
  "engine/lib": [],
  "engine/model": ["engine/lib"],
  engine: ["engine"],
  dsl: [
    "engine/model",
    "engine/lib",
    "engine/limits.ts",
    "engine/evaluate.ts",
    "engine/program.ts",
    "engine/describe-access.ts",
  ],
  proxy: ["engine"],
  cli: ["engine", "dsl", "proxy"],
  test: ["engine", "dsl", "proxy", "cli", "bench"],
  bench: ["engine", "dsl", "proxy", "cli", "test"],
};

/** Package → the only files (or folders) that may import it. */
const doors: Readonly<Record<string, readonly string[]>> = {
  "libpg-query": ["engine/sql/pg-parser.ts"],
  "pgsql-deparser": ["engine/sql/pg-deparser.ts"],
  chevrotain: [
    "dsl/tokens.ts",
    "dsl/lexer.ts",
    "dsl/parser.ts",
    "dsl/cst.ts",
    "dsl/grammar/grammar.ts",
    "dsl/lower.ts",
  ],
  jose: ["proxy/identity/jose.ts", "cli/demo/token-issuer.ts"],
  fastify: ["proxy/admin", "proxy/http/front.ts"],
  "@fastify/busboy": ["proxy/http/multipart.ts"],
  "eventsource-parser": ["engine/content/event-stream.ts"],
  "@apidevtools/swagger-parser": ["proxy/http/openapi.ts"],
  ibantools: ["engine/content/ibans.ts"],
  "libphonenumber-js": ["engine/content/phone-numbers.ts"],
  "@fastify/swagger": ["proxy/admin/server.ts"],
  "openid-client": ["proxy/identity/openid.ts"],
  re2js: ["engine/lib/regex.ts", "dsl/regex.ts"],
  undici: ["proxy/http-get.ts", "proxy/http/upstream.ts"],
  ajv: ["engine/mcp/json-schema.ts"],
  "ajv-formats": ["engine/mcp/json-schema.ts"],
  zod: ["proxy/schema.ts"],
  yaml: ["proxy/config.ts", "proxy/config-reader.ts", "proxy/http/openapi.ts", "cli/manifest.ts"],
  pino: ["proxy/log.ts"],
  "prom-client": ["proxy/telemetry/render-metrics.ts"],
  "@opentelemetry/api": ["proxy/telemetry/otel.ts"],
  "@opentelemetry/exporter-logs-otlp-http": ["proxy/telemetry/otel.ts"],
  "@opentelemetry/exporter-trace-otlp-http": ["proxy/telemetry/otel.ts"],
  "@opentelemetry/resources": ["proxy/telemetry/otel.ts"],
  "@opentelemetry/sdk-logs": ["proxy/telemetry/otel.ts"],
  "@opentelemetry/sdk-trace": ["proxy/telemetry/otel.ts"],
  "@aws-sdk/client-s3": ["proxy/object-storage.ts"],
  pg: ["proxy/postgres/catalog-connection.ts", "proxy/approvals/postgres-store.ts", "cli/demo/sql-client.ts"],
  commander: ["cli/main.ts", "cli/commands"],
  "@open-policy-agent/opa-wasm": ["engine/rego/opa-wasm.ts"],
};

/** engine and dsl are pure: no sockets, files, clock, randomness or environment. */
const impure = [
  "node:fs",
  "node:net",
  "node:tls",
  "node:http",
  "node:child_process",
  "node:process",
  "node:worker_threads",
];

const sources = globSync("{engine,dsl,proxy,cli,bench}/**/*.ts").sort();
const importPattern =
  /(?:^|\n)\s*(?:import|export)\s(?:[^'"]*?from\s+)?["']([^"']+)["']|import\(\s*["']([^"']+)["']\s*\)/g;

const importsOf = (file: string): readonly string[] =>
  [...readFileSync(file, "utf8").matchAll(importPattern)].map((m) => m[1] ?? m[2] ?? "");

const folderRule = (file: string): string =>
  Object.keys(mayImport)
    .filter((folder) => file === folder || file.startsWith(`${folder}/`))
    .sort((a, b) => b.length - a.length)[0] ?? "";

test("imports go one way only", () => {
  const wrong: string[] = [];
  for (const file of sources) {
    const rule = folderRule(file);
    for (const specifier of importsOf(file).filter((s) => s.startsWith("."))) {
      const target = normalize(join(dirname(file), specifier));
      if (!existsSync(target)) wrong.push(`${file} imports ${specifier}, which does not exist`);
      const allowed = [rule, ...(mayImport[rule] ?? [])];
      if (!allowed.some((a) => target === a || target.startsWith(`${a}/`))) wrong.push(`${file} imports ${target}`);
    }
  }
  assert.deepEqual(wrong, []);
});

test("each dependency has one door", () => {
  const wrong: string[] = [];
  for (const file of sources.filter((f) => !f.startsWith("bench/"))) {
    for (const specifier of importsOf(file).filter((s) => !s.startsWith(".") && !s.startsWith("node:"))) {
      const name = specifier
        .split("/")
        .slice(0, specifier.startsWith("@") ? 2 : 1)
        .join("/");
      const door = doors[name];
      if (door && !door.some((d) => file === d || file.startsWith(`${d}/`))) wrong.push(`${file} imports ${name}`);
    }
  }
  assert.deepEqual(wrong, []);
});

test("the engine and the language touch no clock, file, socket, randomness or environment", () => {
  const wrong: string[] = [];
  for (const file of sources.filter((f) => f.startsWith("engine/") || f.startsWith("dsl/"))) {
    const text = readFileSync(file, "utf8").replace(/\/\/.*|\/\*[\s\S]*?\*\//g, "");
    for (const specifier of importsOf(file)) if (impure.includes(specifier)) wrong.push(`${file} imports ${specifier}`);
    for (const name of ["Date.now", "Math.random", "process.env", "new Date()", "performance.now"]) {
      if (text.includes(name)) wrong.push(`${file} uses ${name}`);
    }
  }
  assert.deepEqual(wrong, []);
});
