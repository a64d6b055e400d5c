// gw serve with policies from a bundle server: signed, tested, replaced under load, gone back from, in shadow.
import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, test } from "node:test";
import type pg from "pg";
import { type Gateway, startGateway } from "../../cli/compose.ts";
import { main } from "../../cli/main.ts";
import { readArchive, writeArchive } from "../../engine/lib/archive.ts";
import { limits } from "../../engine/limits.ts";
import { packBundle } from "../../proxy/bundle/policy-bundle.ts";
import { signBundle } from "../../proxy/bundle/signature.ts";
import { readConfig } from "../../proxy/config.ts";
import { GatewayError } from "../../proxy/errors.ts";
import { type BundleServer, startBundleServer } from "../support/bundle-server.ts";
import { eventually } from "../support/eventually.ts";
import { connectTo, type PreparedGateway, prepareGateway, refusalOf } from "../support/gateway.ts";
import { testServer } from "../support/postgres.ts";
import { captured } from "../support/terminal.ts";

// At the top: a server that starts inside of a test ends with it.
await testServer();

const keys = () => {
  const { publicKey, privateKey } = generateKeyPairSync("ed25519");
  return {
    publicKey: String(publicKey.export({ type: "spki", format: "pem" })),
    privateKey: String(privateKey.export({ type: "pkcs8", format: "pem" })),
  };
};
const release = keys();
const other = keys();

const schema = `
  create table customers (id int primary key, email text, region text not null);
  insert into customers values (1, 'ana@acme.example', 'north'), (2, 'bo@acme.example', 'south');
`;
const bot = { sub: "bot-7", kind: "agent", groups: [] };
const operator = { sub: "olga", kind: "human", groups: ["platform"] };

const kept = { one: 1, two: 2, three: 3, x: 9 };
/** What a mask leaves of `ana@acme.example`: a row tells which policies it went through. */
const masked = (name: keyof typeof kept): string => `${"ana@acme.example".slice(0, kept[name])}***`;

const policyOf = (name: keyof typeof kept, more = ""): string => `package acme.test

allow reads on sql select

mask emails of public.customers.email using partial(first: ${kept[name]})
${more}`;

type BundleParts = {
  readonly policy: string;
  readonly revision: string;
  readonly serial?: number;
  readonly key?: string;
  readonly files?: Readonly<Record<string, string>>;
};

async function bundleOf({
  policy,
  revision,
  serial,
  key = release.privateKey,
  files = {},
}: BundleParts): Promise<Uint8Array> {
  const texts = new Map([["acme.policy", policy], ...Object.entries(files)]);
  const packed = packBundle(texts, { revision, serial, policyHash: undefined, builtFrom: undefined });
  const archive = readArchive(packed, {
    packedBytesMax: limits.bundleBytesMax,
    unpackedBytesMax: limits.bundleUnpackedBytesMax,
    entriesMax: limits.bundleEntriesMax,
  });
  assert.ok(archive.ok);
  const signed = await signBundle(archive.value, key, "EdDSA", "release");
  assert.ok(signed.ok);
  return writeArchive(signed.value);
}

type Setup = { readonly prepared: PreparedGateway; readonly server: BundleServer };

async function prepare(first: Uint8Array, more = ""): Promise<Setup> {
  const server = await startBundleServer(first);
  const prepared = await prepareGateway({ schema, policy: policyOf("one") });
  writeFileSync(join(prepared.folder, "release.pem"), release.publicKey);
  const policies = `policies:
  bundle: { url: "${server.url}", poll: 40ms, signed_by: { key: release.pem, algorithm: EdDSA } }
  operators: [platform]
${more}`;
  const text = readFileSync(prepared.configPath, "utf8").replace("policies: { path: policies }", policies);
  writeFileSync(prepared.configPath, text);
  return { prepared, server };
}

async function start({ prepared }: Setup): Promise<Gateway> {
  const gateway = await startGateway(await readConfig(prepared.configPath, {}));
  after(() => gateway.stop(0));
  return gateway;
}

