// What the gateway notices by itself, through a real gateway in front of a real database.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Baseline, SlidingSum } from "../../proxy/telemetry/baseline.ts";
import { GateWatch } from "../../proxy/telemetry/watch.ts";
import { eventually } from "../support/eventually.ts";
import { refusalOf, startTestGateway } from "../support/gateway.ts";

const day = new Date().getUTCDay();
const weekdays = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];
/** A day that is neither today nor tomorrow. */
const otherDay = weekdays[(day + 3) % 7];

const table = (...columns: readonly object[]) => ({ kind: "table", columns });
const id = { name: "id", type: "integer" };
const relations = {
  notes: table(id, { name: "body", type: "text" }),
  people: table(id, { name: "iban", type: "text", tags: ["pii"] }),
  honey: table(id),
  keys: table(id, { name: "bait", type: "text" }),
};
const snapshot = {
  gatewright: "catalog/1",
  database: "app",
  serverVersion: 180004,
  schemas: { public: { relations } },
};

const gateway = await startTestGateway({
  schema: `
CREATE TABLE notes (id int, body text);
CREATE TABLE people (id int, iban text);
CREATE TABLE honey (id int);
CREATE TABLE keys (id int, bait text);
INSERT INTO people SELECT i, 'DE' || i FROM generate_series(1, 500) i;`,
  policy: `
package test
catalog "test-pg" from "./catalog.json"
allow reads on sql read
allow writes on sql write
deny honey_is_closed on sql read of public.honey
  because "nobody reads this"
deny enough on sql
  when monitor.denials >= 4
  because "too many requests of this caller were denied"
alert first_use to "#privacy" on sql read
  when monitor.is_first_access
`,
  files: { "catalog.json": JSON.stringify(snapshot) },
  config: `
monitoring:
  channel: "#soc"
  surge: { factor: 2, at_least: 20 }
  first_access: { tags: [pii] }
  bulk: { rows: 900 }
  off_hours: { hours: "00:00-23:59", days: [${otherDay}] }
  new_shape: { after: 3 }
  denials: { count: 3 }
  canaries: { tables: [public.honey], columns: [public.keys.bait] }
`,
});

/** What the monitor found about `session`, oldest first. */
async function findingsOf(sub: string): Promise<readonly string[]> {
  const events = await gateway.events();
  const sessions = new Set(
    events.flatMap((event) => (event.type === "session-start" && event.principal.sub === sub ? [event.session] : [])),
  );
  return events.flatMap((event) =>
    event.type === "alert" && event.rule.startsWith("monitor.") && sessions.has(event.session)
      ? [`${event.rule} ${event.channel}: ${event.message}`]
      : [],
  );
}

const found = (sub: string, pattern: RegExp): Promise<string> =>
  eventually(async () => (await findingsOf(sub)).find((text) => pattern.test(text)));

test("a surge of writes is found and on record, with names and numbers only", async () => {
  const client = await gateway.connect({ sub: "batch", kind: "service" });
  await client.query("INSERT INTO notes SELECT i, 'row-content' FROM generate_series(1, 30) i");
  await client.query("INSERT INTO notes SELECT i, 'row-content' FROM generate_series(1, 30) i");
  assert.equal(
    await found("batch", /surge/),
    "monitor.surge #soc: wrote 60 rows of public.notes in a minute; nothing is known of before",
  );
});

