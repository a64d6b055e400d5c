// What the recording holds of results: what the client got, cut and marked, in clear, sealed, and nowhere else.
import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, test } from "node:test";
import { gzipSync } from "node:zlib";
import Anthropic from "@anthropic-ai/sdk";
import fc from "fast-check";
import type pg from "pg";
import { startGateway } from "../../cli/compose.ts";
import { main } from "../../cli/main.ts";
import { renderResult } from "../../cli/session-result.ts";
import type { RecordedResult } from "../../engine/model/session-event.ts";
import { parseConfig, readConfig } from "../../proxy/config.ts";
import type { Log } from "../../proxy/deps.ts";
import { BodyCapture, RowCapture } from "../../proxy/recording/results.ts";
import { startModel } from "../llm/model.ts";
import { legacyClient } from "../mcp/clients.ts";
import { startLegacyServer } from "../mcp/servers.ts";
import { connectTo, prepareGateway } from "../support/gateway.ts";
import { startHttpGateway, startUpstream } from "../support/http-gateway.ts";
import { testServer } from "../support/postgres.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";
import { captured } from "../support/terminal.ts";
import { startTrafficGateway } from "../support/traffic-gateway.ts";

await testServer();

const auditor = generateKeyPairSync("ec", { namedCurve: "P-256" });
const claims = { sub: "kim@larch.test", kind: "human", groups: [], mfa: true, department: "Zahlungen" };

const schema = `create table people (id int8, name text, iban text, born date, photo bytea);
insert into people select i, 'name ' || i, 'DE0012345678' || i, '1990-01-02', '\\xff00' from generate_series(1, 5) i`;
const policy = `package acme.test
allow staff on sql at "test-pg"
mask ibans of public.people.iban using partial(first: 2, last: 2) on sql
`;

/** Everything that the gateway logs, as text. */
function listening() {
  const said: string[] = [];
  const note = (fields: object, message: string): void => void said.push(JSON.stringify([fields, message]));
  const log: Log = { debug: note, info: note, warn: note, error: note };
  return { log, said: () => said.join("\n") };
}

/** A gateway with these keys under `recording`, what `work` does, and what was recorded of it. */
async function recorded(keys: string, work: (client: pg.Client) => Promise<unknown>) {
  const prepared = await prepareGateway({ schema, policy });
  const yaml = readFileSync(prepared.configPath, "utf8");
  writeFileSync(
    join(prepared.folder, "auditor.pub"),
    auditor.publicKey.export({ type: "spki", format: "pem" }).toString(),
  );
  writeFileSync(
    join(prepared.folder, "auditor.pem"),
    auditor.privateKey.export({ type: "pkcs8", format: "pem" }).toString(),
  );
  writeFileSync(
    prepared.configPath,
    yaml.replace("recording: { directory: recording }", `recording: { directory: recording, ${keys} }`),
  );
  const { log, said } = listening();
  const gateway = await startGateway(await readConfig(prepared.configPath, {}), { log });
  after(() => gateway.stop(0));
  const client = await connectTo(prepared, gateway.connections[0]?.port ?? 0, claims);
  await work(client);
  await client.end();
  await gateway.stop(0);
  const events = await prepared.events();
  const bytes = readdirSync(prepared.recording)
    .filter((name) => name.endsWith(".jsonl"))
    .map((name) => readFileSync(join(prepared.recording, name), "utf8"))
    .join("");
  const results = events.flatMap((event) => (event.type === "completion" && event.result ? [event.result] : []));
  const [start] = events.filter((event) => event.type === "session-start");
  return { ...prepared, events, bytes, results, start, said: said() };
}

const everything = "select id, name, iban, born, photo from people order by id limit 2";

test("rows are recorded as the client got them, in either format and through either protocol, and are in no log", async () => {
  const { results, said } = await recorded("results: { as: clear }", async (client) => {
    await client.query(everything);
    await client.query({ text: `${everything} offset $1`, values: [0], binary: true } as pg.QueryConfig);
    await client.query("select 1 where false");
  });
  const row = (i: number, photo: unknown) => [
    String(i),
    `name ${i}`,
    `DE*********8${i}`.slice(0, 14),
    "1990-01-02",
    photo,
  ];
  const columns = ["id", "name", "iban", "born", "photo"];
  const [simple, binary] = results;
  assert.equal(results.length, 2);
  const masked = simple && "rows" in simple ? simple.rows.map((r) => r[2]) : [];
  assert.ok(
    masked.every((iban) => typeof iban === "string" && iban.includes("*")),
    JSON.stringify(masked),
  );
  assert.deepEqual(simple, {
    columns,
    rows: [1, 2].map((i) => row(i, "\\xff00").map((v, at) => (at === 2 ? masked[i - 1] : v))),
  });
  assert.deepEqual(binary, {
    columns,
    // A binary date is days since 2000: bytes, as its type isn't decoded.
    rows: [1, 2].map((i) => [String(i), `name ${i}`, masked[i - 1], { hex: "fffff1bd" }, { hex: "ff00" }]),
  });
  assert.ok(!/name 1|DE\*/.test(said));
});

