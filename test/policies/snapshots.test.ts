// The snapshots that the sample policies are checked against are those of the demo's database.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { pullCatalog } from "../../cli/commands/catalog.ts";
import { companySql } from "../../cli/demo/company.ts";
import type { Terminal } from "../../cli/terminal.ts";
import { testDatabase, withClient } from "../support/postgres.ts";

const folder = mkdtempSync(join(tmpdir(), "gw-snapshots-"));
after(() => rmSync(folder, { recursive: true, force: true }));

/** To renew them: GW_UPDATE=1 node --test test/policies/snapshots.test.ts */
const isUpdate = process.env.GW_UPDATE === "1";

test("gw catalog pull of the demo's database gives the snapshots of policies/", async () => {
  // Roles belong to the whole server, which other tests share.
  const [gateway, owner] = ["gateway", "larch_owner"].map((name) => `${name}_${randomBytes(4).toString("hex")}`);
  const own = (sql: string) =>
    sql.replaceAll(/\bgateway\b/g, gateway ?? "").replaceAll(/\blarch_owner\b/g, owner ?? "");
  const database = await testDatabase(`create role ${gateway} login`);
  after(() =>
    withClient({ ...database, database: "postgres" }, (c) => c.query(`drop role if exists ${gateway}, ${owner}`)).catch(
      () => undefined,
    ),
  );
  await withClient(database, (c) => c.query(own(companySql("schema.sql"))));
  const errors: string[] = [];
  const terminal: Terminal = { out: assert.fail, err: (text) => void errors.push(text), hasColor: false, columns: 80 };
  const out = join(folder, "catalog.json");
  const target = {
    host: database.host,
    port: database.port,
    database: database.database,
    user: database.user,
    password: async () => database.password,
    tls: { mode: "disable", ca: undefined },
  } as const;
  assert.equal(await pullCatalog(terminal, target, { out, check: false }), 0);
  const pulled = readFileSync(out, "utf8").replace(`"database": "${database.database}"`, '"database": "larch"');
  for (const path of ["policies/demo/catalog.json", "policies/std/catalog.json"]) {
    if (isUpdate) writeFileSync(path, pulled);
    assert.equal(readFileSync(path, "utf8"), pulled, `${path} is out of date: GW_UPDATE=1 renews it`);
  }
  assert.match(
    errors.join(""),
    /12 relations, 73 columns, tags contact, free_text, pay, personal, pii, restricted, secret, tenant_scoped/,
  );

  // A second pull changes nothing and says so.
  errors.length = 0;
  assert.equal(await pullCatalog(terminal, target, { out, check: true }), 0);
  assert.match(errors.join(""), /is up to date/);

  // A new column is named, and `--check` fails until it is pulled.
  errors.length = 0;
  await withClient(database, (c) => c.query("alter table public.customers add column nickname text"));
  assert.equal(await pullCatalog(terminal, target, { out, check: true }), 1);
  assert.match(errors.join(""), /new: public\.customers\.nickname/);
});
