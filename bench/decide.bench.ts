// Cost of one decision for 10 to 10,000 rules, interleaved with JSON.stringify of the same request and with other engines.
//   node bench/decide.bench.ts [--others]
import * as cedar from "@cedar-policy/cedar-wasm/nodejs";
import { newEnforcer, newModelFromString } from "casbin";
import { compileBundle } from "../dsl/bundle.ts";
import { limits } from "../engine/limits.ts";
import type { Relation } from "../engine/model/catalog.ts";
import { decodeCatalogSnapshot } from "../engine/model/catalog-snapshot.ts";
import type { PolicyRequest } from "../engine/model/request.ts";
import { readRegoBundle } from "../engine/rego/bundle.ts";
import { RegoEvaluator } from "../engine/rego/evaluator.ts";
import { encodeInput } from "../engine/rego/input.ts";
import { buildRego, opa } from "../test/support/opa.ts";

const tables = 50;
const withOthers = process.argv.includes("--others");

const catalogText = JSON.stringify({
  gatewright: "catalog/1",
  database: "bench",
  schemas: {
    public: {
      relations: Object.fromEntries(
        Array.from({ length: tables }, (_, i) => [
          `t${i}`,
          {
            columns: [
              { name: "id", type: "integer" },
              { name: "email", type: "text" },
              { name: "tenant", type: "text" },
            ],
          },
        ]),
      ),
    },
  },
});
const catalog = (() => {
  const decoded = decodeCatalogSnapshot(catalogText);
  if (!decoded.ok) throw new Error(decoded.error.message);
  return decoded.value;
})();

/** Grants to groups, one deny in ten, spread over 50 tables; `reduce` adds a mask, a filter and a row limit. */
function policyText(rules: number, reduce: boolean): string {
  const lines = ['package bench\ncatalog "prod-pg" from "./catalog.json"\nlet is_agent = identity.kind == agent\n'];
  for (let i = 0; i < rules; i += 1) {
    const table = `public.t${i % tables}`;
    if (i % 10 === 9) lines.push(`deny r${i} on sql write of ${table} at "prod-*" when not sql.has_where because "no"`);
    else
      lines.push(`allow r${i} on sql read of ${table} at "prod-pg" when is_agent and identity.groups contains "g${i}"`);
  }
  if (reduce) {
    lines.push(
      "mask m of *.*.email using hash when is_agent",
      "filter f of public.t5 where row.tenant == identity.sub",
      "limit l to 500 rows on sql read when is_agent",
    );
  }
  return lines.join("\n");
}

function requestFor(relation: Relation, group: string): PolicyRequest {
  const columns = ["id", "email"];
  const refs = columns.map((column) => ({ relation, column }));
  return {
    protocol: "sql",
    sql: {
      accesses: [{ verb: "select", kind: "read", relation, columns, hasWhere: true, whereAlwaysTrue: false, via: [] }],
      verb: "select",
      statements: 1,
      tables: [relation],
      readTables: [relation],
      writeTables: [],
      columnsRead: refs,
      columnsWritten: [],
      columnsReturned: refs,
      functions: new Set(),
      hasLimit: false,
      limit: undefined,
      joins: 0,
      estimatedRows: undefined,
      text: "select id, email from public.t5 where id = 7",
      fingerprint: "0123456789abcdef",
    },
    identity: {
      sub: "bot-7",
      kind: "agent",
      groups: new Set([group, "staff"]),
      email: undefined,
      ip: "10.1.2.3",
      mfa: false,
      on_behalf_of: "olga",
      claims: { tenant: "acme" },
    },
    connection: { name: "prod-pg", env: "prod", tags: new Set<string>() },
    session: { id: "s-1", age: 60_000, purpose: "support" },
    time: { now: 1_767_787_200_000, hour: 12, minute: 0, weekday: "wed" },
    counter: () => 0,
    approved: new Set(),
  };
}

/** What another engine would be sent: relations by name, sets as lists. */
const plain = (request: PolicyRequest): unknown =>
  JSON.parse(
    JSON.stringify(request, (key, value: unknown) => {
      if (value instanceof Set) return [...value];
      return (key === "relation" || key === "0") &&
        typeof value === "object" &&
        value !== null &&
        "schema" in value &&
        "name" in value
        ? `${String(value.schema)}.${String(value.name)}`
        : value;
    }),
  );

