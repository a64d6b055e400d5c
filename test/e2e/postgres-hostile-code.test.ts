// Code of the database's own that no name in a statement tells of: casts, event triggers, triggers that speak.
import assert from "node:assert/strict";
import { test } from "node:test";
import pg from "pg";
import { startTestGateway } from "../support/gateway.ts";
import { withClient } from "../support/postgres.ts";

const gw = await startTestGateway({
  schema: `create schema vault; create table vault.tokens (id int primary key, secret text); insert into vault.tokens values (1, 'hush');
    create type mood as enum ('calm', 'wild');
    create function mood_text(mood) returns text language sql security definer as 'select max(secret) from vault.tokens';
    create cast (mood as text) with function mood_text(mood) as implicit;
    create type pair as (a text, b int);
    create function to_pair(int) returns pair language sql as 'select max(secret), $1 from vault.tokens';
    create cast (int as pair) with function to_pair(int);
    create table people (id int primary key, name text, m mood, p pair);
    insert into people values (1, 'Ana', 'calm', row('x', 1)), (2, 'Bo', 'wild', null);
    create function tell() returns trigger language plpgsql as $$ begin
      if new.name = 'no' then raise exception 'told %', (select max(secret) from vault.tokens); end if;
      raise notice 'told %', (select max(secret) from vault.tokens); return new; end $$;
    create table loud (id int, name text); create trigger t before insert on loud for each row execute function tell();
    create function event() returns event_trigger language plpgsql as $$ begin
      raise notice 'event %', (select max(secret) from vault.tokens); end $$;
    create event trigger e on ddl_command_end execute function event();
    create function checked(text) returns bool language plpgsql immutable as $$ begin
      raise exception 'checked %', (select max(secret) from vault.tokens); end $$;
    create table strict (id int, name text check (checked(name)));
    create table parted (id int, grp text) partition by list (grp)`,
  policy: `package acme.test

allow staff on sql read, write, tcl, session at "test-pg"
deny vault on sql of vault.* at "test-pg"
mask names of public.parted.grp using redact at "test-pg"
`,
});

async function heard(sql: string): Promise<string> {
  const client = await gw.connect({ sub: "olga", kind: "human", groups: [] });
  const said: unknown[] = [];
  client.on("notice", (notice) => said.push({ ...notice, message: notice.message }));
  try {
    said.push((await client.query(sql)).rows);
  } catch (error) {
    if (!(error instanceof pg.DatabaseError)) throw error;
    said.push({ code: error.code, message: error.message, detail: error.detail, where: error.where, hint: error.hint });
  }
  await client.end();
  return JSON.stringify(said);
}

const casts = [
  "select m::text from people",
  "select upper(m) from people",
  "select name = m from people",
  "select m like 'h%' from people",
  "select string_agg(m, ',') from people",
  "select q.m || 'x' from (select m from people) q",
  "with q as (select m from people) select trim(m) from q",
  "select name from people union all select m from people",
  "select to_jsonb(people) from people",
  "insert into people (id, name) select 9, m from people returning name",
  "update people set name = m returning name",
  "prepare x as select length(m) from people",
  "copy (select m::text from people) to stdout",
  "select 1::pair",
  "select 'calm'::mood::text",
  "select x.t from people, lateral (select m::text as t) x",
] as const;
for (const sql of casts) {
  test(`no cast's function runs: ${sql}`, async () => {
    const said = await heard(sql);
    assert.doesNotMatch(said, /hush/);
    assert.match(said, /"code":"/);
  });
}

const speaking = [
  "insert into loud values (1, 'yes')",
  "insert into loud values (1, 'no')",
  "create temp table mine (a int)",
  "create temp table mine as select 1 as a",
  "insert into strict values (1, 'x')",
  "prepare y as insert into loud values (1, 'no'); execute y",
] as const;
for (const sql of speaking) {
  test(`what its code says doesn't reach the client: ${sql}`, async () => {
    assert.doesNotMatch(await heard(sql), /hush/);
  });
}

test("a partition that is attached later is its parent's: unknown by its own name until the catalog is read, then masked", async () => {
  await withClient(gw.database, (c) =>
    c.query("create table parted_a partition of parted for values in ('a'); insert into parted values (1, 'a')"),
  );
  assert.equal(await heard("select grp from parted"), '[[{"grp":"***"}]]');
  const client = await gw.connect({ sub: "olga", kind: "human", groups: [] });
  for (let tries = 0; tries < 200; tries += 1) {
    const rows = await client.query("select grp from parted_a").then(
      (result) => result.rows,
      () => undefined,
    );
    if (rows === undefined) continue;
    assert.deepEqual(rows, [{ grp: "***" }]);
    return;
  }
});

for (const sql of ["listen ch", "notify ch, 'x'"]) {
  test(`a right to the session doesn't open channels to others: ${sql}`, async () => {
    assert.match(await heard(sql), /"code":"42501","message":"no rule allows/);
  });
}
