// FunctionCall messages: what libpq's interface to large objects sends. Decided as the SELECT that makes the same call.
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { type Claims, hasProgram, startTestGateway } from "../support/gateway.ts";
import { withClient } from "../support/postgres.ts";
import { connectRaw, describe, type Message, type RawClient, say } from "../wire/raw-client.ts";

const large = [
  "lo_creat",
  "lo_create",
  "lo_open",
  "lo_close",
  "loread",
  "lowrite",
  "lo_unlink",
  "lo_lseek64",
  "lo_tell64",
];
const gw = await startTestGateway({
  schema: `create schema app;
    create table people (id int primary key, name text); insert into people values (1, 'Ana');
    create function app.add(a int, b int) returns int language sql immutable as 'select a + b';
    create function app.name_of(p int) returns text language sql stable as 'select name from public.people where id = p';
    create function app.joined(variadic parts text[]) returns text language sql immutable as $$ select array_to_string(parts, '-') $$;
    create function app.halves(x numeric) returns numeric language sql immutable as 'select x / 2';
    create function app.broken() returns int language sql immutable as 'select 1 / 0';
    create function app.quiet() returns void language sql as 'select 1';
    create function app.hidden() returns int language sql immutable as 'select 7';
    create function app.rows() returns setof int language sql immutable as 'select 7';
    create table checked (id int primary key, other int references people deferrable initially deferred);
    create function app.late() returns int language sql as 'insert into public.checked values (1, 99) returning 1';`,
  policy: `package acme.test

allow staff on sql read, write, tcl, session at "test-pg"
deny no_halves on sql at "test-pg" when sql.functions contains "app.halves"
  because "no halves"
`,
  connection: `    allowed_functions: [${[
    ...large.map((name) => `pg_catalog.${name}`),
    ..."add name_of joined halves broken quiet rows late".split(" ").map((name) => `app.${name}`),
  ].join(", ")}]`,
});
const olga: Claims = { sub: "olga", kind: "human", groups: [] };

const through = async (): Promise<RawClient> =>
  connectRaw({
    host: "127.0.0.1",
    port: gw.port,
    user: "olga",
    database: gw.database.database,
    password: await gw.issuer.issue(olga),
  });

const oids = await withClient(gw.database, async (client) => {
  const { rows } = await client.query<{ name: string; oid: string }>(
    `select n.nspname || '.' || p.proname as name, p.oid::text as oid from pg_proc p join pg_namespace n on n.oid = p.pronamespace
      where n.nspname = 'app' or p.proname = any ($1) and n.nspname = 'pg_catalog'
      order by p.pronargs desc`,
    [
      [
        ...large,
        "lo_import",
        "repeat",

        "pg_read_file",
        "pg_relation_size",
        "set_config",
        "current_setting",
        "count",
      ],
    ],
  );
  return new Map(rows.map(({ name, oid }) => [name, Number(oid)]));
});
const missing = 4_000_000_000;

const int32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value);
  return bytes;
};

const call = (of: string | number, ...values: readonly (string | Buffer | null)[]): Buffer =>
  say.call(typeof of === "number" ? of : (oids.get(of) ?? missing), ...values);

/** The value of each FunctionCallResponse, as text. */
const told = (message: Message): string =>
  message.type !== "V"
    ? describe(message).replace(/dec_\w+/, "dec_…")
    : message.body.readInt32BE(0) === -1
      ? "V:null"
      : `V:${message.body.toString("utf8", 4)}`;
const heard = (messages: readonly Message[]): string => messages.map(told).join(" | ");

type Case = {
  readonly name: string;
  readonly says: readonly Buffer[];
  readonly ready?: number;
  readonly hears: string;
};

/** The server's own answers: through the gateway they are the same. */
const same: readonly Case[] = [
  { name: "a function of the database's own, by texts", says: [call("app.add", "2", "3")], hears: "V:5 | Z:I" },
  {
    name: "by binary values, and by both kinds",
    says: [call("app.add", int32(2), int32(3)), call("app.add", "2", int32(4))],
    ready: 2,
    hears: "V:5 | Z:I | V:6 | Z:I",
  },
  { name: "a built-in function", says: [call("pg_catalog.repeat", "ab", "2")], hears: "V:abab | Z:I" },
  { name: "a NULL is no value of a strict function", says: [call("app.add", null, "1")], hears: "V:null | Z:I" },
  { name: "a function that gives nothing", says: [call("app.quiet")], hears: "V:null | Z:I" },
  { name: "the parts of a variadic function are one array", says: [call("app.joined", "{a,b}")], hears: "V:a-b | Z:I" },
  {
    name: "an error of the function",
    says: [call("app.broken"), say.query("select 1")],
    ready: 2,
    hears: "E:22012 division by zero | Z:I | T | D | C:SELECT 1 | Z:I",
  },
  {
    name: "an error of the transaction's end, behind the value",
    says: [call("app.late"), say.query("select count(*)::int from checked")],
    ready: 2,
    hears:
      'V:1 | E:23503 insert or update on table "checked" violates foreign key constraint "checked_other_fkey" | Z:I | T | D | C:SELECT 1 | Z:I',
  },
  {
    name: "within a transaction that fails, and in the failed one",
    says: [
      say.query("begin"),
      call("app.add", "1", "1"),
      call("app.broken"),
      call("app.add", "1", "1"),
      say.query("rollback"),
    ],
    ready: 5,
    hears:
      "C:BEGIN | Z:T | V:2 | Z:T | E:22012 division by zero | Z:E | E:25P02 current transaction is aborted, commands ignored until end of transaction block | Z:E | C:ROLLBACK | Z:I",
  },
  {
    name: "behind an error of the extended protocol it is skipped up to Sync",
    says: [
      say.parse("select 1/0"),
      say.bind(),
      say.execute(),
      call("app.add", "1", "1"),
      say.sync(),
      call("app.add", "1", "2"),
    ],
    ready: 2,
    hears: "1 | E:22012 division by zero | Z:I | V:3 | Z:I",
  },
  {
    name: "between the messages of the extended protocol",
    says: [say.parse("select 5", "s"), call("app.add", "1", "1"), say.bind([], "s"), say.execute(), say.sync()],
    ready: 2,
    hears: "1 | V:2 | Z:I | 2 | D | C:SELECT 1 | Z:I",
  },
  {
    name: "a function that isn't there",
    says: [call(missing)],
    hears: `E:42883 function with OID ${missing} does not exist | Z:I`,
  },
  {
    name: "a set",
    says: [call("app.rows")],
    hears: 'E:0A000 cannot call function "rows" via fastpath interface | Z:I',
  },
  {
    name: "an aggregate",
    says: [call("pg_catalog.count", "1")],
    hears: 'E:0A000 cannot call function "count" via fastpath interface | Z:I',
  },
  {
    name: "too few arguments",
    says: [call("app.add", "1")],
    hears: "E:08P01 function call message contains 1 arguments but function requires 2 | Z:I",
  },
  {
    name: "a value that can't be read",
    says: [call("app.add", "x", "1")],
    hears: 'E:22P02 invalid input syntax for type integer: "x" | Z:I',
  },
];

