// The index finds what a walk over the whole recording finds, follows it as it grows, and is never believed.
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import fc from "fast-check";
import { momentOf } from "../../cli/commands/sessions-search.ts";
import { main } from "../../cli/main.ts";
import { limits } from "../../engine/limits.ts";
import type { SessionEvent } from "../../engine/model/session-event.ts";
import { GatewayError } from "../../proxy/errors.ts";
import { silentLog } from "../../proxy/log.ts";
import { verifyRecording } from "../../proxy/recording/read.ts";
import { openRecorder } from "../../proxy/recording/recorder.ts";
import { indexName, openSearchIndex, searchRecording } from "../../proxy/recording/search.ts";
import type { SearchQuery } from "../../proxy/recording/search-index.ts";
import { openSqlite } from "../../proxy/sqlite.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";
import { captured } from "../support/terminal.ts";
import { examples } from "./example-events.ts";

type Statement = Extract<SessionEvent, { readonly type: "statement" }>;
const startMs = Date.UTC(2026, 10, 22);

const start = (session: string, sub: string, onBehalfOf?: string, chain?: readonly string[]): SessionEvent => ({
  ...examples["session-start"],
  atMs: startMs,
  session,
  principal: { sub, kind: "human", groups: [], onBehalfOf, ...(chain === undefined ? {} : { chain }) },
});
const starts = [
  start("s0", "kim"),
  start("s1", "agent/nora", "kim"),
  start("s2", "agent/x", "sam", ["sam", "ann", "agent/x"]),
];
const peopleOf: Readonly<Record<string, readonly string[]>> = {
  s0: ["kim"],
  s1: ["agent/nora", "kim"],
  s2: ["agent/x", "sam", "ann"],
};

const { values: _, sealed: __, statementSha256: ___, ...plain } = examples.statement;
const statements: fc.Arbitrary<Statement> = fc
  .record({
    session: fc.constantFrom("s0", "s1", "s2"),
    atMs: fc.integer({ min: startMs, max: startMs + 20 }),
    text: fc.constantFrom(
      "select order_id from orders",
      "delete from orders where total > 5",
      "select 'Zürich' -- \"x\"",
      "commit",
    ),
    accesses: fc.subarray([
      "select public.orders (id, total)",
      "delete public.orders",
      "select hr.people (iban)",
      "GET /people",
    ]),
    rules: fc.subarray(["a.b.one", "a.b.two"]),
    effect: fc.constantFrom("allow", "deny", "approval"),
    id: fc.uuid(),
  })
  .map(({ text, ...rest }) => ({ ...plain, ...rest, isCut: false, statementSha256: undefined, statement: text }));

const queries: fc.Arbitrary<SearchQuery> = fc.record(
  {
    person: fc.constantFrom("kim", "agent/nora", "ann", "nobody"),
    table: fc.constantFrom("orders", "public.orders", "people", "other.orders"),
    column: fc.constantFrom("id", "iban", "none"),
    rule: fc.constantFrom("a.b.one", "a.b.two", "a.b"),
    decision: fc.constantFrom("allow", "deny", "approval"),
    sinceMs: fc.integer({ min: startMs, max: startMs + 20 }),
    untilMs: fc.integer({ min: startMs, max: startMs + 20 }),
    text: fc.constantFrom("orders", "order_id", "from delete", "ZURICH", '"', 'x" OR "select', "nothing"),
    limit: fc.constant(100),
  },
  { requiredKeys: ["limit"] },
);

/** The same question, put to every event. */
function walk(events: readonly Statement[], q: SearchQuery): readonly string[] {
  const wordsOf = (text: string): readonly string[] =>
    text
      .normalize("NFD")
      .replaceAll(/\p{M}/gu, "")
      .toLowerCase()
      .split(/[^\p{L}\p{N}]+/u)
      .filter((word) => word !== "");
  const hasWords = (statement: string, text: string): boolean => {
    const parts = text
      .split(/\s+/)
      .map(wordsOf)
      .filter((words) => words.length > 0);
    const whole = ` ${wordsOf(statement).join(" ")} `;
    return parts.length > 0 && parts.every((words) => whole.includes(` ${words.join(" ")} `));
  };
  const touches = (access: string): boolean => {
    const [, object = "", columns = ""] = /^\S+ (.+?)(?: \((.*)\))?$/.exec(access) ?? [];
    const isTable = q.table === undefined || object === q.table || object.split(".").at(-1) === q.table;
    return isTable && (q.column === undefined || columns.split(", ").includes(q.column));
  };
  return events
    .filter(
      (e) =>
        (q.person === undefined || (peopleOf[e.session] ?? []).includes(q.person)) &&
        ((q.table ?? q.column) === undefined || e.accesses.some(touches)) &&
        (q.rule === undefined || e.rules.includes(q.rule)) &&
        (q.decision === undefined || e.effect === q.decision) &&
        e.atMs >= (q.sinceMs ?? 0) &&
        e.atMs <= (q.untilMs ?? Number.MAX_SAFE_INTEGER) &&
        (q.text === undefined || hasWords(e.statement, q.text)),
    )
    .map(({ id }) => id)
    .sort();
}

