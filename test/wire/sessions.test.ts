// Sessions at the server: pooled in session mode, bounded, and ended when they last too long.
import assert from "node:assert/strict";
import { test } from "node:test";
import { eventually } from "../support/eventually.ts";
import { testDatabase, withClient } from "../support/postgres.ts";
import { startCutter, startGateway } from "./gateway.ts";
import { connectRaw, describeAll, type RawClient, say } from "./raw-client.ts";

const database = await testDatabase("create table t (id int); create role other; grant other to current_user");
/** One session: whoever comes next gets it, once it is clean. */
const pool = { sessionsMax: 1, keptMax: 1, waitingMax: 2, waitMs: 5_000 };
const pooled = await startGateway(database, { sessions: { pool } });

const ask = async (client: RawClient, text: string): Promise<string> => {
  client.send(say.query(text));
  return describeAll(await client.until("Z"));
};

/** Says goodbye and waits until the gateway has let go. */
async function leave(client: RawClient, gateway = pooled): Promise<void> {
  const before = gateway.journal.closed.length;
  client.send(say.terminate());
  await eventually(async () => (gateway.journal.closed.length > before ? true : undefined));
}

/** Rows as text. */
async function rows(client: RawClient, text: string): Promise<readonly string[]> {
  client.send(say.query(text));
  const messages = await client.until("Z");
  return messages.filter((m) => m.type === "D").map((m) => m.body.subarray(6).toString("utf8"));
}

const pidOf = async (client: RawClient): Promise<string> => (await rows(client, "select pg_backend_pid()"))[0] ?? "";

test("the next client gets the session that one has left, and finds nothing of it", async () => {
  const first = await connectRaw(pooled);
  const pid = await pidOf(first);
  await ask(first, "set statement_timeout = 12345; set my.word = 'secret'");
  await ask(first, "create temp table w (id int); listen channel; prepare p as select 1");
  await ask(first, "select pg_advisory_lock(7); declare c cursor with hold for select 1");
  await ask(first, "set role other; set search_path = pg_temp; set default_transaction_read_only = on");
  await leave(first);
  const next = await connectRaw(pooled);
  assert.equal(await pidOf(next), pid);
  const state = `select concat_ws(',', current_setting('statement_timeout'), current_setting('my.word', true),
    to_regclass('pg_temp.w'), (select count(*) from pg_listening_channels()), (select count(*) from pg_prepared_statements),
    (select count(*) from pg_locks where locktype = 'advisory' and pid = pg_backend_pid()),
    (select count(*) from pg_cursors where name <> ''), current_user = session_user,
    current_setting('search_path'), current_setting('transaction_read_only'))`;
  assert.deepEqual(await rows(next, state), ['0,,0,0,0,0,t,"$user", public,off']);
  await leave(next);
});

test("other startup settings, and a session that was left in a transaction, are not handed on", async () => {
  const first = await connectRaw({ ...pooled, settings: [["application_name", "one"]] });
  const pid = await pidOf(first);
  await leave(first);
  const other = await connectRaw({ ...pooled, settings: [["application_name", "two"]] });
  assert.notEqual(await pidOf(other), pid);
  assert.deepEqual(await rows(other, "show application_name"), ["two"]);
  await ask(other, "begin");
  const abandoned = await pidOf(other);
  await leave(other);
  const next = await connectRaw({ ...pooled, settings: [["application_name", "two"]] });
  assert.notEqual(await pidOf(next), abandoned);
  await leave(next);
});

test("a kept session that the server ends is not handed out", async () => {
  const first = await connectRaw(pooled);
  const pid = await pidOf(first);
  await leave(first);
  const admin = await connectRaw(database);
  await eventually(async () => {
    await ask(admin, `select pg_terminate_backend(${pid})`);
    return (await rows(admin, `select 1 from pg_stat_activity where pid = ${pid}`)).length === 0 ? true : undefined;
  });
  const next = await connectRaw(pooled);
  assert.notEqual(await pidOf(next), pid);
  await leave(next);
  admin.socket.destroy();
});

