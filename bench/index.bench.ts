// How fast statements are indexed and found: `npm run bench -- index [events]`. Half of the events are statements.
import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { SessionEvent } from "../engine/model/session-event.ts";
import { silentLog } from "../proxy/log.ts";
import { openRecorder } from "../proxy/recording/recorder.ts";
import { openSearchIndex, searchRecording } from "../proxy/recording/search.ts";
import { SearchIndex, type SearchQuery } from "../proxy/recording/search-index.ts";

const events = Number(process.argv[2] ?? 10_000_000);
const startMs = Date.UTC(2026, 0, 1);
const endMs = Date.UTC(2026, 10, 1);

/** Repeatable: a multiplicative congruence. */
let state = 42;
const random = (): number => {
  state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
  return state / 2 ** 32;
};
/** Few are frequent, most are rare. */
const skewed = (n: number): number => Math.floor(n * random() ** 4);

const [people, sessions, tables, texts] = [2_000, 50_000, 300, 200_000];
type Start = Extract<SessionEvent, { readonly type: "session-start" }>;
type Statement = Extract<SessionEvent, { readonly type: "statement" }>;

const startOf = (i: number): Start => ({
  atMs: startMs,
  session: `ses_${i}`,
  type: "session-start",
  connection: "prod",
  protocol: "postgres",
  principal: { sub: `person-${i % people}@larch.test`, kind: "human", groups: [], onBehalfOf: undefined },
  client: "10.0.0.1",
  application: undefined,
});

function statementOf(i: number, of: number): Statement {
  const text = skewed(texts);
  const table = text % tables;
  const isDenied = random() < 0.0005;
  return {
    atMs: startMs + Math.floor(((endMs - startMs) * i) / of),
    session: `ses_${skewed(sessions)}`,
    type: "statement",
    id: `dec_${i}`,
    statement: `select id, name, c${text} from table_${table} where id = $1 and state = 'word${text}' order by id limit 3`,
    fingerprint: "50fde20626009aba",
    isCut: false,
    statementSha256: undefined,
    parameters: 1,
    accesses: [`select public.table_${table} (id, name, c${text % 7})`],
    factsDigest: undefined,
    effect: isDenied ? "deny" : "allow",
    rules: [isDenied ? "larch.shop.no" : `larch.shop.rule_${table % 40}`],
    causes: [],
    masks: [],
    filters: [],
    policy: "sha256:1",
    revision: "r1",
  };
}

const folder = mkdtempSync(join(tmpdir(), "gw-bench-index-"));
try {
  // From the chain on disk, a smaller one.
  const directory = join(folder, "recording");
  const recorder = openRecorder({
    directory,
    durability: "batched",
    node: "n",
    clock: { nowMs: Date.now },
    log: silentLog,
  });
  const few = 200_000;
  for (let i = 0; i < 1_000; i += 1) recorder.recordIntent([startOf(i)]);
  for (let i = 0; i < few; i += 1) {
    const asked = statementOf(i, few);
    recorder.recordIntent([
      asked,
      {
        atMs: asked.atMs,
        session: asked.session,
        type: "completion",
        id: asked.id,
        outcome: "ok",
        tag: "SELECT 1",
        sqlstate: undefined,
        rows: 1,
        bytes: 100,
        durationUs: 200,
      },
    ]);
  }
  await recorder.close();
  const readFrom = performance.now();
  const small = await openSearchIndex(directory, { path: join(folder, "small.sqlite") });
  const linesPerS = Math.round((few * 2 + 1_002) / ((performance.now() - readFrom) / 1_000));
  const smallFrom = performance.now();
  const shown = searchRecording(directory, small, { decision: "deny", limit: 50 }).length;
  console.log(
    `From a recording on disk: ${linesPerS} lines indexed per second; ${shown} denials found, read and checked in ${(performance.now() - smallFrom).toFixed(1)} ms.\n`,
  );
  small.close();

  const path = join(folder, "index.sqlite");
  const index = new SearchIndex(path);
  const statements = events / 2;
  const from = performance.now();
  for (let i = 0; i < sessions; i += 1) index.addStart(startOf(i), { chain: "", segment: "00000001.jsonl" });
  for (let i = 0; i < statements; i += 1) {
    index.add(statementOf(i, statements), { chain: "", segment: "00000001.jsonl", offset: i * 600, length: 599 });
    if (i % 50_000 === 49_999) index.commit("", { segment: "00000001.jsonl", offset: i * 600, hash: "" });
  }
  index.commit("", { segment: "00000001.jsonl", offset: 0, hash: "" });
  index.search({ limit: 1 });
  const seconds = (performance.now() - from) / 1_000;
  console.log(
    `${events} events (${statements} statements): indexed in ${seconds.toFixed(0)} s, ${Math.round(statSync(path).size / 1e6)} MB.\n`,
  );
  const day = 86_400_000;
  const queries: Readonly<Record<string, Omit<SearchQuery, "limit">>> = {
    "the newest": {},
    "a busy person": { person: "person-0@larch.test" },
    "a rare person": { person: "person-1999@larch.test" },
    "all denials": { decision: "deny" },
    "a busy person's denials": { person: "person-0@larch.test", decision: "deny" },
    "a rare person's denials": { person: "person-1999@larch.test", decision: "deny" },
    "a table": { table: "table_7" },
    "a table, its column, a person": { table: "public.table_7", column: "c3", person: "person-17@larch.test" },
    "a rule within a day": { rule: "larch.shop.rule_7", sinceMs: startMs + 100 * day, untilMs: startMs + 101 * day },
    "a rare word": { text: "word199999" },
    "a word of one busy text": { text: "word0" },
    "a word of every text": { text: "limit" },
    "a word of every text, a rare person, denials": {
      text: "limit",
      person: "person-1999@larch.test",
      decision: "deny",
    },
    "a word of every text, a table that it isn't with": { text: "table_8", table: "table_7" },
    nobody: { person: "nobody" },
  };
  console.log("| query | found | ms, first | ms, median of 9 |\n|---|---|---|---|");
  for (const [name, query] of Object.entries(queries)) {
    const times: number[] = [];
    let found = 0;
    for (let i = 0; i < 10; i += 1) {
      const at = performance.now();
      found = index.search({ ...query, limit: 50 }).length;
      times.push(performance.now() - at);
    }
    const [first = 0, ...rest] = times;
    console.log(`| ${name} | ${found} | ${first.toFixed(1)} | ${(rest.sort((a, b) => a - b)[4] ?? 0).toFixed(1)} |`);
  }
  index.close();
} finally {
  rmSync(folder, { recursive: true, force: true });
}