const record = async (directory: string, events: readonly SessionEvent[]): Promise<void> => {
  const options = { node: "n", clock: { nowMs: () => startMs }, log: silentLog, segmentBytesMax: 4_000 };
  const recorder = openRecorder({ directory, durability: "batched", ...options });
  for (const event of events) recorder.recordIntent([event]);
  await recorder.close();
};
const idsOf = (found: readonly SessionEvent[]): readonly string[] =>
  found.flatMap((e) => (e.type === "statement" ? [e.id] : []));

test("it finds what a walk over the recording finds, whatever is asked, also as the recording grows", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(statements, { maxLength: 25 }),
      fc.array(statements, { maxLength: 10 }),
      fc.array(queries, { minLength: 10, maxLength: 30 }),
      async (first, second, asked) => {
        const directory = temporaryFolder();
        const path = join(directory, indexName);
        await record(directory, [...starts, ...first]);
        (await openSearchIndex(directory, { path })).close();
        await record(directory, second);
        const index = await openSearchIndex(directory, { path });
        try {
          for (const query of asked) {
            const found = searchRecording(directory, index, query);
            assert.deepEqual([...idsOf(found)].sort(), walk([...first, ...second], query), JSON.stringify(query));
            assert.ok(found.every((event, i) => i === 0 || (found[i - 1]?.atMs ?? 0) >= event.atMs));
          }
        } finally {
          index.close();
        }
      },
    ),
    { numRuns: 15 },
  );
});

const some: readonly SessionEvent[] = [
  ...starts,
  {
    ...plain,
    isCut: false,
    statementSha256: undefined,
    session: "s0",
    atMs: startMs + 1,
    id: "dec_a",
    effect: "deny",
    statement: "drop table orders",
  },
  {
    ...plain,
    isCut: false,
    statementSha256: undefined,
    session: "s1",
    atMs: startMs + 2,
    id: "dec_b",
    effect: "allow",
    statement: "select 1",
  },
];

const search = async (directory: string, ...args: readonly string[]) => {
  const terminal = captured();
  const code = await main(["sessions", "search", "--recording", directory, ...args], terminal);
  return { code, out: terminal.stdout(), err: terminal.stderr() };
};

test("words of very many texts are found with and without what else is asked, listed or asked about one by one", async () => {
  const directory = temporaryFolder();
  const events = Array.from(
    { length: 1_500 },
    (_, i): Statement => ({
      ...plain,
      session: i % 3 === 0 ? "s0" : "s1",
      atMs: startMs + i,
      isCut: false,
      statementSha256: undefined,
      id: `dec_${i}`,
      statement: `select ${i} from ${i % 2 === 0 ? "orders" : "people"} where word${i % 7}`,
      accesses: [i % 5 === 0 ? "select hr.people (iban)" : "select public.orders (id)"],
      effect: i % 11 === 0 ? "deny" : "allow",
    }),
  );
  await record(directory, [...starts, ...events]);
  for (const searchTextsListed of [limits.searchTextsListed, 600]) {
    const index = await openSearchIndex(directory, { path: join(temporaryFolder(), "i.sqlite"), searchTextsListed });
    for (const query of [
      { text: "orders" },
      { text: "select people" },
      { text: "orders", table: "people" },
      { text: "orders", person: "kim", decision: "deny" },
      { text: "people", sinceMs: startMs + 100, untilMs: startMs + 120 },
    ] as const) {
      const asked = { ...query, limit: 5_000 };
      assert.deepEqual([...idsOf(searchRecording(directory, index, asked))].sort(), walk(events, asked));
    }
    index.close();
  }
});

