// Statements made to break the reader, through the whole gateway: refused or answered, and everybody else is served.
import assert from "node:assert/strict";
import { test } from "node:test";
import { startTestGateway } from "../support/gateway.ts";
import { connectRaw, describeAll, type RawClient, say } from "../wire/raw-client.ts";

const gw = await startTestGateway({
  schema: "create table t (id int)",
  policy: `package acme.test\n\nallow staff on sql read, write, tcl, session at "test-pg"\n`,
});

const connect = async (): Promise<RawClient> =>
  connectRaw({
    host: "127.0.0.1",
    port: gw.port,
    user: "olga",
    database: gw.database.database,
    password: await gw.issuer.issue({ sub: "olga", kind: "human", groups: [] }),
  });

const rows: readonly { readonly name: string; readonly text: string; readonly hears: RegExp }[] = [
  {
    name: "10,000 nested parentheses",
    text: `select ${"(".repeat(10_000)}1${")".repeat(10_000)}`,
    hears: /^E:(54001|54000|42601) .* \| Z:I$/,
  },
  {
    name: "100,000 open parentheses",
    text: `select ${"(".repeat(100_000)}`,
    hears: /^E:(54001|54000|42601) .* \| Z:I$/,
  },
  {
    name: "5,000 nested subqueries",
    text: `${"select * from (".repeat(5_000)}select 1${") x".repeat(5_000)}`,
    hears: /^E:\w{5} .* \| Z:I$/,
  },
  {
    name: "20,000 operators in a row",
    text: `select 1${" + 1".repeat(20_000)}`,
    hears: /^(E:\w{5} .*|T \| D \| C:SELECT 1) \| Z:I$/,
  },
  { name: "2,000 statements in one message", text: "select 1;".repeat(2_000), hears: /^E:54000 .* \| Z:I$/ },
  {
    name: "10,000 columns",
    text: `select ${Array.from({ length: 10_000 }, (_, i) => i).join()}`,
    hears: /^E:\w{5} .* \| Z:I$/,
  },
  { name: "an unterminated string", text: "select 'abc", hears: /^E:42601 .* \| Z:I$/ },
  { name: "an unterminated comment", text: "select 1 /* /* */", hears: /^E:42601 .* \| Z:I$/ },
  { name: "a lone surrogate escape", text: "select U&'\\D800'", hears: /^E:42601 .* \| Z:I$/ },
  {
    name: "an identifier of 100,000 bytes",
    text: `select "${"x".repeat(100_000)}" from t`,
    hears: /^E:\w{5} .* \| Z:I$/,
  },
];

for (const row of rows) {
  test(`${row.name}: one answer, and the session goes on`, async () => {
    const client = await connect();
    const other = await connect();
    client.send(say.query(row.text));
    assert.match(describeAll(await client.until("Z", 1, 20_000)), row.hears);
    client.send(say.parse(row.text), say.bind(), say.execute(), say.sync(), say.query("select 1"));
    assert.match(describeAll(await client.until("Z", 2, 20_000)), /Z:I \| T \| D \| C:SELECT 1 \| Z:I$/);
    other.send(say.query("select count(*) from t"));
    assert.equal(describeAll(await other.until("Z")), "T | D | C:SELECT 1 | Z:I");
    client.socket.destroy();
    other.socket.destroy();
  });
}