test("who finds no session waits for one; a full queue and a wait in vain say so", async () => {
  const gateway = await startGateway(database, {
    sessions: { pool: { sessionsMax: 1, keptMax: 1, waitingMax: 1, waitMs: 400 } },
  });
  const first = await connectRaw(gateway);
  const second = connectRaw(gateway);
  const full = /all 1 sessions that the gateway may open at the database are in use/;
  await eventually(async () => (gateway.listener.sessions() === 2 ? true : undefined));
  await eventually(async () => (gateway.listener.sessions() === 2 ? true : undefined));
  await leave(first, gateway);
  const served = await second;
  assert.equal(await ask(served, "select 1"), "T | D | C:SELECT 1 | Z:I");
  const waits = assert.rejects(connectRaw(gateway), full);
  await eventually(async () => (gateway.listener.sessions() === 2 ? true : undefined));
  await assert.rejects(connectRaw(gateway), full);
  await waits;
  const codes = gateway.journal.log.map((fields) => fields.code).filter((code) => String(code).startsWith("upstream-"));
  assert.deepEqual(codes.sort(), ["upstream-queue-full", "upstream-queue-timeout"]);
  await leave(served, gateway);
});

test("a principal has as many sessions as it may, and one more when one has ended", async () => {
  const gateway = await startGateway(database, { sessions: { perPrincipalMax: 2 } });
  const first = await connectRaw(gateway);
  const second = await connectRaw(gateway);
  await assert.rejects(connectRaw(gateway), /too many connections for this user/);
  await leave(first, gateway);
  const third = await connectRaw(gateway);
  assert.equal(await ask(third, "select 1"), "T | D | C:SELECT 1 | Z:I");
  await leave(second, gateway);
  await leave(third, gateway);
});

test("an idle session ends, one in a transaction stays, and a long statement is cancelled", async () => {
  const gateway = await startGateway(database, { sessions: { idleTimeoutMs: 300, statementTimeoutMs: 300 } });
  const idle = await connectRaw(gateway);
  const open = await connectRaw(gateway);
  await ask(open, "begin");
  assert.equal(describeAll(await idle.untilEnd()), "E:57P05 terminating connection due to idle-session timeout");
  assert.equal(await ask(open, "select pg_sleep(60)"), "T | E:57014 canceling statement due to user request | Z:E");
  await ask(open, "rollback");
  await leave(open, gateway);
});

test("read-write is a primary whose transactions may write; read-only is any other", async () => {
  const readOnly = await testDatabase("select 1");
  await withClient(database, (c) =>
    c.query(`alter database "${readOnly.database}" set default_transaction_read_only = on`),
  );
  const reached = async (of: typeof database, attributes: "read-write" | "read-only" | "primary"): Promise<boolean> => {
    const gateway = await startGateway(of, { upstream: { database: of.database, attributes } });
    const client = await connectRaw(gateway).catch(() => undefined);
    client?.socket.destroy();
    return client !== undefined;
  };
  assert.deepEqual(
    [await reached(database, "read-write"), await reached(database, "read-only"), await reached(database, "primary")],
    [true, false, true],
  );
  assert.deepEqual(
    [await reached(readOnly, "read-write"), await reached(readOnly, "read-only"), await reached(readOnly, "primary")],
    [false, true, true],
  );
});

test("a place that is away is passed over, and one that isn't what was asked for isn't used", async () => {
  const unused = await startCutter({ host: database.host, port: 1 });
  const place = { host: database.host, port: database.port };
  const others = await startGateway(database, {
    upstream: { port: unused.port, others: [place], attributes: "primary" },
  });
  const client = await connectRaw(others);
  client.send(say.query("select pg_sleep(60)"));
  const admin = await connectRaw(database);
  await eventually(async () => {
    const found = await rows(admin, "select 1 from pg_stat_activity where query = 'select pg_sleep(60)'");
    return found.length > 0 ? true : undefined;
  });
  const { processId, secret } = client.session;
  assert.equal(await others.listener.cancel(processId, secret), true);
  assert.equal(describeAll(await client.until("Z")), "T | E:57014 canceling statement due to user request | Z:I");
  await leave(client, others);
  for (const attributes of ["standby", "read-only"] as const) {
    const none = await startGateway(database, { upstream: { others: [place], attributes } });
    await assert.rejects(connectRaw(none), /08006/);
    assert.deepEqual(none.journal.log.at(-1), { connection: "test", code: "upstream-attributes", detail: undefined });
  }
  const either = await startGateway(database, { upstream: { attributes: "prefer-standby" } });
  const found = await connectRaw(either);
  assert.equal(await ask(found, "select 1"), "T | D | C:SELECT 1 | Z:I");
  await leave(found, either);
  admin.socket.destroy();
});
