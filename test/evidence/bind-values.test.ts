// What the recording says of bind values: over a real gateway, in clear, sealed, and counted where nothing was asked for.
import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, test } from "node:test";
import fc from "fast-check";
import { compactDecrypt } from "jose";
import { startGateway } from "../../cli/compose.ts";
import { main } from "../../cli/main.ts";
import { parseConfig, readConfig } from "../../proxy/config.ts";
import { decryptCompact } from "../../proxy/identity/jose.ts";
import { silentLog } from "../../proxy/log.ts";
import { recordedValues } from "../../proxy/recording/bind-values.ts";
import { openContent } from "../../proxy/recording/content.ts";
import { seal, sessionKey, unseal } from "../../proxy/recording/seal.ts";
import { connectTo, prepareGateway } from "../support/gateway.ts";
import { testServer } from "../support/postgres.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";
import { captured } from "../support/terminal.ts";

await testServer();

const pem = (type: "ec" | "rsa" | "x25519") => {
  const keys =
    type === "ec"
      ? generateKeyPairSync("ec", { namedCurve: "P-256" })
      : type === "rsa"
        ? generateKeyPairSync("rsa", { modulusLength: 2_048 })
        : generateKeyPairSync("x25519");
  return {
    publicKey: String(keys.publicKey.export({ type: "spki", format: "pem" })),
    privateKey: String(keys.privateKey.export({ type: "pkcs8", format: "pem" })),
  };
};
const auditor = pem("ec");

const policy = `package acme.test
allow staff on sql at "test-pg"
`;

/** A gateway with these lines under `recording`, one session with a Bind, and what was recorded. */
async function recorded(lines: string) {
  const prepared = await prepareGateway({
    schema: "create table people (id int8, name text); insert into people values (7, 'Kim')",
    policy,
  });
  const yaml = readFileSync(prepared.configPath, "utf8");
  writeFileSync(join(prepared.folder, "auditor.pub"), auditor.publicKey);
  writeFileSync(join(prepared.folder, "auditor.pem"), auditor.privateKey);
  writeFileSync(
    prepared.configPath,
    yaml.replace("recording: { directory: recording }", `recording: { directory: recording${lines} }`),
  );
  const gateway = await startGateway(await readConfig(prepared.configPath, {}), { log: silentLog });
  after(() => gateway.stop(0));
  const claims = { sub: "kim@larch.test", kind: "human", groups: [] };
  const client = await connectTo(prepared, gateway.connections[0]?.port ?? 0, claims);
  const { rows } = await client.query("select name from people where id = $1 and name = $2", ["7", "Kim"]);
  assert.deepEqual(rows, [{ name: "Kim" }]);
  await client.end();
  await gateway.stop(0);
  const events = await prepared.events();
  const bytes = readdirSync(prepared.recording)
    .filter((name) => name.endsWith(".jsonl"))
    .map((name) => readFileSync(join(prepared.recording, name), "utf8"))
    .join("");
  const bound = events.filter((event) => event.type === "statement" && event.parameters === 2);
  return { ...prepared, events, bytes, bound };
}

test("bind values are counted where the configuration says nothing", async () => {
  const { bytes, bound } = await recorded("");
  assert.equal(bound.length, 1);
  assert.ok(!bytes.includes('"values"') && !bytes.includes("Kim"));
});

test("with `parameters: clear` they stand in the statement's event", async () => {
  const { bound } = await recorded(", parameters: clear");
  assert.deepEqual(
    bound.map((event) => event.type === "statement" && event.values),
    [["7", "Kim"]],
  );
});

test("sealed values and texts are nowhere in the recording, and `gw sessions show --key` opens them", async () => {
  const { bytes, bound, recording, folder } = await recorded(", encrypt: { to: auditor.pub, statement: true }");
  assert.ok(!bytes.includes("Kim") && !bytes.includes("select name"));
  const session = bound[0]?.session ?? "";
  const show = async (...more: readonly string[]) => {
    const terminal = captured();
    const code = await main(["sessions", "show", session, "--recording", recording, ...more], terminal);
    return { code, text: terminal.text() };
  };
  const closed = await show();
  assert.ok(closed.code === 0 && closed.text.includes("[sealed") && !closed.text.includes("Kim"));
  const opened = await show("--key", join(folder, "auditor.pem"));
  assert.ok(opened.text.includes("select name from people where id = $1 and name = $2"), opened.text);
  assert.ok(opened.text.includes("values   $1 = '7'; $2 = 'Kim'"), opened.text);
  const other = join(folder, "other.pem");
  writeFileSync(other, pem("ec").privateKey);
  assert.deepEqual(await show("--key", other), {
    code: 2,
    text: "error[config-invalid]: sealed fields can't be opened: it wasn't encrypted to this key\n  = help: give the private key to `--key`\n",
  });
});