async function connect({ prepared }: Setup, gateway: Gateway): Promise<pg.Client> {
  const client = await connectTo(prepared, gateway.connections[0]?.port ?? 0, bot);
  after(() => client.end().catch(() => undefined));
  return client;
}

const email = async (client: pg.Client): Promise<unknown> =>
  (await client.query("select email from customers where id = 1")).rows[0]?.email;

/** `gw …` of an operator, or of `claims`; what it prints. */
async function gw({ prepared }: Setup, gateway: Gateway, argv: readonly string[], claims = operator): Promise<string> {
  const terminal = captured();
  const tokenFile = join(prepared.folder, `${claims.sub}.token`);
  writeFileSync(tokenFile, await prepared.issuer.issue(claims));
  const admin = `http://127.0.0.1:${gateway.admin?.port}`;
  await main([...argv, "--admin", admin, "--token-file", tokenFile], terminal);
  return terminal.text();
}

test("policies come from a bundle server, and new ones are in force without a restart", async () => {
  const setup = await prepare(await bundleOf({ policy: policyOf("one"), revision: "r1", serial: 1 }));
  const gateway = await start(setup);
  const client = await connect(setup, gateway);
  assert.equal(await email(client), masked("one"));
  const { revision, source, rejected } = gateway.policy.status();
  assert.deepEqual({ revision, source, rejected }, { revision: "r1", source: setup.server.url, rejected: undefined });

  setup.server.serve(await bundleOf({ policy: policyOf("two"), revision: "r2", serial: 2 }));
  await eventually(async () => ((await email(client)) === masked("two") ? true : undefined));
  assert.equal(gateway.policy.status().revision, "r2");
});

test("what isn't a good bundle keeps the old one in force, and the status says why", async () => {
  const first = await bundleOf({ policy: policyOf("one"), revision: "r1", serial: 4 });
  const setup = await prepare(first);
  const gateway = await start(setup);
  const client = await connect(setup, gateway);
  const rows: readonly (readonly [what: string, bytes: Uint8Array, why: RegExp])[] = [
    [
      "signed by another key",
      await bundleOf({ policy: policyOf("x"), revision: "r", serial: 5, key: other.privateKey }),
      /signature/,
    ],
    ["cut off", first.subarray(0, first.length - 40), /gzip/],
    ["no archive", new TextEncoder().encode("<html>"), /gzip/],
    [
      "a lower serial number",
      await bundleOf({ policy: policyOf("x"), revision: "r", serial: 3 }),
      /its serial number 3 is lower than 4/,
    ],
    ["no serial number any more", await bundleOf({ policy: policyOf("x"), revision: "r" }), /it has no serial number/],
    [
      "wrong policies",
      await bundleOf({ policy: "package acme.test\n\nallow everything on nowhere\n", revision: "r", serial: 5 }),
      /acme\.policy/,
    ],
    [
      "a test that fails",
      await bundleOf({
        policy: policyOf("x"),
        revision: "r",
        serial: 5,
        files: { "a.test.policy": failingTest, "catalog.json": emptyCatalog },
      }),
      /1 of the bundle's tests fail: `agents may not read`/,
    ],
  ];
  for (const [what, bytes, why] of rows) {
    setup.server.serve(bytes);
    const rejected = await eventually(() => {
      const message = gateway.policy.status().rejected?.message;
      return message !== undefined && why.test(message) ? message : undefined;
    }).catch(() => gateway.policy.status().rejected?.message ?? "not turned away");
    assert.match(rejected, why, what);
    assert.equal(await email(client), masked("one"), what);
  }
  setup.server.misbehave((_request, response) => response.writeHead(503).end());
  await eventually(() => (gateway.policy.status().fetched?.error?.endsWith("it answers 503") ? true : undefined));
  assert.equal(await email(client), masked("one"));
});

const emptyCatalog = readFileSync("policies/demo/catalog.json", "utf8");

const failingTest = `package acme.test

catalog "test-pg" from "./catalog.json"

test "agents may not read" {
  given identity { sub: "bot", kind: agent }
  given sql "select 1" at "test-pg"
  expect deny
}
`;

