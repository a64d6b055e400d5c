// The first bytes: TLS in its three forms, parameters, versions, tokens, the upstream's own login.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { X509Certificate } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { connect as connectTls } from "node:tls";
import { startPostgres } from "../../cli/demo/postgres-server.ts";
import { encodePassword, encodeStartup } from "../../proxy/postgres/protocol/encode.ts";
import { startScram } from "../../proxy/postgres/scram.ts";
import { testDatabase } from "../support/postgres.ts";
import { startGateway } from "./gateway.ts";
import { connectRaw, describe, describeAll, type Message, say } from "./raw-client.ts";
import { runProgram } from "./run-program.ts";

const database = await testDatabase("create table t (id int); create schema other; create table other.o (id int)");
const folder = mkdtempSync(join(tmpdir(), "gw-wire-"));
after(() => rmSync(folder, { recursive: true }));
const openssl = spawnSync(
  "openssl",
  [
    ..."req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost".split(" "),
    ...["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", "key.pem", "-out", "cert.pem"],
  ],
  { cwd: folder },
);
assert.equal(openssl.status, 0);
const [key, cert] = ["key.pem", "cert.pem"].map((file) => readFileSync(join(folder, file), "utf8"));
const tls = { key: key ?? "", cert: cert ?? "", required: true };

const plain = await startGateway(database);
const secure = await startGateway(database, { tls });

/** Sends bytes on a fresh connection and gives what came until it was closed, or until that is all that was wanted. */
function speak(
  port: number,
  chunks: readonly Buffer[],
  isAll: (bytes: Buffer) => boolean = () => false,
): Promise<{ readonly bytes: Buffer; readonly isClosed: boolean }> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: "127.0.0.1", port });
    let bytes = Buffer.alloc(0);
    const finish = (isClosed: boolean) => {
      clearTimeout(timer);
      socket.destroy();
      resolve({ bytes, isClosed });
    };
    const timer = setTimeout(() => reject(new Error(`still open, and it said ${bytes.length} bytes`)), 30_000);
    socket.on("data", (chunk) => {
      bytes = Buffer.concat([bytes, chunk]);
      if (isAll(bytes)) finish(false);
    });
    socket.on("end", () => finish(true));
    socket.on("error", () => finish(true));
    for (const chunk of chunks) socket.write(chunk);
  });
}

/** The last message is a ReadyForQuery out of transactions. */
const ready = "Z\0\0\0\x05I";
const isReady = (bytes: Buffer): boolean => bytes.toString("latin1").endsWith(ready);

function messagesOf(bytes: Buffer): string {
  const messages: Message[] = [];
  for (let at = 0; at + 5 <= bytes.length; at += 1 + bytes.readUInt32BE(at + 1)) {
    messages.push({
      type: String.fromCharCode(bytes[at] ?? 0),
      body: bytes.subarray(at + 5, at + 1 + bytes.readUInt32BE(at + 1)),
    });
  }
  return messages.map(describe).join(" | ");
}

const request = (code: number): Buffer => {
  const bytes = Buffer.alloc(8);
  bytes.writeInt32BE(8);
  bytes.writeInt32BE(code, 4);
  return bytes;
};
const sslRequest = request(80_877_103);
const gssRequest = request(80_877_104);
const startup = (...parameters: readonly (readonly [string, string])[]): Buffer =>
  encodeStartup([["user", "agent"], ["database", database.database], ...parameters]);

const psql = (port: number, options: string, command = "select 1", password = plain.password) =>
  runProgram(
    "psql",
    ["-X", "-A", "-t", "-c", command, `host=127.0.0.1 port=${port} user=agent dbname=${database.database} ${options}`],
    {
      env: { PGPASSWORD: password },
    },
  );

test("psql over TLS, verified", async () => {
  const run = await psql(secure.port, `sslmode=verify-full sslrootcert=${folder}/cert.pem`);
  assert.deepEqual(run, { code: 0, stdout: "1\n", stderr: "" });
});

test("a session in clear is refused where TLS is required", async () => {
  const run = await psql(secure.port, "sslmode=disable");
  assert.match(run.stderr, /FATAL: {2}the gateway takes tokens over TLS only\nHINT: {2}Connect with sslmode=require/);
});

test("TLS right away, with the protocol's name", async () => {
  const socket = connectTls({
    host: "127.0.0.1",
    port: secure.port,
    ALPNProtocols: ["postgresql"],
    rejectUnauthorized: false,
  });
  socket.write(startup());
  socket.write(encodePassword(secure.password));
  socket.write(say.query("select 1"));
  let got = "";
  for await (const chunk of socket) {
    got += chunk.toString("latin1");
    if (got.split(ready).length === 3) break;
  }
  assert.match(messagesOf(Buffer.from(got, "latin1")), /^R \| R \| (S \| )+K \| Z:I \| T \| D \| C:SELECT 1 \| Z:I$/);
});