test("what stands between gateway and auditor is plain JOSE: every kind of key, each field with the session's key", async () => {
  for (const type of ["ec", "rsa", "x25519"] as const) {
    const keys = pem(type);
    const events: unknown[] = [];
    const content = await openContent(
      { kind: "sealed", to: keys.publicKey, isStatementSealed: true },
      {
        recorder: { recordIntent: (given) => void events.push(...given) },
        clock: { nowMs: () => 1 },
        log: silentLog,
      },
    );
    after(() => content?.close());
    const made = content?.ofTexts("ses_1", ["a"], "GET /people");
    const [event] = events;
    assert.ok(typeof event === "object" && event !== null && "wrapped" in event && "id" in event);
    const contentKey = await decryptCompact(String(event.wrapped), keys.privateKey);
    assert.ok(contentKey.ok, type);
    const { plaintext, protectedHeader } = await compactDecrypt(
      made?.sealed?.statement ?? "",
      sessionKey(contentKey.value, "ses_1"),
    );
    assert.equal(Buffer.from(plaintext).toString(), "GET /people");
    assert.deepEqual(protectedHeader, { alg: "dir", enc: "A256GCM", kid: event.id });
  }
});

test("a sealed field opens with its own session's key alone, and not after any change", () => {
  const [contentKey, header] = [Buffer.alloc(32, 1), Buffer.from('{"alg":"dir"}').toString("base64url")];
  const key = sessionKey(contentKey, "ses_1");
  fc.assert(
    fc.property(
      fc.string({ unit: "grapheme" }),
      fc.nat(),
      fc.string({ minLength: 1, maxLength: 1 }),
      (text, at, by) => {
        const sealed = seal(text, key, header);
        assert.equal(unseal(sealed, key), text);
        assert.equal(unseal(sealed, sessionKey(contentKey, "ses_2")), undefined);
        const i = at % (sealed.length - 1);
        const changed = sealed.slice(0, i) + by + sealed.slice(i + 1);
        // The last digit of a part may carry bits that base64url leaves unused.
        if (changed !== sealed) assert.ok([undefined, text].includes(unseal(changed, key)));
      },
    ),
  );
});

test("binary values are decoded where their type is certain, cut and marked where they are long", () => {
  const int8 = Buffer.alloc(8);
  int8.writeBigInt64BE(-5n);
  const context = { parameterTypes: [20, 25, 1184, 0, 25], parameterFormats: [1, 0, 1, 1, 0] };
  const long = Buffer.from("é".repeat(1_000));
  assert.deepEqual(
    recordedValues({ values: [int8, Buffer.from("x"), int8, null, long], context, parameters: undefined }),
    ["-5", "x", { hex: int8.toString("hex") }, null, { text: "é".repeat(512), isCut: true, bytes: 2_000 }],
  );
  const unread = { values: [Buffer.from("x")], context: undefined, parameters: undefined };
  assert.deepEqual(recordedValues(unread), [{ hex: "78" }]);
  const many = Array.from({ length: 65_535 }, () => Buffer.alloc(1_000, 97));
  const shown = recordedValues({ values: many, context: { parameterTypes: [] }, parameters: undefined });
  assert.deepEqual(shown.at(-1), { isCut: true, more: 65_035 });
  assert.ok(JSON.stringify(shown).length < 40_000);
});

test("a private key, a key of another kind, and both ways at once are refused by name", () => {
  const folder = temporaryFolder();
  const keep = (name: string, text: string): void => writeFileSync(join(folder, name), text);
  keep("jwks.json", '{"keys":[]}');
  keep("good.pub", auditor.publicKey);
  keep("private.pem", auditor.privateKey);
  keep("ed25519.pub", readFileSync(join(import.meta.dirname, "golden", "checkpoints.pub"), "utf8"));
  const answer = (recording: string): string => {
    const text = `
policies: { path: . }
recording: { directory: r, ${recording} }
identity: { issuers: [{ issuer: "https://id.example", audience: a, jwks_file: jwks.json }] }
connections:
  - { name: a, kind: postgres, listen: "127.0.0.1:1", tls: off, upstream: { host: h, database: d, user: u, password: { file: good.pub }, sslmode: verify-full } }
`;
    try {
      return String(parseConfig(text, join(folder, "gw.yaml"), {}).recording.content?.kind);
    } catch (error) {
      return error instanceof Error ? error.message.replace(/^.*gw.yaml:\d+:\d+: /, "") : "";
    }
  };
  assert.deepEqual(
    [
      "durability: sync",
      "parameters: clear",
      "encrypt: { to: good.pub }",
      "encrypt: { to: private.pem }",
      "encrypt: { to: ed25519.pub }",
      "parameters: clear, encrypt: { to: good.pub }",
    ].map(answer),
    [
      "undefined",
      "clear",
      "sealed",
      "the key to encrypt to is a private key: the gateway must not have it",
      "the key to encrypt to is no public key in PEM: EC, X25519, or RSA of 2048 bits",
      "values are either in clear or encrypted, not both",
    ],
  );
});
