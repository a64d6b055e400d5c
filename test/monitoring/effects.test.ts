// What a rule can do about what the monitor knows: alert, ask people, slow down, refuse, end the session.
import assert from "node:assert/strict";
import { test } from "node:test";
import { eventually } from "../support/eventually.ts";
import { refusalOf, startTestGateway } from "../support/gateway.ts";

const gateway = await startTestGateway({
  schema: "CREATE TABLE notes (id int, body text); CREATE TABLE closed (id int); CREATE TABLE canary (id int);",
  policy: `
package test
allow reads on sql read
allow writes on sql write

@severity(high)
alert noticed to "#soc" on sql
  when monitor.denials >= 2

require approval busy_writer from group "leads" on sql write
  when monitor.rows_written >= 5

limit throttled to 2 requests per 1h by identity.sub on sql read of public.notes
  when monitor.denials >= 1
  because "slow down"

@ends(session)
deny closed on sql of public.closed
  when identity.kind == agent
  because "nobody reads this"

deny closed_for_people on sql of public.closed
  unless identity.kind == agent
  because "nobody reads this"

@ends(session)
alert last_one to "#soc" on sql of public.notes
  when identity.sub == "leaver" and sql.has_limit
`,
  config: `
monitoring:
  denials: { count: 100 }
  surge: { at_least: 1000 }
  canaries: { tables: [public.canary] }
  end_session: [canary]
approvals: { hold: 100ms }
`,
});

async function eventsOf(sub: string) {
  const events = await gateway.events();
  const ids = new Set(
    events.flatMap((event) => (event.type === "session-start" && event.principal.sub === sub ? [event.session] : [])),
  );
  return events.filter(({ session }) => ids.has(session));
}

test("a rule alerts on what the monitor knows", async () => {
  const client = await gateway.connect({ sub: "curious", kind: "human" });
  for (let i = 0; i < 3; i += 1) await refusalOf(client, "SELECT id FROM closed");
  const rules = await eventually(async () => {
    const found = (await eventsOf("curious")).flatMap((event) => (event.type === "alert" ? [event.rule] : []));
    return found.length > 0 ? found : undefined;
  });
  assert.deepEqual([...new Set(rules)], ["test.noticed"]);
});

test("a rule asks people about what the monitor knows", async () => {
  const client = await gateway.connect({ sub: "writer", kind: "service" });
  await client.query("INSERT INTO notes SELECT i, 'x' FROM generate_series(1, 6) i");
  // The next message comes in a later turn than the completion of the one before.
  const { message } = await refusalOf(client, "INSERT INTO notes VALUES (7, 'y')");
  assert.match(message, /needs approval/);
});

test("a rule slows down a caller by what the monitor knows, and nobody else", async () => {
  const client = await gateway.connect({ sub: "hasty", kind: "human" });
  for (let i = 0; i < 4; i += 1) await client.query("SELECT id FROM notes");
  await refusalOf(client, "SELECT id FROM closed");
  for (let i = 0; i < 2; i += 1) await client.query("SELECT id FROM notes");
  const { message } = await refusalOf(client, "SELECT id FROM notes");
  assert.match(message, /slow down|throttled/);
  const other = await gateway.connect({ sub: "calm", kind: "human" });
  for (let i = 0; i < 4; i += 1) await other.query("SELECT id FROM notes");
});

test("a denial with @ends(session) ends the session at the next statement, and that is on record", async () => {
  const client = await gateway.connect({ sub: "bot-1", kind: "agent" });
  client.on("error", () => undefined);
  assert.equal((await refusalOf(client, "SELECT id FROM closed")).message, "nobody reads this");
  assert.equal((await refusalOf(client, "SELECT 1")).message, "a rule of the policies has ended this session");
  const reason = await eventually(async () =>
    (await eventsOf("bot-1")).flatMap((event) => (event.type === "session-end" ? [event.reason] : [])).at(0),
  );
  assert.equal(reason, "ended-by-rule");
  // The person may come again: it is this session that is over.
  const again = await gateway.connect({ sub: "bot-1", kind: "agent" });
  assert.equal((await again.query("SELECT 1 AS one")).rowCount, 1);
});

test("an alert with @ends(session) lets its statement run and ends the session at the next", async () => {
  const client = await gateway.connect({ sub: "leaver", kind: "human" });
  client.on("error", () => undefined);
  await client.query("SELECT id FROM notes");
  await client.query("SELECT id FROM notes LIMIT 1");
  assert.equal((await refusalOf(client, "SELECT 1")).message, "a rule of the policies has ended this session");
});

test("a finding ends the session where the configuration says so", async () => {
  const client = await gateway.connect({ sub: "thief", kind: "human" });
  client.on("error", () => undefined);
  await client.query("SELECT id FROM canary");
  await eventually(async () => (await eventsOf("thief")).find(({ type }) => type === "alert"));
  assert.equal((await refusalOf(client, "SELECT 1")).message, "a rule of the policies has ended this session");
});