test("a bundle that was replaced is not taken again from the source; an operator may go back to it", async () => {
  const one = await bundleOf({ policy: policyOf("one"), revision: "r1" });
  const two = await bundleOf({ policy: policyOf("two"), revision: "r2" });
  const setup = await prepare(one);
  const gateway = await start(setup);
  const client = await connect(setup, gateway);
  assert.equal(await email(client), masked("one"));
  setup.server.serve(two);
  await eventually(async () => ((await email(client)) === masked("two") ? true : undefined));

  setup.server.serve(one);
  const why = await eventually(() => gateway.policy.status().rejected?.message);
  assert.match(why, /it was in force before and has been replaced: `gw bundle rollback` goes back on purpose/);
  assert.equal(await email(client), masked("two"));

  assert.match(
    await gw(setup, gateway, ["bundle", "rollback"], { ...operator, sub: "eve", groups: ["sales"] }),
    /only people in a group of `policies.operators` may change the policies in force/,
  );
  assert.match(await gw(setup, gateway, ["bundle", "rollback"]), /live .* r1 [\s\S]*chosen by an operator/);
  assert.equal(await email(client), masked("one"));
  setup.server.serve(await bundleOf({ policy: policyOf("three"), revision: "r3" }));
  assert.match(
    await gw(setup, gateway, ["bundle", "rollback", "000000"]),
    /no bundle that was in force begins with `000000`/,
  );
  assert.equal(await email(client), masked("one"));
  await gw(setup, gateway, ["bundle", "resume"]);
  await eventually(async () => ((await email(client)) === masked("three") ? true : undefined));
});

test("without its server a gateway starts with what was in force last, and never with nothing", async () => {
  const setup = await prepare(await bundleOf({ policy: policyOf("one"), revision: "r1" }));
  setup.server.misbehave((_request, response) => response.writeHead(503).end());
  await assert.rejects(start(setup), (error) => error instanceof GatewayError && error.code === "bundle-unreachable");

  setup.server.serve(await bundleOf({ policy: policyOf("one"), revision: "r1" }));
  const first = await start(setup);
  await first.stop(0);
  for (const bad of [
    () => setup.server.misbehave((_request, response) => response.destroy()),
    () => setup.server.serve(new TextEncoder().encode("broken")),
  ]) {
    bad();
    const gateway = await start(setup);
    assert.equal(await email(await connect(setup, gateway)), masked("one"));
    assert.ok(gateway.policy.status().rejected !== undefined);
    await gateway.stop(0);
  }
});

test("while bundles change, each answer is that of exactly one of them, and its record names that one", async () => {
  const filter = `filter north of public.customers where row.region == "north"\n`;
  const bundles = [
    await bundleOf({ policy: policyOf("one"), revision: "r1" }),
    await bundleOf({ policy: policyOf("two", filter), revision: "r2" }),
  ];
  const setup = await prepare(bundles[0] ?? new Uint8Array(), "  # the server goes back and forth\n");
  const text = readFileSync(setup.prepared.configPath, "utf8").replace(
    "poll: 40ms,",
    "poll: 5ms, test: false, accept_older: true,",
  );
  writeFileSync(setup.prepared.configPath, text);
  const gateway = await start(setup);
  const clients = await Promise.all(Array.from({ length: 4 }, () => connect(setup, gateway)));
  let isOver = false;
  const answers: string[] = [];
  const work = clients.map(async (client, i) => {
    while (!isOver) {
      const parameters = i % 2 === 0 ? [] : [0];
      const where = i % 2 === 0 ? "where id > 0" : "where id > $1";
      const { rows } = await client.query(`select id, email from customers ${where} order by id`, parameters);
      answers.push(JSON.stringify(rows));
    }
  });
  const seen = new Set<string>();
  for (let n = 1; n <= 12; n += 1) {
    setup.server.serve(bundles[n % 2] ?? new Uint8Array());
    const wanted = n % 2 === 0 ? "r1" : "r2";
    await eventually(() => (gateway.policy.status().revision === wanted ? true : undefined));
    seen.add(gateway.policy.status().hash);
  }
  isOver = true;
  await Promise.all(work);
  const one = JSON.stringify([
    { id: 1, email: masked("one") },
    { id: 2, email: "b***" },
  ]);
  const two = JSON.stringify([{ id: 1, email: masked("two") }]);
  assert.deepEqual([...new Set(answers)].sort(), [one, two]);

  const events = await setup.prepared.events();
  const rowsOf = new Map(events.flatMap((e) => (e.type === "completion" ? [[e.id, e.rows] as const] : [])));
  const told = new Set(
    events.flatMap((e) =>
      e.type === "statement" ? [`${e.policy} ${e.filters.length} filters ${rowsOf.get(e.id)} rows`] : [],
    ),
  );
  const [r2, r1] = [...seen];
  assert.deepEqual([...told].sort(), [`${r1} 0 filters 2 rows`, `${r2} 1 filters 1 rows`].sort());
  assert.ok(answers.length > 50);
});

