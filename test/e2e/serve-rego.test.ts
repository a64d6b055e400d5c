// gw serve with a Rego bundle beside the policy folder: a real client and a real PostgreSQL.
import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, test } from "node:test";
import { type Gateway, startGateway } from "../../cli/compose.ts";
import { readArchive, writeArchive } from "../../engine/lib/archive.ts";
import { signBundle } from "../../proxy/bundle/signature.ts";
import { readConfig } from "../../proxy/config.ts";
import { GatewayError } from "../../proxy/errors.ts";
import { compileRego } from "../rego/support.ts";
import { connectTo, prepareGateway, refusalOf } from "../support/gateway.ts";
import { skip } from "../support/opa.ts";

const schema = `
  create table customers (id int primary key, email text, region text not null);
  insert into customers values (1, 'ana@acme.example', 'north'), (2, 'bo@acme.example', 'south');
`;
const policy = `package acme.test

allow everything on any

mask emails of public.customers.email using partial(first: 1, keep_domain: true)
`;
const rego = (region: string): string => `
deny contains {"rule": "no_writes", "message": "bots don't write"} if {
  some a in input.sql.accesses
  a.kind == "write"
}
filters contains {"table": a.table.key, "where": {"column": "region", "op": "=", "value": "${region}"}, "rule": "region"} if {
  some a in input.sql.accesses
  a.table.key == "public.customers"
}
slow if {
  contains(input.sql.text, "slow")
  items := numbers.range(1, 100000)
  count([1 | some x in items; some y in items; x == y]) > 0
}
decision := {
  "allow": not_slow, "deny": deny, "filters": filters, "rules": ["all"],
  "tolerates": ["table.tags", "column.tags", "sql.limit"],
}
default not_slow := true
not_slow := false if slow
`;
const bot = { sub: "bot-7", kind: "agent", groups: [] };

const prepared = await prepareGateway({ schema, policy });
const bundlePath = join(prepared.folder, "bundle.tar.gz");
writeFileSync(
  prepared.configPath,
  readFileSync(prepared.configPath, "utf8").replace(
    "policies: { path: policies }",
    "policies: { path: policies, rego: [{ bundle: bundle.tar.gz, deadline: 1500ms, connections: [test-pg] }] }",
  ),
);

async function start(bundle: Uint8Array): Promise<Gateway> {
  writeFileSync(bundlePath, bundle);
  const gateway = await startGateway(await readConfig(prepared.configPath, {}));
  after(() => gateway.stop(0));
  return gateway;
}

test("what Rego and the policy folder demand holds together, and a new bundle takes over", { skip }, async () => {
  const gateway = await start(await compileRego(rego("north")));
  const client = await connectTo(prepared, gateway.connections[0]?.port ?? 0, bot);
  after(() => client.end().catch(() => undefined));
  const read = async (): Promise<unknown> => (await client.query("select id, email from customers order by id")).rows;

  assert.deepEqual(await read(), [{ id: 1, email: "a***@acme.example" }]);
  assert.match((await refusalOf(client, "delete from customers where id = 1")).message, /bots don't write/);
  assert.match((await refusalOf(client, "select 'slow'")).message, /took longer than 1500 ms and was stopped/);
  assert.deepEqual(await read(), [{ id: 1, email: "a***@acme.example" }]);

  const before = gateway.policy.status().hash;
  writeFileSync(bundlePath, await compileRego(rego("south")));
  const status = await gateway.policy.reload();
  assert.equal(status.rejected, undefined);
  assert.notEqual(status.hash, before);
  assert.deepEqual(await read(), [{ id: 2, email: "b***@acme.example" }]);

  writeFileSync(bundlePath, "garbage");
  const rejected = (await gateway.policy.reload()).rejected;
  assert.match(rejected?.message ?? "", /can't be loaded: this is not a whole gzip archive/);
  assert.deepEqual(await read(), [{ id: 2, email: "b***@acme.example" }]);
});

test("a gateway doesn't start with a bundle that can't be loaded", { skip }, async () => {
  const archive = await compileRego('decision if http.send({"method": "get", "url": "http://x"}).status_code == 200');
  await assert.rejects(start(archive), (error: unknown) => {
    assert.ok(error instanceof GatewayError, String(error));
    assert.equal(error.code, "policy-rejected");
    assert.match(error.message, /the policy calls `http.send`, which the gateway doesn't offer/);
    return true;
  });
});

test("a gateway that wants a signature takes a signed bundle and no other", { skip }, async () => {
  const { publicKey, privateKey } = generateKeyPairSync("ed25519");
  writeFileSync(join(prepared.folder, "release.pem"), publicKey.export({ type: "spki", format: "pem" }));
  const text = readFileSync(prepared.configPath, "utf8");
  writeFileSync(
    prepared.configPath,
    text.replace("bundle: bundle.tar.gz,", "bundle: bundle.tar.gz, signed_by: { key: release.pem, algorithm: EdDSA },"),
  );
  const archive = await compileRego(rego("north"));
  await assert.rejects(start(archive), {
    code: "policy-rejected",
    message: /can't be loaded: the bundle is not signed/,
  });

  const files = readArchive(archive, { packedBytesMax: 1e7, unpackedBytesMax: 1e7, entriesMax: 10 });
  assert.ok(files.ok);
  const key = String(privateKey.export({ type: "pkcs8", format: "pem" }));
  const signed = await signBundle(files.value, key, "EdDSA", "release");
  assert.ok(signed.ok);
  const gateway = await start(writeArchive(signed.value));
  const good = gateway.policy.status().hash;
  writeFileSync(bundlePath, archive);
  const status = await gateway.policy.reload();
  assert.equal(status.hash, good);
  assert.match(status.rejected?.message ?? "", /the bundle is not signed/);
});