/** ns per call: the fastest of many short rounds, taken in turns so that noise hits all alike. */
function measure(subjects: Readonly<Record<string, () => unknown>>, rounds: number): Record<string, number> {
  const best: Record<string, number> = {};
  const perRound: Record<string, number> = {};
  for (const [name, run] of Object.entries(subjects)) {
    for (let i = 0; i < 300; i += 1) run();
    const start = process.hrtime.bigint();
    run();
    perRound[name] = Math.max(
      1,
      Math.min(5_000, Math.round(1e6 / Math.max(1, Number(process.hrtime.bigint() - start)))),
    );
  }
  for (let round = 0; round < rounds; round += 1) {
    for (const [name, run] of Object.entries(subjects)) {
      const n = perRound[name] ?? 1;
      const start = process.hrtime.bigint();
      for (let i = 0; i < n; i += 1) run();
      const ns = Number(process.hrtime.bigint() - start) / n;
      best[name] = Math.min(best[name] ?? Number.POSITIVE_INFINITY, ns);
    }
  }
  return best;
}

function handWritten(rules: number): (group: string, verb: string, table: string) => boolean {
  const map = new Map<string, Map<string, Set<string>>>();
  for (let i = 0; i < rules; i += 1) {
    if (i % 10 === 9) continue;
    const byTable = map.get("select") ?? new Map<string, Set<string>>();
    map.set("select", byTable);
    byTable.set(`t${i % tables}`, (byTable.get(`t${i % tables}`) ?? new Set()).add(`g${i}`));
  }
  return (group, verb, table) => map.get(verb)?.get(table)?.has(group) ?? false;
}

async function casbinFor(rules: number, group: string): Promise<() => unknown> {
  const model = newModelFromString(
    "[request_definition]\nr = sub, obj, act\n[policy_definition]\np = sub, obj, act\n[policy_effect]\ne = some(where (p.eft == allow))\n[matchers]\nm = r.sub == p.sub && r.obj == p.obj && r.act == p.act",
  );
  const enforcer = await newEnforcer(model);
  await enforcer.addPolicies(Array.from({ length: rules }, (_, i) => [`g${i}`, `t${i % tables}`, "read"]));
  return () => enforcer.enforceSync(group, "t5", "read");
}

function cedarFor(rules: number, group: string): () => unknown {
  const text = Array.from(
    { length: rules },
    (_, i) => `permit(principal in G::"g${i}", action == Action::"read", resource == T::"t${i % tables}");`,
  ).join("\n");
  const parsed = cedar.preparsePolicySet(`bench${rules}`, { staticPolicies: text });
  if (parsed.type !== "success") throw new Error(parsed.errors.map((e) => e.message).join("; "));
  const uid = (type: string, id: string): { type: string; id: string } => ({ type, id });
  return () =>
    cedar.statefulIsAuthorized({
      principal: uid("U", "bot"),
      action: uid("Action", "read"),
      resource: uid("T", "t5"),
      context: {},
      preparsedPolicySetId: `bench${rules}`,
      entities: [{ uid: uid("U", "bot"), attrs: {}, parents: [uid("G", group)] }],
    });
}

const allowOf = (table: string, group: string): string =>
  `allow if { input.action == "read"; input.table == "${table}"; "${group}" in input.groups }`;

/** Through gw's own host, input encoded each time. undefined without an `opa` command to compile with. */
async function opaFor(rules: number, group: string, how: "data" | "rules"): Promise<(() => unknown) | undefined> {
  if (opa === undefined) return undefined;
  const grants: Record<string, Record<string, boolean>> = {};
  for (let i = 0; i < rules; i += 1) grants[`t${i % tables}`] = { ...grants[`t${i % tables}`], [`g${i}`]: true };
  const body =
    how === "data"
      ? 'allow if { input.action == "read"; some g in input.groups; data.grants[input.table][g] }'
      : Array.from({ length: rules }, (_, i) => allowOf(`t${i % tables}`, `g${i}`)).join("\n");
  const files = {
    "bench.rego": `package bench\nimport rego.v1\ndefault allow := false\n${body}\n`,
    ...(how === "data" ? { "data.json": JSON.stringify({ grants }) } : {}),
  };
  const bundle = readRegoBundle(await buildRego(files, ["bench/allow"]), limits);
  if (!bundle.ok) throw new Error(bundle.error);
  const { module, data } = bundle.value;
  const evaluator = RegoEvaluator.load({ module, data, entrypoint: undefined, pagesMax: limits.regoMemoryPagesMax });
  if (!evaluator.ok) throw new Error(evaluator.error);
  const run: RegoEvaluator = evaluator.value;
  return () => {
    const input = encodeInput({ action: "read", table: "t5", groups: [group, "staff"] }, limits);
    return input.ok && run.evaluate(input.value, 0);
  };
}

