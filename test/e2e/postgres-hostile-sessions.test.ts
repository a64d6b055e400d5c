// What an attacker can do between two messages of one session: settings of the database's own, formats of values, portals that
// outlive a policy. Each of these once went through.
import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import { adminClient } from "../../cli/admin-client.ts";
import { eventually } from "../support/eventually.ts";
import { startTestGateway } from "../support/gateway.ts";
import { withClient } from "../support/postgres.ts";
import { connectRaw, describeAll, frontend, type Message, type RawClient, say } from "../wire/raw-client.ts";

const open = `package acme.test

allow staff on sql read, write, tcl, session at "test-pg"
deny vault on sql of vault.* at "test-pg"

require approval deletes from group "leads" within 10m on sql delete of public.people at "test-pg"
  because "a person is deleted with a lead's approval only"
`;
const masked = `${open}
mask names of public.people.name using redact at "test-pg"
`;
const gw = await startTestGateway({
  schema: `create table people (id int primary key, name text);
    insert into people values (1, 'Ana'), (2, 'Bo'), (1000, 'Cy'), (${0x31303030}, 'Di');
    create schema vault; create table vault.tokens (secret text); insert into vault.tokens values ('hush')`,
  policy: open,
  config: "approvals: { hold: 300ms }",
});
const { database } = gw.database;

async function usePolicy(text: string): Promise<void> {
  gw.writePolicy(text);
  const status = await gw.gateway.policy.reload();
  assert.equal(status.rejected, undefined);
}
beforeEach(() => usePolicy(open));

const connect = async (): Promise<RawClient> =>
  connectRaw({
    host: "127.0.0.1",
    port: gw.port,
    user: "olga",
    database,
    password: await gw.issuer.issue({ sub: "olga", kind: "human", groups: [] }),
  });
const lead = adminClient(gw.adminUrl, await gw.issuer.issue({ sub: "lena", kind: "human", groups: ["leads"] }));

const textOf = (messages: readonly Message[]): string => messages.map((m) => m.body.toString("utf8")).join();

/** The last column of each row, as text. */
const lastColumn = (messages: readonly Message[]): readonly string[] =>
  messages.filter((m) => m.type === "D").map(({ body }) => body.toString("utf8").replace(/^.*[\0-\x1f]/s, ""));

test("a database whose default reads backslashes in strings is read as the gateway reads", async () => {
  await withClient(gw.database, (c) => c.query(`alter database ${database} set standard_conforming_strings = off`));
  const client = await connect();
  client.send(say.query("select '\\', ' , (select secret from vault.tokens) -- '"));
  const answer = await client.until("Z");
  assert.equal(describeAll(answer), "T | D | C:SELECT 1 | Z:I");
  assert.doesNotMatch(textOf(answer), /hush/);
  client.send(say.query("discard all"), say.query("select '\\', ' , (select secret from vault.tokens) -- '"));
  assert.doesNotMatch(textOf(await client.until("Z", 2)), /hush/);
  client.socket.destroy();
  await withClient(gw.database, (c) => c.query(`alter database ${database} reset standard_conforming_strings`));
});

/** `format` 0: the bytes are text; 1: they are an int4. */
const bindId = (bytes: string, format: number): Buffer =>
  frontend(
    "B",
    Buffer.from("\0\0"),
    Buffer.from([0, 1, 0, format, 0, 1, 0, 0, 0, bytes.length]),
    Buffer.from(bytes),
    Buffer.from([0, 0]),
  );

test("an approval of a value in text is none of the same bytes in binary", async () => {
  const client = await connect();
  const deleteBy = async (format: number): Promise<string> => {
    client.send(
      say.parse("delete from people where id = $1", "", [23]),
      bindId("1000", format),
      say.execute(),
      say.sync(),
    );
    return describeAll(await client.until("Z"));
  };
  const asked = deleteBy(0);
  const inText = await eventually(async () => (await lead.list("pending"))[0]);
  assert.deepEqual(inText.parameters, ["1000"]);
  assert.match(await asked, /needs approval/);
  await lead.decide(inText.id, "approve", undefined);
  const askedAgain = deleteBy(1);
  const inBinary = await eventually(async () => (await lead.list("pending"))[0]);
  assert.deepEqual(inBinary.parameters, ["\\x31303030 (binary)"]);
  assert.match(await askedAgain, /needs approval/);
  assert.match(await deleteBy(0), /C:DELETE 1 \| Z:I$/);
  client.send(say.query("select name from people order by id"));
  assert.deepEqual(lastColumn(await client.until("Z")), ["Ana", "Bo", "Di"]);
  client.socket.destroy();
});

test("a portal that was bound before the policies changed doesn't show what they now mask", async () => {
  const client = await connect();
  client.send(
    say.query("begin"),
    say.parse("select id, name from people order by id"),
    say.bind([], "", "p"),
    say.execute("p", 1),
    say.sync(),
  );
  assert.deepEqual(lastColumn(await client.until("Z", 2)), ["Ana"]);
  await usePolicy(masked);
  client.send(say.execute("p", 1), say.sync());
  assert.equal(describeAll(await client.until("Z")), "E:42501 the policies changed since this portal was bound | Z:E");
  client.socket.destroy();
});

test("a portal goes on where the policies that changed say the same of it", async () => {
  const client = await connect();
  client.send(say.query("begin"), say.parse("select name from people order by id"), say.bind([], "", "p"), say.sync());
  await client.until("Z", 2);
  await usePolicy(`${open}\n# one line more\n`);
  client.send(say.execute("p", 1), say.sync());
  assert.deepEqual(lastColumn(await client.until("Z")), ["Ana"]);
  client.socket.destroy();
});

const cursors: readonly { readonly name: string; readonly fetch: readonly Buffer[] }[] = [
  { name: "FETCH", fetch: [say.query("fetch all from c")] },
  { name: "MOVE and FETCH in one text", fetch: [say.query("move 1 from c; fetch all from c")] },
  {
    name: "FETCH by the extended protocol",
    fetch: [say.parse("fetch all from c"), say.bind(), say.execute(), say.sync()],
  },
  { name: "Execute of the cursor's name", fetch: [say.execute("c"), say.sync()] },
];
for (const { name, fetch } of cursors) {
  for (const hold of ["", " with hold"]) {
    test(`a cursor${hold} that was declared before the policies changed doesn't show what they now mask: ${name}`, async () => {
      const client = await connect();
      client.send(
        say.query("select 1"),
        say.query("begin"),
        say.query(`declare c cursor${hold} for select name from people`),
      );
      await client.until("Z", 3);
      await usePolicy(masked);
      client.send(...fetch);
      const answer = await client.until("Z");
      assert.match(describeAll(answer), /E:42501 the policies changed since this portal was bound \| Z:E$/);
      assert.deepEqual(lastColumn(answer), []);
      client.socket.destroy();
    });
  }
}

test("a limit per time isn't passed by with a cursor", async () => {
  const client = await connect();
  await usePolicy(`${open}\nlimit rows to 3 rows per 1h by identity.sub on sql select of public.people at "test-pg"\n`);
  client.send(say.query("begin"), say.query("declare c cursor for select name from people"));
  assert.match(describeAll(await client.until("Z", 2)), /E:42501 the rows of a cursor can't be counted/);
  client.socket.destroy();
});