test("policies in shadow decide beside the live ones: differences are recorded, and promotion makes them live", async () => {
  const setup = await prepare(await bundleOf({ policy: policyOf("one"), revision: "r1" }));
  const shadow = `policies:
  shadow: { path: policies }
`;
  const text = readFileSync(setup.prepared.configPath, "utf8").replace("policies:\n", shadow);
  writeFileSync(setup.prepared.configPath, text);
  setup.prepared.writePolicy(
    'package acme.test\n\nallow reads on sql select\n\ndeny secrets on sql select of public.customers because "not yet"\n',
  );
  const gateway = await start(setup);
  const client = await connect(setup, gateway);
  assert.equal(await email(client), masked("one"));
  await client.query("select 1");
  const differences = (await setup.prepared.events()).flatMap((event) =>
    event.type === "shadow"
      ? [{ live: event.live, effect: event.effect, rules: event.rules, causes: event.causes }]
      : [],
  );
  assert.deepEqual(differences, [
    {
      live: "allow",
      effect: "deny",
      rules: ["acme.test.secrets"],
      causes: [{ kind: "rule", rule: "acme.test.secrets", message: "not yet", severity: null }],
    },
  ]);
  assert.match(
    await gw(setup, gateway, ["bundle", "status"]),
    /shadow .*\n +1 decisions alike, 1 different, 0 failed\n/,
  );

  assert.match(await gw(setup, gateway, ["bundle", "promote"]), /chosen by an operator/);
  assert.match((await refusalOf(client, "select email from customers where id = 1")).message, /not yet/);
  await gw(setup, gateway, ["bundle", "resume"]);
  assert.equal(await email(client), masked("one"));
});

test("with `replay` a bundle that would let through what was refused is not taken up", async () => {
  const snapshot = JSON.stringify({
    gatewright: "catalog/1",
    database: "example",
    schemas: {
      public: {
        relations: {
          customers: {
            kind: "table",
            columns: [
              { name: "id", type: "integer", notNull: true },
              { name: "email", type: "text" },
              { name: "region", type: "text", notNull: true },
            ],
          },
        },
      },
    },
  });
  const withCatalog = (more: string): string =>
    policyOf("one", more).replace("\n\n", '\n\ncatalog "test-pg" from "./catalog.json"\n\n');
  const files = { "catalog.json": snapshot };
  const setup = await prepare(await bundleOf({ policy: withCatalog(""), revision: "r1", files }));
  const text = readFileSync(setup.prepared.configPath, "utf8").replace("poll: 40ms,", "poll: 40ms, replay: 24h,");
  writeFileSync(setup.prepared.configPath, text);
  const gateway = await start(setup);
  const client = await connect(setup, gateway);
  await refusalOf(client, "delete from customers where id = 1");

  setup.server.serve(await bundleOf({ policy: withCatalog("allow deletes on sql delete\n"), revision: "r2", files }));
  const why = await eventually(() => gateway.policy.status().rejected?.message);
  assert.match(why, /it would permit or reveal 1 recorded statements that the policies of then did not, such as dec_/);
  assert.equal(gateway.policy.status().revision, "r1");

  setup.server.serve(await bundleOf({ policy: withCatalog("allow inserts on sql insert\n"), revision: "r3", files }));
  await eventually(() => (gateway.policy.status().revision === "r3" ? true : undefined));
});