test("TLS right away without the protocol's name is closed", async () => {
  const socket: Socket = connectTls({ host: "127.0.0.1", port: secure.port, rejectUnauthorized: false });
  const isClosed = await new Promise((resolve) => {
    socket.on("error", () => resolve(true));
    socket.on("end", () => resolve(true));
    setTimeout(() => resolve(false), 20_000).unref();
  });
  socket.destroy();
  assert.equal(isClosed, true);
});

const isAnswered = (bytes: Buffer): boolean => bytes.length > 0;

test("GSSENCRequest gets N, then SSLRequest gets S, then a startup may follow in clear only after N", async () => {
  assert.equal((await speak(secure.port, [gssRequest], isAnswered)).bytes.toString(), "N");
  assert.equal((await speak(plain.port, [sslRequest], isAnswered)).bytes.toString(), "N");
  assert.equal((await speak(secure.port, [sslRequest], isAnswered)).bytes.toString(), "S");
});

for (const [name, first] of [
  ["SSL", sslRequest],
  ["GSSAPI encryption", gssRequest],
] as const) {
  test(`bytes behind ${name} request in clear are refused`, async () => {
    const { bytes, isClosed } = await speak(secure.port, [Buffer.concat([first, startup()])]);
    assert.equal(messagesOf(bytes), `E:08P01 received unencrypted data after ${name} request`);
    assert.equal(isClosed, true);
  });
}

test("the startup packet may come byte by byte", async () => {
  const bytes = Buffer.concat([startup(), encodePassword(plain.password)]);
  const answer = await speak(
    plain.port,
    [...bytes].map((byte) => Buffer.from([byte])),
    isReady,
  );
  assert.match(messagesOf(answer.bytes), /^R \| R \| (S \| )+K \| Z:I$/);
});

const refused: readonly (readonly [string, readonly (readonly [string, string])[], string])[] = [
  ["an unknown setting", [["no_such_setting", "1"]], 'E:42704 unrecognized configuration parameter "no_such_setting"'],
  [
    "an unknown setting in options",
    [["options", "-c no_such=1"]],
    'E:42704 unrecognized configuration parameter "no_such"',
  ],
  [
    "replication",
    [["replication", "database"]],
    "E:0A000 replication connections are not available through the gateway",
  ],
  ["a role", [["role", "postgres"]], 'E:42501 permission denied to set parameter "role"'],
  [
    "row security by options",
    [["options", "-c session_replication_role=replica"]],
    'E:42501 permission denied to set parameter "session_replication_role"',
  ],
  ["an application's own setting", [["app.ward", "Z"]], 'E:42501 permission denied to set parameter "app.ward"'],
  [
    "a switch that isn't a setting",
    [["options", "-d 5"]],
    "E:42601 invalid command-line argument in startup parameter `options`",
  ],
  [
    "an encoding with backslashes in characters",
    [["client_encoding", "SJIS"]],
    "E:0A000 client encoding `SJIS` is not available here",
  ],
  [
    "strings with backslashes",
    [["options", "-c standard_conforming_strings=off"]],
    'E:42501 permission denied to set parameter "standard_conforming_strings"',
  ],
  ["another database", [["database", "elsewhere"]], 'E:3D000 database "elsewhere" does not exist'],
];
for (const [name, parameters, expected] of refused) {
  test(`refuses ${name} at start`, async () => {
    const { bytes, isClosed } = await speak(plain.port, [startup(...parameters)]);
    assert.deepEqual([messagesOf(bytes), isClosed], [expected, true]);
  });
}

test("a bad value is refused in the server's words", async () => {
  const { bytes } = await speak(plain.port, [startup(["DateStyle", "nonsense"]), encodePassword(plain.password)]);
  assert.equal(messagesOf(bytes), 'R | E:22023 invalid value for parameter "DateStyle": "nonsense"');
});

test("settings at start are the server's startup settings: RESET comes back to them", async () => {
  const run = await psql(
    plain.port,
    "options='-c TimeZone=Asia/Tokyo -c search_path=other\\\\,public' client_encoding=UTF8",
    "set timezone = 'UTC'; reset timezone; show timezone; show search_path; show application_name",
  );
  assert.deepEqual(run.stdout.trim().split("\n").slice(-3), ["Asia/Tokyo", "other,public", "psql"]);
});

test("a wrong token is 28P01 with a way out", async () => {
  const run = await psql(plain.port, "", "select 1", "wrong");
  assert.match(run.stderr, /FATAL: {2}the token is not valid\nHINT: {2}run `gw login`/);
});

