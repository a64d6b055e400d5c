// What the language costs: bundles of 10,000 rules compiled, 1,000 tests run, and HTTP, MCP and model requests found among them.
//   node bench/policies.bench.ts
import { snapshotAnalyzer } from "../cli/snapshot-analyzer.ts";
import { compileBundle } from "../dsl/bundle.ts";
import { runTests } from "../dsl/testing/run.ts";
import type { PolicyRequest } from "../engine/model/request.ts";

const rounds = 3;
const options = { revision: "bench", timeZone: "UTC" };

type Cost = { readonly "wall ms": number; readonly "CPU ms": number };

/** The quickest of a few rounds. */
function cost(run: () => void): Cost {
  let best: Cost = { "wall ms": Number.POSITIVE_INFINITY, "CPU ms": Number.POSITIVE_INFINITY };
  for (let i = 0; i < rounds; i += 1) {
    const started = performance.now();
    const cpu = process.cpuUsage();
    run();
    const { user, system } = process.cpuUsage(cpu);
    const wall = Math.round(performance.now() - started);
    if (wall < best["wall ms"]) best = { "wall ms": wall, "CPU ms": Math.round((user + system) / 1e3) };
  }
  return best;
}

// ---- compiling, and testing

const catalog = JSON.stringify({
  gatewright: "catalog/1",
  database: "bench",
  schemas: {
    public: {
      relations: Object.fromEntries(
        Array.from({ length: 50 }, (_, i) => [
          `t${i}`,
          { columns: ["id", "email", "tenant"].map((name) => ({ name, type: name === "id" ? "integer" : "text" })) },
        ]),
      ),
    },
  },
});

const sqlRules = (count: number): string =>
  Array.from({ length: count }, (_, i) =>
    i % 10 === 9
      ? `deny r${i} on sql write of public.t${i % 50} at "prod-*" when not sql.has_where because "no {sql.verb}"`
      : `allow r${i} on sql read of public.t${i % 50} at "prod-pg" when identity.kind == agent and identity.groups contains "g${i}"`,
  ).join("\n");

const tests = (count: number): string =>
  Array.from({ length: count }, (_, i) => {
    const group = (Math.floor(i / 50) * 50 + (i % 50)) % 1_000;
    const rule = group % 10 === 9 ? "expect deny" : `expect allow by r${group}`;
    return `test "t${i}" {
  given identity { sub: "bot", kind: agent, groups: ["g${group}"] }
  given sql "select id, email from t${group % 50} where id = ${i}" at "prod-pg"
  ${rule}
}`;
  }).join("\n");

const linesPerFile = 1_000;

/** In files of a thousand lines, as people have them. */
function filesOf(text: string): ReadonlyMap<string, string> {
  const files = new Map([
    ["catalog.policy", 'package bench\ncatalog "prod-pg" from "./catalog.json"\n'],
    ["catalog.json", catalog],
  ]);
  const declarations = text.split(/\n(?=\S)(?!\})/);
  for (let i = 0; i < declarations.length; i += linesPerFile)
    files.set(`${i}.policy`, `package bench\n${declarations.slice(i, i + linesPerFile).join("\n")}\n`);
  return files;
}

function mustCompile(text: string): ReturnType<typeof compileBundle> {
  const bundle = compileBundle(filesOf(text), options);
  if (!bundle.policySet) throw new Error(bundle.diagnostics.map((d) => d.message).join("; "));
  return bundle;
}

const tenThousand = sqlRules(10_000);
const { checked } = mustCompile(`${sqlRules(1_000)}\n${tests(1_000)}`);
const analyzeSql = snapshotAnalyzer(checked.catalogs);
const rows = {
  "compile 1,000 rules": cost(() => mustCompile(sqlRules(1_000))),
  "compile 10,000 rules": cost(() => mustCompile(tenThousand)),
  "run 1,000 tests against 1,000 rules": cost(() => {
    const report = runTests(checked, { analyzeSql, nowMs: () => 0 });
    if (report.failed > 0) throw new Error("a test of the bench failed");
  }),
};
console.log(`quickest of ${rounds} rounds in one process`);
console.table(rows);

// ---- HTTP, MCP and models

const around = {
  identity: {
    sub: "bot-7",
    kind: "agent",
    groups: new Set(["g5", "staff"]),
    email: undefined,
    ip: "10.1.2.3",
    mfa: false,
    on_behalf_of: undefined,
    claims: {},
  },
  connection: { name: "api", env: "prod", tags: new Set<string>() },
  session: { id: "s-1", age: 60_000, purpose: undefined },
  time: { now: 1_767_787_200_000, hour: 12, minute: 0, weekday: "wed" },
  counter: () => 0,
  approved: new Set<never>(),
} as const;

const subjects: Readonly<
  Record<string, { readonly rule: (i: number) => string; readonly request: (i: number) => PolicyRequest }>
> = {
  http: {
    rule: (i) => `allow r${i} on http GET "/v1/s${i}/items/{id}" when identity.kind == agent and id != "0"`,
    request: (i) => ({
      ...around,
      protocol: "http",
      http: {
        method: "GET",
        host: "api.test",
        path: `/v1/s${i}/items/7`,
        query: {},
        headers: {},
        body: undefined,
        bodySize: 0,
      },
    }),
  },
  mcp: {
    rule: (i) => `allow r${i} on mcp tool "${i % 2 === 0 ? `s${i}.get` : `s${i}.*`}" when identity.kind == agent`,
    request: (i) => ({
      ...around,
      protocol: "mcp",
      mcp: {
        server: "tools",
        method: "tools/call",
        tool: `s${i}.get`,
        resource: undefined,
        prompt: undefined,
        args: { id: 7 },
      },
    }),
  },
  llm: {
    rule: (i) => `allow r${i} on llm model "m${i}" when identity.kind == agent and llm.input_tokens < 1000`,
    request: (i) => ({
      ...around,
      protocol: "llm",
      llm: {
        provider: "acme",
        model: `m${i}`,
        tools: new Set<string>(),
        toolUse: undefined,
        inputTokens: 100,
        maxTokens: 10,
      },
    }),
  },
};

function nsPerCall(run: () => unknown): number {
  let best = Number.POSITIVE_INFINITY;
  for (let i = 0; i < 500; i += 1) run();
  for (let round = 0; round < 60; round += 1) {
    const start = process.hrtime.bigint();
    for (let i = 0; i < 500; i += 1) run();
    best = Math.min(best, Number(process.hrtime.bigint() - start) / 500);
  }
  return best;
}

const decisions: Record<string, Record<string, number>> = {};
for (const [name, { rule, request }] of Object.entries(subjects)) {
  for (const count of [10, 100, 1_000, 10_000]) {
    const text = `package bench\n${Array.from({ length: count }, (_, i) => rule(i)).join("\n")}\n`;
    const { policySet } = compileBundle(new Map([["a.policy", text]]), options);
    const asked = request(count / 2);
    if (policySet?.decide(asked).effect !== "allow") throw new Error("the bench request must be allowed");
    const ns = nsPerCall(() => policySet.decide(asked));
    const plain = JSON.parse(JSON.stringify(asked, (_, v: unknown) => (v instanceof Set ? [...v] : v)));
    const ratio = ns / nsPerCall(() => JSON.stringify(plain));
    decisions[`${name}, ${count} rules`] = {
      "ns per decision": Math.round(ns),
      "/ stringify": Number(ratio.toFixed(2)),
    };
  }
}
console.table(decisions);
