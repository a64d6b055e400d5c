import assert from "node:assert/strict";
import { test } from "node:test";
import type { Log } from "../../proxy/deps.ts";
import { GatewayError } from "../../proxy/errors.ts";
import { secretOfCommand } from "../../proxy/secrets/command.ts";
import { type Fetched, keepFresh } from "../../proxy/secrets/credential.ts";
import { openVault } from "../../proxy/secrets/vault.ts";
import { startFakeVault } from "../support/fake-vault.ts";

const logged: string[] = [];
const put = (fields: object, message: string): void => void logged.push(`${JSON.stringify(fields)} ${message}`);
const log: Log = { debug: put, info: put, warn: put, error: put };
const isUnavailable = (error: unknown) => error instanceof GatewayError && error.code === "secret-unavailable";

function clocked(fetch: (serial: number) => Fetched | Promise<Fetched>) {
  let nowMs = 1_000_000;
  let fetches = 0;
  const source = keepFresh(
    "vault kv secret/app",
    async () => {
      fetches += 1;
      return fetch(fetches);
    },
    { nowMs: () => nowMs },
    log,
  );
  return {
    source,
    fetches: () => fetches,
    wait: (ms: number) => {
      nowMs += ms;
    },
  };
}
const secret = (n: number, ttlMs: number | undefined = 60_000): Fetched => ({
  credential: { password: `s3cret-${n}` },
  ttlMs,
});
const settle = () => new Promise((resolve) => setImmediate(resolve));

test("a secret is fetched once for all who ask, kept for its life, and renewed before it ends", async () => {
  const { source, fetches, wait } = clocked((n) => secret(n));
  const all = await Promise.all([source.get(), source.get(), source.get()]);
  assert.deepEqual(new Set(all.map((c) => c.password)), new Set(["s3cret-1"]));
  wait(39_999);
  await source.get();
  assert.equal(fetches(), 1);
  wait(2);
  assert.equal((await source.get()).password, "s3cret-1", "the old one serves while the new one is fetched");
  await settle();
  assert.equal((await source.get()).password, "s3cret-2");
  source.close();
});

test("while the source is down the last secret serves to its end, then nothing is let through; errors and log hold no content", async () => {
  const { source, fetches, wait } = clocked((n) => {
    if (n > 1) throw new Error("s3cret leaked in an error");
    return secret(n);
  });
  await source.get();
  wait(50_000);
  assert.equal((await source.get()).password, "s3cret-1");
  await settle();
  wait(10_001);
  await assert.rejects(source.get(), isUnavailable);
  const before = fetches();
  await assert.rejects(source.get(), isUnavailable);
  assert.equal(fetches(), before, "a source that is down is not asked by every login");
  assert.equal(logged.join().includes("s3cret"), false);
  source.close();
});

test("a secret that the server refused is fetched anew, once in a while only", async () => {
  const { source, fetches } = clocked((n) => secret(n));
  const first = await source.get();
  source.refused(first);
  const second = await source.get();
  assert.equal(second.password, "s3cret-2");
  source.refused(first);
  source.refused(second);
  assert.equal((await source.get()).password, "s3cret-2");
  assert.equal(fetches(), 2);
  source.close();
});

const node = (code: string) => secretOfCommand([process.execPath, "-e", code], 600_000, process.env, 1_000);
const outputs: readonly (readonly [code: string, expected: unknown])[] = [
  ["console.log('tok/en?X-Amz-Signature=1')", { credential: { password: "tok/en?X-Amz-Signature=1" }, ttlMs: 600_000 }],
  ["process.stdout.write('two\\nlines\\n')", { credential: { password: "two\nlines" }, ttlMs: 600_000 }],
  [
    "console.log(JSON.stringify({ Token: 't', User: 'u', Expiration: new Date(901000).toISOString() }))",
    { credential: { password: "t", user: "u" }, ttlMs: 900_000 },
  ],
];
for (const [code, expected] of outputs) {
  test(`a command that runs ${code.slice(0, 40)} gives a secret`, async () =>
    assert.deepEqual(await node(code), expected));
}
const failures = [
  "process.exit(3)",
  "",
  "console.log('{}')",
  "console.log('{oops')",
  "console.log('x'.repeat(100000))",
  "console.log(JSON.stringify({ password: 'p', expiration: 'never' }))",
];
for (const code of failures) {
  test(`a command that runs ${code.slice(0, 40) || "nothing"} gives none`, () => assert.rejects(node(code)));
}

test("a command that doesn't exist gives none, and an error without its environment", () =>
  assert.rejects(
    secretOfCommand(["/nowhere/gw-token", "--x"], 1, { SECRET: "s3cret" }, 0),
    (error: Error) => error.message === "the command can't be started",
  ));

test("KV secrets are read with the field that is named, and nothing else", async () => {
  const vault = await startFakeVault();
  vault.kv.set("secret/app/db", { password: "kv-pw", other: "no" });
  const { kv } = openVault({
    address: vault.address,
    namespace: undefined,
    login: { kind: "token", token: async () => "root" },
  });
  assert.deepEqual((await kv("secret", "app/db", "password")).credential, { password: "kv-pw" });
  await assert.rejects(kv("secret", "app/db", "missing"), (error: Error) => !error.message.includes("kv-pw"));
  await assert.rejects(kv("secret", "app/none", "password"), (error: Error) => error.message === "vault answered 404");
});

test("AppRole logs in, and logs in again when its token ended", async () => {
  const vault = await startFakeVault();
  vault.kv.set("secret/app/db", { password: "kv-pw" });
  const { kv } = openVault({
    address: vault.address,
    namespace: "team",
    login: { kind: "approle", mount: "approle", roleId: "gw", secretId: async () => "approle-secret" },
  });
  await kv("secret", "app/db", "password");
  vault.tokens.clear();
  await kv("secret", "app/db", "password");
  assert.deepEqual(vault.requests, [
    "POST auth/approle/login",
    "GET secret/data/app/db",
    "GET secret/data/app/db",
    "POST auth/approle/login",
    "GET secret/data/app/db",
  ]);
});

test("a lease of the database engine is renewed while Vault grants it, then a new login is made", async () => {
  const vault = await startFakeVault();
  vault.leaseS = 60;
  vault.renewS = 60;
  const { database } = openVault({
    address: vault.address,
    namespace: undefined,
    login: { kind: "token", token: async () => "root" },
  });
  let nowMs = 0;
  const source = keepFresh("vault database", () => database("database", "app"), { nowMs: () => nowMs }, log);
  const refreshed = async (count: number) => {
    await source.get();
    while (vault.requests.length < count) await settle();
    await settle();
    await settle();
    return source.get();
  };
  assert.deepEqual(await source.get(), { user: "v-app-1", password: "pw-1" });
  nowMs += 45_000;
  assert.deepEqual(await refreshed(2), { user: "v-app-1", password: "pw-1" });
  nowMs += 45_000;
  vault.renewS = 5;
  const after = await refreshed(4);
  const later = after.user === "v-app-2" ? after : await source.get();
  assert.deepEqual(later, { user: "v-app-2", password: "pw-2" });
  assert.deepEqual(vault.requests.slice(0, 4), [
    "GET database/creds/app",
    "PUT sys/leases/renew",
    "PUT sys/leases/renew",
    "GET database/creds/app",
  ]);
  source.close();
});