test("what is left out is marked: rows, bytes, and COPY data", async () => {
  const rows = await recorded("results: { as: clear, rows: 2 }", (client) =>
    client.query("select name from people order by id"),
  );
  assert.deepEqual(rows.results, [{ columns: ["name"], rows: [["name 1"], ["name 2"]], isCut: true }]);
  const bytes = await recorded("results: { as: clear, bytes: 64 }", (client) =>
    client.query("select repeat('é', 500) as long"),
  );
  const [cut] = bytes.results;
  assert.deepEqual(cut, {
    columns: ["long"],
    // 64 bytes, less frame, count and length: 53, of which half a character is dropped.
    rows: [[{ text: "é".repeat(26), isCut: true, bytes: 1_000 }]],
    isCut: true,
  });
  const copy = await recorded("results: { as: clear, rows: 3 }", (client) =>
    client.query("copy (select id, name from people order by id) to stdout"),
  );
  assert.deepEqual(copy.results, [
    { copy: { text: "1\tname 1\n2\tname 2\n3\tname 3\n", isCut: true, bytes: 45 }, isCut: true },
  ]);
});

test("sealed results and facts are nowhere in clear, and `gw sessions replay`, `show` and `export` open them", async () => {
  const keys =
    "encrypt: { to: auditor.pub }, results: { rows: 2 }, caller: { facts: [mfa, purpose, claims.department] }";
  const { bytes, recording, folder, start, results } = await recorded(keys, (client) =>
    client.query("select name from people order by id"),
  );
  assert.deepEqual(results, []);
  assert.ok(!bytes.includes("name 1") && !bytes.includes("Zahlungen"));
  const gw = async (...args: readonly string[]) => {
    const terminal = captured();
    await main(
      [args[0] ?? "", args[1] ?? "", start?.session ?? "", "--recording", recording, ...args.slice(2)],
      terminal,
    );
    return terminal.text();
  };
  const key = ["--key", join(folder, "auditor.pem")];
  const closed = await gw("sessions", "show");
  assert.ok(closed.includes("result   [sealed") && !closed.includes("name 1"), closed);
  for (const shown of [
    await gw("sessions", "show", ...key),
    await gw("sessions", "replay", "--speed", "0", ...key),
    await gw("sessions", "export", "--format", "html", ...key),
  ]) {
    assert.ok(shown.includes("| name 1") && shown.includes("[cut here: 2 of 5 rows are recorded]"), shown);
    assert.ok(/mfa true, purpose null, claims\.department (?:"|&quot;)Zahlungen/.test(shown), shown);
  }
  assert.ok((await gw("sessions", "export", ...key)).includes('"name 2"'));
});

test("other connections, and a gateway that isn't asked, record no results; connection and facts stand at the start", async () => {
  const facts = "caller: { as: clear, facts: [mfa, email, owner_groups, claims.department, claims.none] }";
  const { bytes, start } = await recorded(facts, (client) => client.query("select name from people"));
  assert.ok(!bytes.includes("name 1") && !bytes.includes('"result"') && !bytes.includes('"values"'));
  assert.deepEqual(start?.type === "session-start" && [start.env, start.tags, start.facts], [
    "dev",
    [],
    { mfa: true, email: null, owner_groups: null, "claims.department": "Zahlungen", "claims.none": null },
  ]);
});

test("bodies over HTTP are recorded as masked, with their coding undone", async () => {
  const upstream = await startUpstream((request, response) => {
    if (request.url === "/packed") {
      response.writeHead(200, { "content-type": "text/plain", "content-encoding": "gzip" });
      response.end(gzipSync("packed ".repeat(40)));
      return;
    }
    response.writeHead(200, { "content-type": "application/json" });
    response.end(JSON.stringify({ id: 7, iban: "DE00123456789" }));
  });
  const gw = await startHttpGateway({
    policy: `package test
allow anything on http
mask ibans of json "$.iban" using redact on http
`,
    upstream: upstream.origin,
    recordingKeys: "results: { as: clear, bytes: 100 }",
  });
  const shown = await gw.send("GET", "/people/7");
  assert.equal(shown.status, 200);
  const plain = await startHttpGateway({
    policy: "package test\nallow anything on http\n",
    upstream: upstream.origin,
    recordingKeys: "results: { as: clear, bytes: 64 }",
  });
  await plain.send("GET", "/packed", { headers: { "accept-encoding": "gzip" } });
  const resultsOf = async (gateway: typeof gw): Promise<readonly RecordedResult[]> => {
    await gateway.gateway.stop(0);
    return (await gateway.events()).flatMap((event) =>
      event.type === "completion" && event.result ? [event.result] : [],
    );
  };
  assert.deepEqual(await resultsOf(gw), [{ media: "application/json", text: shown.body }]);
  assert.ok(!shown.body.includes("DE00"));
  assert.deepEqual(await resultsOf(plain), [
    {
      media: "text/plain",
      text: "packed ".repeat(40).slice(0, 64),
      isCut: true,
      bytes: gzipSync("packed ".repeat(40)).length,
    },
  ]);
});

test("results of MCP tools and turns of a model are recorded as their clients got them", async () => {
  const crm = await startLegacyServer("json");
  const model = await startModel(() => ({ blocks: [{ type: "text", text: "let me see" }] }));
  const gw = await startTrafficGateway({
    policy: `package test
allow reads on mcp tool "crm.get_*"
allow models on llm model "claude-good-*"
mask mails of text "email" using tokenize on mcp
`,
    connections: `
  - { name: crm, kind: mcp, server: crm, listen: "127.0.0.1:0", tls: off, mask_key: { file: mask.key }, upstream: { url: "${crm.url}", credential: { bearer: { file: upstream.key } } } }
  - { name: claude, kind: llm, listen: "127.0.0.1:0", tls: off, mask_key: { file: mask.key }, upstream: { url: "${model.url}", credential: { header: x-api-key, secret: { file: upstream.key } } } }
`,
    recordingKeys: "results: { as: clear, bytes: 32768 }",
  });
  const { client } = await legacyClient(gw.urlOf("crm"), await gw.token());
  const called = await client.callTool({ name: "get_customer", arguments: { id: 7 } });
  await client.close();
  const anthropic = new Anthropic({
    baseURL: gw.urlOf("claude"),
    apiKey: null,
    authToken: await gw.token(),
    maxRetries: 0,
  });
  const ask = { model: "claude-good-1", max_tokens: 100, messages: [{ role: "user" as const, content: "hi" }] };
  const whole = await anthropic.messages.create(ask);
  await anthropic.messages.stream(ask).finalMessage();
  await gw.gateway.stop(0);
  const events = await gw.events();
  const resultOf = (text: RegExp): readonly string[] => {
    const ids = new Set(events.flatMap((e) => (e.type === "statement" && text.test(e.statement) ? [e.id] : [])));
    return events.flatMap((e) =>
      e.type === "completion" && ids.has(e.id) && e.result && "text" in e.result ? [e.result.text ?? ""] : [],
    );
  };
  const [tool = ""] = resultOf(/^tools\/call/);
  assert.ok(tool.includes("tok_") && !tool.includes("ann@example.com"), tool);
  assert.deepEqual(JSON.parse(tool).content, called.content);
  const [inOnePiece = "", stream = ""] = resultOf(/^messages claude-good-1/);
  assert.deepEqual(JSON.parse(inOnePiece).content, whole.content);
  assert.ok(stream.startsWith("event: message_start") && stream.includes("message_stop"), stream);
});

test("however an answer is cut into chunks, the same is recorded of it", () => {
  const row = (...values: readonly (string | null)[]): Buffer => {
    const fields = values.map((value) => {
      if (value === null) return Buffer.from([255, 255, 255, 255]);
      const bytes = Buffer.from(value);
      const head = Buffer.alloc(4);
      head.writeInt32BE(bytes.length);
      return Buffer.concat([head, bytes]);
    });
    const body = Buffer.concat([Buffer.from([0, values.length]), ...fields]);
    const head = Buffer.alloc(5);
    head.write("D");
    head.writeInt32BE(body.length + 4, 1);
    return Buffer.concat([head, body]);
  };
  const value = fc.option(fc.string({ unit: "grapheme", maxLength: 40 }));
  fc.assert(
    fc.property(
      fc.array(fc.array(value, { minLength: 1, maxLength: 4 }), { minLength: 1, maxLength: 6 }),
      fc.integer({ min: 64, max: 300 }),
      fc.integer({ min: 1, max: 50 }),
      (rows, bytesMax, step) => {
        const messages = rows.map((values) => row(...values));
        const all = Buffer.concat(messages);
        const read = (feed: (capture: RowCapture) => void): RecordedResult | undefined => {
          const capture = new RowCapture({ rowsMax: 4, bytesMax });
          feed(capture);
          return capture.read({ columns: undefined, formats: [] });
        };
        const whole = read((capture) => capture.add(all, rows.length));
        const ends = messages.map((_, i) => Buffer.concat(messages.slice(0, i + 1)).length);
        const pieces = read((capture) => {
          for (let at = 0; at < all.length; at += step) {
            const end = Math.min(all.length, at + step);
            capture.add(all.subarray(at, end), ends.filter((e) => e > at && e <= end).length);
          }
        });
        assert.deepEqual(pieces, whole);
        if (whole === undefined || !("rows" in whole)) throw new Error("rows are rows");
        // Every value that isn't marked is exactly what was sent.
        for (const [i, values] of whole.rows.entries()) {
          for (const [j, recordedValue] of values.entries()) {
            if (recordedValue === null || typeof recordedValue === "string") assert.equal(recordedValue, rows[i]?.[j]);
          }
        }
        const isWhole = whole.rows.length === rows.length && whole.rows.every((r, i) => r.length === rows[i]?.length);
        if (!isWhole) assert.equal(whole.isCut, true);
      },
    ),
  );
});

test("bodies: text, bytes, what can't be unpacked, and nothing", () => {
  const read = (bytes: Uint8Array | string, coding?: string, bytesMax = 64) => {
    const capture = new BodyCapture({ bytesMax });
    capture.add(bytes);
    return capture.read("x/y", coding);
  };
  assert.equal(read(""), undefined);
  assert.deepEqual(read("é".repeat(33)), { media: "x/y", text: "é".repeat(32), isCut: true, bytes: 66 });
  assert.deepEqual(read(Buffer.from([0xff, 0x00])), { media: "x/y", hex: "ff00" });
  assert.deepEqual(read("nonsense", "gzip"), { media: "x/y", coding: "gzip", hex: "6e6f6e73656e7365" });
  assert.deepEqual(read("ab", "zstd"), { media: "x/y", coding: "zstd", hex: "6162" });
  // 64 bytes that unpack to megabytes stay packed or are cut: never more than the bound.
  const bomb = read(gzipSync(Buffer.alloc(40_000_000)), "gzip", 32_768);
  assert.ok(bomb && JSON.stringify(bomb).length < 200_000);
});

test("a recorded result is shown without control characters", () => {
  const lines = renderResult({ columns: ["a\u001b[2J"], rows: [["\u001b]0;x\u0007\n", null, { hex: "00" }]] }, 1);
  assert.ok(
    lines.every((line) => !/[\u0000-\u001f\u007f]/.test(line)),
    JSON.stringify(lines),
  );
});

test("results and facts that nobody could open, or that may be secrets, stop the start", () => {
  const folder = temporaryFolder();
  writeFileSync(join(folder, "jwks.json"), '{"keys":[]}');
  const complaints = (keys: string): string => {
    const yaml = `
policies: { path: . }
recording: { directory: r, ${keys} }
identity: { issuers: [{ issuer: "https://id.example", audience: a, jwks_file: jwks.json }] }
connections:
  - { name: a, kind: postgres, listen: "127.0.0.1:1", tls: off, upstream: { host: h, database: d, user: u, password: { file: jwks.json }, sslmode: verify-full } }
`;
    try {
      parseConfig(yaml, join(folder, "gw.yaml"), {});
      return "none";
    } catch (error) {
      return error instanceof Error ? error.message : "";
    }
  };
  assert.equal(complaints("results: { as: clear, connections: [a] }, caller: { as: clear, facts: [mfa] }"), "none");
  assert.match(complaints("results: {}"), /nobody to seal it for/);
  assert.match(complaints("caller: { facts: [mfa] }"), /nobody to seal it for/);
  assert.match(complaints("results: { as: clear, connections: [nope] }"), /there is no connection `nope`/);
  assert.match(complaints("caller: { as: clear, facts: [claims.access_token] }"), /may hold a secret/);
  assert.match(complaints("caller: { as: clear, facts: [claims.jti] }"), /may hold a secret/);
  assert.match(complaints("caller: { as: clear, facts: [claims] }"), /is no fact about who asks/);
});