const relation = catalog.relations.get("public.t5");
if (!relation) throw new Error("the bench table is missing");
const rows: Record<string, string | number>[] = [];
for (const rules of [10, 100, 1_000, 10_000]) {
  const compiled: Record<string, ReturnType<typeof compileBundle>> = {};
  let compileMs = 0;
  for (const reduce of [false, true]) {
    const files = new Map([
      ["bench.policy", policyText(rules, reduce)],
      ["catalog.json", catalogText],
    ]);
    const start = process.cpuUsage();
    compiled[String(reduce)] = compileBundle(files, { revision: "bench", timeZone: "UTC" });
    if (reduce) continue;
    // CPU time: on a shared machine the clock says more about the others.
    const { user, system } = process.cpuUsage(start);
    compileMs = (user + system) / 1e3;
    compiled.closures = compileBundle(files, { revision: "bench", timeZone: "UTC", code: "closures" });
  }
  const [simple, reducing, closures] = [compiled.false, compiled.true, compiled.closures].map((c) => c?.policySet);
  if (!simple || !reducing || !closures) throw new Error(compiled.true?.diagnostics.map((d) => d.message).join("; "));
  // In the middle of the list: an engine that stops at the first match should not find it at once.
  const group = `g${Math.floor(rules / 2 / tables) * tables + 5}`;
  const request = requestFor(relation, group);
  const sent = plain(request);
  if (simple.decide(request).effect !== "allow") throw new Error("the bench request must be allowed");
  const byHand = handWritten(rules);
  const [asData, asRules] = withOthers
    ? [await opaFor(rules, group, "data"), await opaFor(rules, group, "rules")]
    : [undefined, undefined];
  const others: Readonly<Record<string, () => unknown>> = withOthers
    ? {
        "casbin enforceSync": await casbinFor(rules, group),
        "cedar-wasm preparsed": cedarFor(rules, group),
        ...(asData ? { "opa-wasm, grants as data": asData } : {}),
        ...(asRules ? { "opa-wasm, a rule per grant": asRules } : {}),
      }
    : {};
  for (const [name, run] of Object.entries(others)) {
    const answer = run();
    const isAllowed = answer === true || /"decision":"allow"|"value":true/.test(JSON.stringify(answer));
    if (!isAllowed) throw new Error(`${name} does not allow the request: ${JSON.stringify(answer).slice(0, 300)}`);
  }
  const best = measure(
    {
      decide: () => simple.decide(request),
      "decide, closures": () => closures.decide(request),
      "decide + mask, filter, limit": () => reducing.decide(request),
      stringify: () => JSON.stringify(sent),
      "by hand": () => byHand(group, "select", "t5"),
      ...others,
    },
    rules >= 10_000 && withOthers ? 20 : 60,
  );
  const ns = Object.fromEntries(Object.entries(best).map(([name, value]) => [name, Math.round(value)]));
  rows.push({
    rules,
    ...ns,
    "decide / stringify": Number(((best.decide ?? 0) / (best.stringify ?? 1)).toFixed(2)),
    "compile CPU ms": Math.round(compileMs),
  });
}
/** Sixteen candidates whose conditions name different facts, so that no index leaves one out. */
const scanned = [
  'allow a0 on sql read when is_agent and (session.purpose ?? "none") == "support" and sql.joins < 3',
  "allow a1 on sql read when identity.kind == human and identity.mfa",
  'deny d0 on sql when sql.statements > 1 because "one at a time"',
  'deny d1 on sql read when is_agent and time.hour not in 6..22 because "by day"',
  'deny d2 on sql read when sql.joins > 5 or count(sql.tables) > 4 because "too wide"',
  'deny d3 on sql when any f in sql.functions: f in ["pg_sleep", "dblink"] because "no"',
  'deny d4 on sql read unless identity.groups contains "staff" because "staff only"',
  'deny d5 on sql read when connection.env == "prod" and identity.on_behalf_of is absent because "for whom?"',
].flatMap((rule) => [rule, rule.replace(/^(\w+ \w+)/, "$1b")]);
const scan = (["automatic", "closures"] as const).map((code) => {
  const text = `package scan\nlet is_agent = identity.kind == agent\n${scanned.join("\n")}\n`;
  const { policySet, diagnostics } = compileBundle(new Map([["a.policy", text]]), {
    revision: "bench",
    timeZone: "UTC",
    code,
  });
  if (!policySet) throw new Error(diagnostics.map((d) => d.message).join("; "));
  return policySet;
});
const scanRequest = requestFor(relation, "staff");
if (scan.some((set) => set.decide(scanRequest).effect !== "allow")) throw new Error("the scan request must be allowed");
const scanNs = measure(
  { generated: () => scan[0]?.decide(scanRequest), closures: () => scan[1]?.decide(scanRequest) },
  200,
);
console.log("16 candidates, all asked: ns per decision", JSON.stringify(scanNs));
console.log("ns per decision (fastest of interleaved rounds)");
console.table(rows);