test("protocol versions and options are negotiated, and a 3.2 client gets a long secret", async () => {
  const withVersion = (minor: number, ...more: readonly (readonly [string, string])[]) => {
    const bytes = startup(...more);
    bytes.writeUInt16BE(minor, 6);
    return speak(plain.port, [bytes, encodePassword(plain.password)], isReady);
  };
  const keyBytes = (bytes: Buffer): number => {
    const at = bytes.indexOf(Buffer.from([0x4b, 0, 0, 0]));
    return bytes.readUInt32BE(at + 1) - 8;
  };
  const old = await withVersion(0);
  assert.equal(keyBytes(old.bytes), 4);
  const current = await withVersion(2);
  assert.match(messagesOf(current.bytes), /^R \| R/);
  assert.equal(keyBytes(current.bytes), 32);
  const later = await withVersion(9999, ["_pq_.test", "1"]);
  assert.match(messagesOf(later.bytes), /^v \| R \| R/);
  assert.equal(later.bytes.readInt32BE(5), (3 << 16) | 2);
  const unknown = await speak(plain.port, [Buffer.from("00000010000200000000000000000000", "hex")]);
  assert.match(messagesOf(unknown.bytes), /^E:0A000 unsupported frontend protocol 2\.0/);
});

test("the process id is the real backend's", async () => {
  const client = await connectRaw(plain);
  client.send(say.query("select pg_backend_pid()"));
  const [, row] = await client.until("Z");
  assert.equal(row?.body.toString("latin1", 6), String(client.session.processId));
  client.socket.destroy();
});

test("an upstream that is down is a FATAL, soon", async () => {
  const gateway = await startGateway(database, { upstream: { port: 1 } });
  await assert.rejects(connectRaw(gateway), /could not log in|can't be reached|08006/);
  assert.equal(
    gateway.journal.log.some((fields) => fields.code === "upstream-unreachable"),
    true,
  );
});

for (const authMethod of ["scram-sha-256", "md5", "password", "trust"] as const) {
  test(`logs in upstream by ${authMethod}`, async () => {
    const settings = authMethod === "md5" ? ["password_encryption=md5"] : [];
    const server = await startPostgres({ password: "pässword'\\", authMethod, settings });
    try {
      const target = {
        host: server.host,
        port: server.port,
        user: "postgres",
        password: "pässword'\\",
        database: "postgres",
      };
      const gateway = await startGateway(target);
      const client = await connectRaw(gateway);
      client.send(say.query("select 1"));
      assert.equal(describeAll(await client.until("Z")), "T | D | C:SELECT 1 | Z:I");
      client.socket.destroy();
      if (authMethod !== "trust") {
        const wrong = await startGateway({ ...target, password: "other" });
        await assert.rejects(connectRaw(wrong), /08006/);
        await wrong.listener.close(0);
      }
      await gateway.listener.close(0);
    } finally {
      await server.stop();
    }
  });
}

test("SCRAM binds to the channel where there is one, and says so where the server offers none", () => {
  const certificate = new X509Certificate(tls.cert).raw;
  const both = ["SCRAM-SHA-256-PLUS", "SCRAM-SHA-256"];
  const headers = [
    startScram(both, certificate),
    startScram(["SCRAM-SHA-256"], certificate),
    startScram(both, undefined),
  ];
  assert.deepEqual(
    headers.map((start) => [start?.mechanism, start?.gs2Header]),
    [
      ["SCRAM-SHA-256-PLUS", "p=tls-server-end-point,,"],
      ["SCRAM-SHA-256", "y,,"],
      ["SCRAM-SHA-256", "n,,"],
    ],
  );
  assert.equal(startScram(["OAUTHBEARER"], certificate), undefined);
});

test("reaches an upstream over TLS with verify-full and channel binding", async () => {
  const server = await startPostgres({ password: "secret" });
  try {
    const { writeFileSync, chownSync, statSync } = await import("node:fs");
    const data = join(server.directory, "data");
    const { uid, gid } = statSync(data);
    for (const [file, text] of [
      ["server.key", tls.key],
      ["server.crt", tls.cert],
    ] as const) {
      writeFileSync(join(data, file), text, { mode: 0o600 });
      if (process.getuid?.() === 0) chownSync(join(data, file), uid, gid);
    }
    const target = { host: server.host, port: server.port, user: "postgres", password: "secret", database: "postgres" };
    const admin = await startGateway(target);
    const setUp = await connectRaw(admin);
    setUp.send(say.query("alter system set ssl = on"), say.query("select pg_reload_conf()"));
    await setUp.until("Z", 2);
    const hasTls = async (): Promise<boolean> => {
      setUp.send(say.query("show ssl"));
      return (await setUp.until("Z"))[1]?.body.toString("latin1", 6) === "on";
    };
    while (!(await hasTls()));
    setUp.socket.destroy();
    const gateway = await startGateway(
      { ...target, host: "localhost" },
      { upstream: { tls: { mode: "verify-full", ca: tls.cert } } },
    );
    const client = await connectRaw(gateway);
    client.send(say.query("select ssl::text from pg_stat_ssl where pid = pg_backend_pid()"));
    const [, row] = await client.until("Z");
    assert.equal(row?.body.toString("latin1", 6), "true");
    client.socket.destroy();
    const strict = await startGateway(target, {
      upstream: { host: "127.0.0.1", tls: { mode: "verify-full", ca: undefined } },
    });
    await assert.rejects(connectRaw(strict), /08006/);
    for (const g of [admin, gateway, strict]) await g.listener.close(0);
  } finally {
    await server.stop();
  }
});
