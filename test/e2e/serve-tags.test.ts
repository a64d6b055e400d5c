// Tags come from the policy's snapshot; what the snapshot doesn't know is never taken for harmless.
import assert from "node:assert/strict";
import { test } from "node:test";
import { refusalOf, startTestGateway } from "../support/gateway.ts";

const snapshot = {
  gatewright: "catalog/1",
  database: "app",
  serverVersion: 180004,
  schemas: {
    public: {
      relations: {
        people: {
          kind: "table",
          columns: [
            { name: "id", type: "integer", notNull: true },
            { name: "email", type: "text", tags: ["pii"] },
          ],
        },
      },
    },
  },
};
const policy = `package acme.test

catalog "test-pg" from "./catalog.json"

allow staff on sql read of public.* at "test-pg"
mask personal of tagged "pii" using redact at "test-pg"
deny restricted on sql of tagged "restricted" at "test-pg"
  when identity.kind == agent
  because "{table} is restricted"
`;
const gw = await startTestGateway({
  schema: `create table people (id int not null, email text, phone text); insert into people values (1, 'ana@acme.example', '+41 79 000 00 00');
    create table added (id int); insert into added values (1)`,
  policy,
  files: { "catalog.json": JSON.stringify(snapshot) },
});
const olga = { sub: "olga", kind: "human", groups: [] };

test("a tagged column is masked, an untagged one is not, and one that the snapshot doesn't know is masked too", async () => {
  const client = await gw.connect(olga);
  const { rows } = await client.query("select * from people");
  assert.deepEqual(rows, [{ id: 1, email: "***", phone: "***" }]);
});

test("a table or column that the snapshot doesn't know is refused where a deny asks for its tags", async () => {
  const client = await gw.connect({ sub: "bot-7", kind: "agent", groups: [] });
  for (const sql of ["select * from added", "select phone from people"]) {
    const refused = await refusalOf(client, sql);
    assert.equal(refused.code, "42501");
    assert.match(refused.detail ?? "", /^rule acme\.test\.restricted/);
  }
  assert.deepEqual((await client.query("select id, email from people")).rows, [{ id: 1, email: "***" }]);
});