test("reading many rows in a while is found, however small each statement is", async () => {
  const client = await gateway.connect({ sub: "exporter", kind: "service" });
  for (let i = 0; i < 2; i += 1) await client.query("SELECT id FROM people");
  assert.match(await found("exporter", /bulk/), /^monitor\.bulk-export #soc: read 1000 rows, \d+ bytes in 10 minutes$/);
});

test("a canary is found when it is touched, also where that is denied", async () => {
  const client = await gateway.connect({ sub: "thief", kind: "agent" });
  await refusalOf(client, "SELECT * FROM honey");
  await client.query("SELECT bait FROM keys");
  assert.equal(await found("thief", /honey/), "monitor.canary #soc: touched the canary public.honey");
  assert.equal(await found("thief", /keys/), "monitor.canary #soc: touched the canary public.keys.bait");
});

test("repeated denials are found, and a rule can close the door on them", async () => {
  const client = await gateway.connect({ sub: "prober", kind: "agent" });
  await client.query("SELECT 1 FROM notes");
  for (let i = 0; i < 4; i += 1) await refusalOf(client, "SELECT id FROM honey");
  assert.equal(await found("prober", /denials/), "monitor.repeated-denials #soc: was denied 3 times");
  const { message } = await refusalOf(client, "SELECT 1 FROM notes");
  assert.equal(message, "too many requests of this caller were denied");
  const other = await gateway.connect({ sub: "quiet", kind: "agent" });
  assert.equal((await other.query("SELECT 1 FROM notes LIMIT 0")).rowCount, 0);
});

test("the first use of a table with a sensitive tag is found, and rules hear of it", async () => {
  const client = await gateway.connect({ sub: "newcomer", kind: "service" });
  await client.query("SELECT id FROM people LIMIT 1");
  assert.match(
    await found("newcomer", /first/),
    /^monitor\.first-access #soc: uses public\.people for the first time$/,
  );
  await client.query("SELECT id FROM people LIMIT 2");
  await client.end();
  const events = await eventually(async () => {
    const all = await gateway.events();
    const ids = new Set(
      all.flatMap((e) => (e.type === "session-start" && e.principal.sub === "newcomer" ? [e.session] : [])),
    );
    const own = all.filter(({ session }) => ids.has(session));
    return own.some(({ type }) => type === "session-end") ? own : undefined;
  });
  const alerts = events.flatMap((event) => (event.type === "alert" ? [event.rule] : []));
  assert.deepEqual(alerts.sort(), ["monitor.first-access", "test.first_use"]);
});

test("a statement of a new shape is found once a caller is known", async () => {
  const client = await gateway.connect({ sub: "app", kind: "service" });
  for (let i = 0; i < 5; i += 1) await client.query(`SELECT id FROM people WHERE id = ${i}`);
  await client.query("SELECT iban FROM people ORDER BY id LIMIT 1");
  assert.equal(await found("app", /shape/), "monitor.new-shape #soc: runs a statement of a new shape (select)");
  assert.equal((await findingsOf("app")).filter((text) => /shape/.test(text)).length, 1);
});

test("people who work outside of the usual hours are found, services are not", async () => {
  const client = await gateway.connect({ sub: "ana", kind: "human" });
  await client.query("SELECT 1 FROM notes LIMIT 1");
  assert.equal(await found("ana", /off-hours/), "monitor.off-hours #soc: works outside of the usual hours");
  assert.deepEqual(
    (await findingsOf("exporter")).filter((text) => /off-hours/.test(text)),
    [],
  );
});

test("a baseline knows a busy minute of the same hour last week, and that a quiet one isn't busy", () => {
  const baseline = new Baseline(0, 3);
  assert.equal(baseline.usual(3), undefined);
  for (let minute = 0; minute < 60; minute += 1) baseline.add(minute, 3, minute === 10 ? 500 : 1);
  for (let minute = 60; minute < 1_000; minute += 1) baseline.add(minute, 4 + Math.floor((minute - 60) / 60), 1);
  assert.equal(baseline.usual(3), 500);
  const quiet = baseline.usual(10) ?? 0;
  assert.ok(quiet > 0.5 && quiet < 3, `${quiet}`);
});

test("a sliding sum forgets what is older than its window, also after a long silence or a clock that goes back", () => {
  const sum = new SlidingSum(1_000);
  assert.equal(sum.add(10_000, 5), 5);
  assert.equal(sum.add(10_900, 2), 7);
  assert.equal(sum.add(9_000, 1), 8);
  assert.equal(sum.total(11_100), 3);
  assert.equal(sum.total(1_000_000), 0);
});

test("a watcher that throws harms no other, and a full queue counts what it drops", () => {
  const errors: unknown[] = [];
  const watch = new GateWatch(2, (error) => errors.push(error));
  let seen = 0;
  watch.add({
    completed: () => {
      throw new Error("broken");
    },
  });
  watch.add({ completed: () => (seen += 1) });
  const session = { id: "s" };
  for (let i = 0; i < 3; i += 1) {
    // SAFETY: these watchers read nothing.
    watch.completed({ session, decisionId: `${i}` } as never);
  }
  watch.flush();
  assert.deepEqual({ errors: errors.length, seen, dropped: watch.dropped }, { errors: 2, seen: 2, dropped: 1 });
});