for (const { name, says, ready = 1, hears } of same) {
  test(`a function call message: ${name}, as direct`, async () => {
    const answers: string[] = [];
    for (const open of [() => connectRaw(gw.database), through]) {
      const client = await open();
      client.send(...says);
      answers.push(heard(await client.until("Z", ready)));
      client.socket.destroy();
    }
    assert.deepEqual(answers, [hears, hears]);
  });
}

const notListed = (name: string): string =>
  `E:42501 function \`${name}\` is not on the list of functions that may be called | Z:I`;
const refused: readonly Case[] = [
  { name: "a function that is on no list", says: [call("app.hidden")], hears: notListed("app.hidden") },
  {
    name: "a reader of files",
    says: [call("pg_catalog.pg_read_file", "x")],
    hears: notListed("pg_catalog.pg_read_file"),
  },
  {
    name: "large objects out of the server's files",
    says: [call("pg_catalog.lo_import", "/etc/passwd")],
    hears: notListed("pg_catalog.lo_import"),
  },
  { name: "what a rule denies", says: [call("app.halves", "3")], hears: "E:42501 no halves | Z:I" },
  {
    name: "a setting that no constant names",
    says: [call("pg_catalog.set_config", "search_path", "app", "f")],
    hears: "E:42501 `set_config` needs the name of the setting as a constant | Z:I",
  },
  {
    name: "what is written in another way, as sizes are",
    says: [call("pg_catalog.pg_relation_size", "people")],
    hears: "E:0A000 this function can't be called by a function call message through the gateway | Z:I",
  },
];

for (const { name, says, hears } of refused) {
  test(`a function call message: ${name} is refused, fails its transaction, and the session goes on`, async () => {
    const client = await through();
    client.send(...says, say.query("begin"), ...says, say.query("rollback"), call("app.add", "1", "1"));
    const inside = hears.replace("Z:I", "Z:E");
    assert.equal(
      heard(await client.until("Z", 5)),
      `${hears} | C:BEGIN | Z:T | ${inside} | C:ROLLBACK | Z:I | V:2 | Z:I`,
    );
    client.socket.destroy();
  });
}

test("a function call message is on record with its values' number before it runs, and with its end", async () => {
  const client = await through();
  client.send(call("app.name_of", "1"), call("app.name_of", "x"), call("app.halves", "3"));
  await client.until("Z", 3);
  client.socket.destroy();
  const events = await gw.events();
  const started = events.flatMap((e) => (e.type === "statement" && /"name_of"|"halves"/.test(e.statement) ? [e] : []));
  assert.deepEqual(
    started.slice(-3).map((e) => [e.statement, e.effect, e.parameters]),
    [
      ['SELECT "app"."name_of"($1::"pg_catalog"."int4") AS "name_of"', "allow", 1],
      ['SELECT "app"."name_of"($1::"pg_catalog"."int4") AS "name_of"', "allow", 1],
      ['SELECT "app"."halves"($1::"pg_catalog"."numeric") AS "halves"', "deny", 0],
    ],
  );
  const ends = started.slice(-3).map(({ id }) => events.find((e) => e.type === "completion" && e.id === id));
  assert.deepEqual(
    ends.map((e) => (e?.type === "completion" ? [e.outcome, e.rows, e.sqlstate] : undefined)),
    [["ok", 1, undefined], ["error", 0, "22P02"], undefined],
  );
});

test("libpq's large objects go through psql, where the connection allows their functions", {
  skip: !hasProgram("psql"),
}, async () => {
  const file = join(gw.folder, "object.bin");
  const content = Buffer.alloc(40_000, "Gatewright\0\xff", "latin1");
  writeFileSync(file, content);
  const copy = join(gw.folder, "copy.bin");
  const done = await gw.psql(olga, ["-c", `\\lo_import '${file}'`, "-c", `\\lo_export :LASTOID '${copy}'`]);
  assert.equal(done.code, 0, done.err);
  assert.deepEqual(readFileSync(copy), content);
});
