// Whatever was recorded: a learned policy allows all of it, passes its own tests, and allows nothing that nobody of that kind did.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { learnPolicy } from "../../cli/learn/learn-policy.ts";
import { RecordedRequests } from "../../cli/recorded-request.ts";
import { snapshotAnalyzer } from "../../cli/snapshot-analyzer.ts";
import { compileBundle } from "../../dsl/bundle.ts";
import { decodeCatalogSnapshot } from "../../engine/model/catalog-snapshot.ts";
import type { SessionEvent } from "../../engine/model/session-event.ts";
import { describeAccess } from "../../proxy/gate/session-events.ts";
import { timeFactsIn } from "../../proxy/gate/time-facts.ts";
import type { RecordedEvent } from "../../proxy/recording/read.ts";

const runs = { numRuns: Number(process.env.GW_RUNS ?? 40) };

const column = (name: string) => ({ name, type: "text" });
const catalogText = JSON.stringify({
  gatewright: "catalog/1",
  database: "law",
  schemas: {
    public: {
      relations: {
        people: { columns: ["id", "name", "iban"].map(column) },
        orders: { columns: ["id", "total", "by"].map(column) },
        "Odd Ones": { columns: ["a b", "id"].map(column) },
        audit: { columns: ["id"].map(column) },
      },
    },
    hr: { relations: { pay: { columns: ["id", "salary"].map(column) } } },
  },
});
const snapshot = decodeCatalogSnapshot(catalogText);
assert.ok(snapshot.ok);
const catalogs = new Map([["db", snapshot.value]]);
const analyze = snapshotAnalyzer(catalogs);

type Request = {
  readonly protocol: "postgres" | "http" | "mcp" | "llm";
  readonly access: string;
  readonly text: string;
};

const sqlTexts = [
  "select id from people",
  "select name, iban from people where id = 'x'",
  "select count(*) from people",
  'select "by" from orders where total = $1',
  'select "a b" from "Odd Ones"',
  "select p.id from people p join hr.pay on pay.id = p.id",
  "insert into orders (id, total) values ('1', '2')",
  "insert into orders default values",
  "update orders set total = 'x' where id = 'y'",
  "update orders set total = 'x'",
  'update "Odd Ones" set "a b" = null where id = $1',
  "delete from hr.pay where salary = '9'",
  "delete from hr.pay",
  "truncate orders",
  "with d as (delete from orders where id = '1' returning id) select id from d",
  "select 1",
  "begin",
  "set application_name = 'x'",
  "explain select salary from hr.pay",
] as const;
const sql: fc.Arbitrary<Request> = fc.constantFrom(...sqlTexts).map((text) => {
  const facts = analyze(text, "db");
  assert.ok(!("code" in facts), text);
  return { protocol: "postgres", access: facts.flatMap((f) => f.accesses.map(describeAccess)).join("\n"), text };
});
const segment = fc.oneof(
  fc.constantFrom("users", "orders", "v1", "me", "7", "-3", "ana@example.com", "DE02", "a b", "{int}", "é"),
  fc.stringMatching(/^[a-z]{1,6}$/),
);
const http = fc
  .record({ method: fc.constantFrom("GET", "POST", "DELETE"), segments: fc.array(segment, { maxLength: 4 }) })
  .map(({ method, segments }): Request => {
    const access = `${method} /${segments.join("/")}`;
    return { protocol: "http", access, text: access };
  });
const mcp = fc
  .constantFrom(
    ["tools/call", "crm.refund"],
    ["tools/call", "crm.find"],
    ["prompts/get", "crm.greet"],
    ["resources/read", "crm://customers/ana@example.com/notes"],
    ["resources/subscribe", "crm://customers/all"],
    ["sampling/createMessage"],
    ["tools/list"],
  )
  .map((parts): Request => ({ protocol: "mcp", access: parts.join(" "), text: parts.join(" ") }));
const llm = fc
  .constantFrom("model claude-x", "model other", "tool bash", "tool crm_find", "model ")
  .map((access): Request => ({ protocol: "llm", access, text: access }));

/** Names as nobody would choose them: quotes, braces, hidden characters, words of the language. */
const name = fc.oneof(
  fc.constantFrom("support", "all", "none", 'a"b{c}', "\u202egroup", "été", "9 lives", "a\nb"),
  fc.string({ unit: "grapheme", minLength: 1, maxLength: 6 }),
);
const caller = fc.record({
  sub: name,
  kind: fc.constantFrom("human", "agent", "service"),
  groups: fc.uniqueArray(name, { maxLength: 3 }),
  onBehalfOf: fc.option(fc.constant("ana"), { nil: undefined }),
});
const entry = fc.record({
  who: fc.nat(7),
  request: fc.oneof(sql, http, mcp, llm),
  effect: fc.constantFrom("allow" as const, "allow" as const, "allow" as const, "deny" as const),
});
const traffic = fc.record({
  callers: fc.array(caller, { minLength: 1, maxLength: 8 }),
  entries: fc.array(entry, { minLength: 1, maxLength: 40 }),
});

type Traffic = typeof traffic extends fc.Arbitrary<infer T> ? T : never;

const places = { postgres: "db", http: "api", mcp: "crm", llm: "model" } as const;