test("`gw sessions search` prints what it finds and ends with 1 for nothing", async () => {
  const directory = temporaryFolder();
  await record(directory, some);
  const { code, out } = await search(directory, "--decision", "deny", "--since", "2026-11-22");
  assert.equal(code, 0);
  assert.match(out, /2026-11-22T00:00:00.001Z +s0 +deny +dec_a +drop table orders/);
  assert.ok(!out.includes("dec_b"));
  assert.deepEqual(await search(directory, "--person", "nobody"), { code: 1, out: "nothing found\n", err: "" });
  const json = await search(directory, "--person", "kim", "--json");
  assert.deepEqual(
    json.out
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line).id),
    ["dec_b", "dec_a"],
  );
  assert.equal((await search(directory, "--since", "yesterday")).code, 2);
  const worker = some.slice(3).map((event) => ({ ...event, id: "dec_w", statement: "select 'in a worker'" }));
  await record(
    join(directory, "worker-1"),
    [starts[0] ?? worker[0], ...worker].flatMap((event) => event ?? []),
  );
  assert.match((await search(directory, "--text", "in worker")).out, /dec_w/);
  // The index beside it is none of the recording's business.
  assert.deepEqual((await verifyRecording(directory)).damage, []);
});

test("what an index says is read again and checked: a changed line is refused, a foreign index is built anew", async () => {
  const directory = temporaryFolder();
  await record(directory, some);
  await search(directory, "--text", "drop");
  const other = temporaryFolder();
  await record(other, [...starts, ...some.slice(3).map((event) => ({ ...event, atMs: startMs + 50 }))]);
  const path = join(directory, indexName);
  const foreign = await search(other, "--text", "drop", "--index", path, "--json");
  assert.equal(JSON.parse(foreign.out).atMs, startMs + 50);
  await search(directory, "--text", "drop");
  const segment = join(directory, "00000001.jsonl");
  writeFileSync(segment, readFileSync(segment, "utf8").replace("drop table orders", "drop table others"));
  const changed = await search(directory, "--text", "drop");
  assert.equal(changed.code, 1);
  assert.match(changed.err, /recording-damaged.*hash-wrong/);
});

test("an index of an earlier version is built anew by itself; what is no index of ours is left alone", async () => {
  const directory = temporaryFolder();
  await record(directory, [...starts]);
  for (const version of [1, 2]) {
    const path = join(temporaryFolder(), "old.sqlite");
    const old = openSqlite(path, { synchronous: "OFF", schema: "", busyTimeoutMs: 5_000 });
    old.exec(`CREATE TABLE progress (chain TEXT); CREATE TABLE statement (id INTEGER); CREATE TABLE person (id INTEGER);
      CREATE VIRTUAL TABLE words USING fts5 (statement, content=''); PRAGMA user_version = ${version}`);
    old.close();
    const index = await openSearchIndex(directory, { path });
    assert.deepEqual(searchRecording(directory, index, { limit: 5 }), []);
    assert.ok(index.progress("") !== undefined);
    index.close();
  }
  for (const [tables, version] of [
    ["CREATE TABLE theirs (id INTEGER); CREATE TABLE progress (id INTEGER)", 1],
    ["CREATE TABLE progress (id INTEGER); CREATE TABLE statement (id INTEGER); CREATE TABLE words (id INTEGER)", 99],
  ] as const) {
    const path = join(temporaryFolder(), "theirs.sqlite");
    const theirs = openSqlite(path, { synchronous: "OFF", schema: "", busyTimeoutMs: 5_000 });
    theirs.exec(`${tables}; PRAGMA user_version = ${version}`);
    theirs.close();
    await assert.rejects(
      openSearchIndex(directory, { path }),
      (error: unknown) => error instanceof GatewayError && (error.help ?? "").includes("--rebuild"),
    );
    const again = openSqlite(path, { synchronous: "OFF", schema: "", busyTimeoutMs: 5_000 });
    assert.ok(again.prepare("SELECT 1 FROM progress").all().length === 0);
    again.close();
  }
});

test("moments are times with UTC as their zone, or how long ago", () => {
  const nowMs = Date.UTC(2026, 10, 22, 12);
  assert.deepEqual(
    ["90m", "7d", "2026-11-22", "2026-11-22T09:30", "2026-11-22T09:30+02:00"].map((text) => momentOf(text, nowMs)),
    [
      nowMs - 5_400_000,
      nowMs - 604_800_000,
      Date.UTC(2026, 10, 22),
      Date.UTC(2026, 10, 22, 9, 30),
      Date.UTC(2026, 10, 22, 7, 30),
    ],
  );
  for (const text of ["", "7", "1w", "2026-13-40", "tomorrow"]) assert.throws(() => momentOf(text, nowMs));
});
