import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { parseConfig, readConfig, readRecordingDirectory } from "../../proxy/config.ts";
import { GatewayError } from "../../proxy/errors.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";

const folder = temporaryFolder();
const file = (name: string, content: string): string => {
  writeFileSync(join(folder, name), content);
  return name;
};
const path = join(folder, "gw.yaml");
file("jwks.json", '{"keys":[]}');
file("password", "s3cret\n");

const good = `
node: gw-1
policies: { path: policies, time_zone: Europe/Berlin }
recording: { directory: recording, durability: sync }
approvals: { hold: 90s }
admin: { listen: "[::1]:7070" }
identity:
  issuers:
    - issuer: https://id.example
      audience: gatewright
      jwks_file: jwks.json
      default_kind: human
      claims: { groups: realm_access.roles }
connections:
  - name: prod-pg
    kind: postgres
    listen: 127.0.0.1:6432
    env: prod
    tags: [core]
    tls: off
    mask_key: { env: MASK_KEY }
    allowed_functions: [app.slugify]
    upstream:
      host: db.internal
      database: app
      user: gateway
      password: { file: password }
      sslmode: verify-full
`;
const environment = { MASK_KEY: "0123456789abcdef" };

const complaints = (text: string): readonly string[] => {
  try {
    parseConfig(text, path, environment);
  } catch (error) {
    if (error instanceof GatewayError)
      return error.message.split("\n").map((line) => line.replaceAll(`${folder}/`, ""));
    throw error;
  }
  return [];
};

test("a configuration is read with every default and every named file", async () => {
  const config = parseConfig(good, path, environment);
  const [connection] = config.connections;
  assert.deepEqual(
    { ...config, connections: config.connections.map(({ upstream: _, login: ___, maskKey: __, ...rest }) => rest) },
    {
      node: "gw-1",
      logLevel: "info",
      policies: {
        source: { kind: "folder", path: join(folder, "policies") },
        state: join(folder, "recording", "bundles"),
        operators: [],
        timeZone: "Europe/Berlin",
      },
      recording: { directory: join(folder, "recording"), durability: "sync" },
      approvals: { file: join(folder, "recording", "approvals.sqlite"), holdMs: 90_000 },
      admin: { listen: { host: "::1", port: 7070 } },
      identity: {
        issuers: [
          {
            issuer: "https://id.example",
            audience: "gatewright",
            keys: { kind: "jwks", jwks: { keys: [] } },
            algorithms: ["RS256", "PS256", "ES256", "EdDSA", "Ed25519"],
            claims: {
              sub: "sub",
              kind: "kind",
              groups: "realm_access.roles",
              email: "email",
              mfa: "mfa",
              on_behalf_of: "on_behalf_of",
              purpose: "purpose",
            },
            defaultKind: "human",
            prefix: "",
          },
        ],
        revoked: new Set(),
      },
      connections: [
        {
          kind: "postgres",
          name: "prod-pg",
          listen: { host: "127.0.0.1", port: 6432 },
          env: "prod",
          tags: ["core"],
          tls: { kind: "off" },
          allowedFunctions: ["app.slugify"],
          sessions: {},
        },
      ],
      http: [],
      stdio: [],
      users: [],
    },
  );
  assert.equal(await connection?.upstream.password(), "s3cret");
  file("password", "rotated");
  assert.equal(await connection?.upstream.password(), "rotated", "a password file is read at each use");
  assert.deepEqual(connection?.upstream.tls, { mode: "verify-full", ca: undefined });
});

const cases: readonly (readonly [what: string, edit: (text: string) => string, expected: readonly string[]])[] = [
  [
    "an unknown key, with the nearest known one",
    (t) => t.replace("allowed_functions:", "allowed_function:"),
    ["gw.yaml:22:5: unknown key `allowed_function`; did you mean `allowed_functions`?"],
  ],
  [
    "a missing key, at the place where it belongs",
    (t) => t.replace("    listen: 127.0.0.1:6432\n", ""),
    ["gw.yaml:15:5: `connections.0.listen` is missing: it must be a string"],
  ],
  [
    "a missing file",
    (t) => t.replace("file: password", "file: nowhere"),
    ["gw.yaml:27:25: `nowhere` can't be read: ENOENT"],
  ],
  [
    "an environment variable that isn't set",
    (t) => t.replace("MASK_KEY", "OTHER"),
    ["gw.yaml:21:22: the environment variable `OTHER` isn't set"],
  ],
  [
    "a secret written into the file",
    (t) => t.replace("{ file: password }", "hunter2"),
    ["gw.yaml:27:17: `connections.0.upstream.password`: expected object, received string"],
  ],
  [
    "a time zone that doesn't exist",
    (t) => t.replace("Europe/Berlin", "Europe/Atlantis"),
    ["gw.yaml:3:40: `policies.time_zone`: this isn't a time zone: write one like `Europe/Berlin`"],
  ],
  [
    "two sources of keys for one issuer",
    (t) => t.replace("jwks_file: jwks.json", "jwks_file: jwks.json\n      discovery: true"),
    ["gw.yaml:9:7: an issuer needs exactly one of `jwks_url`, `jwks_file`, `discovery: true`"],
  ],
  [
    "a symmetric algorithm",
    (t) => t.replace("default_kind: human", "algorithms: [HS256]"),
    [
      'gw.yaml:12:20: `identity.issuers.0.algorithms.0`: Invalid option: expected one of "RS256"|"RS384"|"RS512"|"PS256"|"PS384"|"PS512"|"ES256"|"ES384"|"ES512"|"EdDSA"|"Ed25519"',
    ],
  ],
  ["text that isn't YAML", (t) => `${t}\n: [`, ["gw.yaml:30:4:"]],
  ["an empty file", () => "", ["gw.yaml:1:1: `policies` is missing: it must be an object"]],
  [
    "a short mask key",
    (t) => t.replace("{ env: MASK_KEY }", "{ file: password }"),
    ["gw.yaml:21:15: a mask key needs at least 16 bytes: `openssl rand -hex 32` makes a good one"],
  ],
  [
    "a port that doesn't exist",
    (t) => t.replace("127.0.0.1:6432", "127.0.0.1:99999"),
    ["gw.yaml:17:13: `connections.0.listen`: write an address as `host:port`"],
  ],
];

for (const [what, edit, expected] of cases) {
  test(`a configuration with ${what} stops the start and says where`, () => {
    const found = complaints(edit(good));
    assert.deepEqual(
      found.slice(0, expected.length).map((line, i) => line.slice(0, expected[i]?.length)),
      expected,
      found.join("\n"),
    );
  });
}

test("a configuration that can't be read says how to name another", async () => {
  await assert.rejects(readConfig(join(folder, "none.yaml"), {}), { code: "config-unreadable" });
});

test("the recording's folder is found without any of the secrets", async () => {
  writeFileSync(path, good);
  assert.equal(await readRecordingDirectory(path), join(folder, "recording"));
});
