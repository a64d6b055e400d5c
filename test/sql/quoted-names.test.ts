// Relations and columns whose names need quotes, from the policy text to the server.
import assert from "node:assert/strict";
import { test } from "node:test";
import { compileBundle } from "../../dsl/bundle.ts";
import { formatPolicy } from "../../dsl/format.ts";
import { encodeCatalogSnapshot } from "../../engine/model/catalog-snapshot.ts";
import { startTestGateway } from "../support/gateway.ts";
import { makeWorld } from "./support.ts";

const schema = `
create schema "My.Schema";
create table public."Order Items" (id int primary key, "Unit Price" numeric, "Größe" text, "on" text);
insert into public."Order Items" values (1, 9.5, 'XL', 'a'), (2, 20, 'S', 'b');
create table "My.Schema"."T""1" (id int primary key, secret text);
insert into "My.Schema"."T""1" values (1, 'x');
create table "My.Schema"."on" (id int, note text);
insert into "My.Schema"."on" values (1, 'n');
`;
const policy = `package acme.test

allow staff on sql tcl, session at "test-pg"

allow items on sql read of public."Order Items"("Unit Price", id, "Größe") at "test-pg"

allow mine on sql read of "My.Schema"."T\\"1" at "test-pg"

mask sizes of public."Order Items"."Größe" using nullify at "test-pg"

mask secrets of "My.Schema"."T\\"1".secret using nullify at "test-pg"

filter cheap of public."Order Items" where row["Unit Price"] < 10.0 at "test-pg"
`;

const { catalog } = await makeWorld(schema);
const gw = await startTestGateway({ schema, policy });

test("rules name relations and columns in quotes", async () => {
  const client = await gw.connect({ sub: "olga", kind: "human", groups: [] });
  assert.deepEqual((await client.query('SELECT id, "Unit Price", "Größe" FROM "Order Items"')).rows, [
    { id: 1, "Unit Price": "9.5", Größe: null },
  ]);
  assert.deepEqual((await client.query('SELECT * FROM "My.Schema"."T""1"')).rows, [{ id: 1, secret: null }]);
  await assert.rejects(client.query('SELECT "on" FROM "Order Items"'), { code: "42501" });
  await assert.rejects(client.query('SELECT * FROM "My.Schema"."on"'), { code: "42501" });
  await client.end();
});

test("a catalog knows them, suggests them as they are written, and a star in quotes is no wildcard", () => {
  const check = (rules: string): readonly unknown[] => {
    const text = `package acme.test\n\ncatalog "test-pg" from "shop.json"\n\n${rules}\n`;
    const files = new Map([
      ["a.policy", text],
      ["shop.json", encodeCatalogSnapshot(catalog)],
    ]);
    const { diagnostics } = compileBundle(files, { revision: "1", timeZone: "UTC" });
    return diagnostics
      .filter((d) => d.code.startsWith("E"))
      .map((d) => [d.code, d.label, d.fixes?.map((f) => f.replacement)]);
  };
  assert.deepEqual(check(policy.replace("package acme.test", "")), []);
  assert.deepEqual(check('mask x of public."Order Item"."Unit Price" using nullify at "test-pg"'), [
    ["E0401", "did you mean `public.Order Items`?", ['public."Order Items"']],
  ]);
  assert.deepEqual(check('mask x of public."Order Items"."Unit Prise" using nullify at "test-pg"'), [
    ["E0402", 'did you mean `public."Order Items"."Unit Price"`?', ['public."Order Items"."Unit Price"']],
  ]);
  assert.deepEqual(check('filter x of public."Order Items" where row["Unit Prise"] < 1.0 at "test-pg"'), [
    ["E0402", "did you mean `Unit Price`?", []],
  ]);
  assert.deepEqual(check('mask x of public."*".email using nullify at "test-pg"'), [
    ["E0405", "the wildcard stands without quotes", []],
  ]);
});

test("the formatter leaves the quotes as they are", () => {
  const formatted = formatPolicy("a.policy", policy);
  assert.deepEqual(formatted, { ok: true, value: policy });
});