function eventsOf({ callers, entries }: Traffic): readonly RecordedEvent[] {
  const events: SessionEvent[] = [];
  const started = new Set<string>();
  for (const [i, { who, request, effect }] of entries.entries()) {
    const principal = callers[who % callers.length];
    assert.ok(principal);
    const session = `ses_${who % callers.length}_${request.protocol}`;
    const { protocol, access, text } = request;
    if (!started.has(session)) {
      const { sub, kind, groups, onBehalfOf } = principal;
      events.push({
        ...{ atMs: 1_000, session, type: "session-start", protocol, connection: places[protocol] },
        ...{ principal: { sub, kind, groups, onBehalfOf }, client: "10.0.0.1", application: undefined },
      });
      started.add(session);
    }
    events.push({
      ...{ atMs: 2_000 + i, session, type: "statement", id: `dec_${i}`, statement: text, fingerprint: undefined },
      ...{ isCut: false, statementSha256: undefined, parameters: 0, accesses: access.split("\n") },
      ...{ factsDigest: undefined, effect, rules: [], causes: [], masks: [], filters: [], policy: "p", revision: "r" },
    });
  }
  return events.map((event, i) => ({ ...event, seq: i + 1, hash: "" }));
}

async function* streamOf(events: readonly RecordedEvent[]): AsyncGenerator<RecordedEvent> {
  yield* events;
}

const learn = (events: readonly RecordedEvent[]) =>
  learnPolicy({
    events: () => streamOf(events),
    fromMs: 0,
    untilMs: Number.MAX_SAFE_INTEGER,
    connections: undefined,
    catalogs,
    documentedRoute: () => undefined,
    files: new Map([["learned.db.json", catalogText]]),
    catalogPaths: [{ connection: "db", path: "learned.db.json" }],
    path: "learned.policy",
    package: "learned",
    keep: new Map(),
    timeZone: "UTC",
  });

test("a learned policy allows all that was allowed, and passes its own tests", async () => {
  await fc.assert(
    fc.asyncProperty(traffic, async (recorded) => {
      // Its own tests have run when it is there: it throws where one fails.
      const { replay, observed, text } = await learn(eventsOf(recorded));
      const refused = replay.differences.filter(({ kind }) => kind === "refused" || kind === "held");
      const lost = refused.reduce((sum, { count }) => sum + count, 0);
      assert.deepEqual({ lost, open: replay.open }, { lost: observed.notUnderstood + observed.unnamed, open: 0 }, text);
    }),
    runs,
  );
});

test("a learned policy allows nothing that nobody of that kind was seen to use", async () => {
  await fc.assert(
    fc.asyncProperty(traffic, traffic, async (recorded, others) => {
      const { text } = await learn(eventsOf(recorded));
      const bundle = compileBundle(
        new Map([
          ["learned.policy", text],
          ["learned.db.json", catalogText],
        ]),
        {
          revision: "1",
          timeZone: "UTC",
        },
      );
      const policies = bundle.policySet;
      assert.ok(policies);
      const seen = new Set(
        recorded.entries.flatMap(({ who, request, effect }) => {
          const kind = recorded.callers[who % recorded.callers.length]?.kind;
          return effect === "allow" ? [`${kind} ${request.access}`] : [];
        }),
      );
      // Asked by the callers of this recording, for what the other one has.
      const asked = eventsOf({ ...others, callers: recorded.callers });
      const requests = new RecordedRequests(analyze, timeFactsIn("UTC"));
      for (const event of asked) {
        requests.see(event);
        if (event.type !== "statement") continue;
        const request = requests.requestOf(event);
        const kind = requests.startOf(event)?.principal.kind;
        if (request === undefined || seen.has(`${kind} ${event.accesses.join("\n")}`)) continue;
        if (policies.decide({ ...request, counter: () => 0 }).effect === "deny") continue;
        // It is made of what was seen, or a value in the place of another one.
        assert.ok(isMadeOf(event.accesses, kind ?? "", seen), `${kind} ${event.accesses.join("; ")}\n${text}`);
      }
    }),
    runs,
  );
});

function isMadeOf(accesses: readonly string[], kind: string, seen: ReadonlySet<string>): boolean {
  const parts = [...seen].flatMap((text) =>
    text.startsWith(`${kind} `) ? text.slice(kind.length + 1).split("\n") : [],
  );
  return accesses.every((access) => {
    const [method = "", path] = access.split(" ", 2);
    // The built-in lists of MCP and models need no rule.
    if (access === "tools/list" || access === "model ") return true;
    if (path?.startsWith("/")) return parts.some((part) => routeShape(part) === routeShape(access));
    if (path?.includes("://")) return parts.some((part) => part.startsWith(`${method} `));
    const table = parseTable(access);
    const same = parts.map(parseTable).filter((part) => part.name === table.name);
    const columns = new Set(same.flatMap((part) => part.columns));
    return same.length > 0 && table.columns.every((name) => columns.has(name));
  });
}

/** Method and number of segments: what placeholders leave of a path. */
const routeShape = (access: string): string => access.replace(/\/[^/]*/g, "/");

function parseTable(access: string): { readonly name: string; readonly columns: readonly string[] } {
  const [, name = access, columns] = /^(\S+ .*?) \((.*)\)$/.exec(access) ?? [];
  return { name, columns: columns?.split(", ") ?? [] };
}
