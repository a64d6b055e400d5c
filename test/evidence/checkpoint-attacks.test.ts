// What somebody could do to checkpoints, and what a crash could: nothing false is signed, nothing goes on unsigned in silence.
import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import {
  appendFileSync,
  cpSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmdirSync,
  writeFileSync,
} from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { after, test } from "node:test";
import type { SessionEvent } from "../../engine/model/session-event.ts";
import { parseConfig } from "../../proxy/config.ts";
import { silentLog } from "../../proxy/log.ts";
import { sinkOf } from "../../proxy/recording/checkpoint-sinks.ts";
import { startCheckpointer } from "../../proxy/recording/checkpointer.ts";
import { checkpointLines, checkpointsName, openCheckpoint, signCheckpoint } from "../../proxy/recording/checkpoints.ts";
import { checkCheckpoints } from "../../proxy/recording/proofs.ts";
import { checkPrune, type PruneRecord, signPrune } from "../../proxy/recording/prunes.ts";
import { openRecorder } from "../../proxy/recording/recorder.ts";
import { segmentsOf } from "../../proxy/recording/segments.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";

const pair = generateKeyPairSync("ed25519");
const key = String(pair.privateKey.export({ type: "pkcs8", format: "pem" }));
const publicKey = String(pair.publicKey.export({ type: "spki", format: "pem" }));
const clock = { nowMs: () => Date.UTC(2026, 10, 22) };

const end = (i: number): SessionEvent => ({
  atMs: clock.nowMs(),
  session: "ses_1",
  type: "session-end",
  reason: `${i} ${"x".repeat(300)}`,
});

async function opened(directory: string, node = "gw-1") {
  const options = { directory, node, clock, log: silentLog };
  const recorder = openRecorder({ ...options, durability: "batched", segmentBytesMax: 1_500 });
  const checkpointer = await startCheckpointer({ ...options, key, everyMs: 3_600_000, sinks: [] });
  return {
    recorder,
    checkpointer,
    write: (count: number): void => {
      for (let i = 0; i < count; i += 1) recorder.recordIntent([end(i)]);
    },
    close: async (): Promise<void> => {
      await recorder.close();
      await checkpointer.close();
    },
  };
}

const faultsOf = async (directory: string): Promise<readonly string[]> =>
  (await checkCheckpoints(directory, await checkpointLines(directory), publicKey)).faults.map(({ why }) => why);

test("where reading fails halfway, what was read is not signed twice", async () => {
  const folder = temporaryFolder();
  const world = await opened(folder);
  world.write(20);
  const path = segmentsOf(folder)[2] ?? "";
  renameSync(path, `${path}.away`);
  mkdirSync(path);
  assert.equal(await world.checkpointer.checkpoint(), undefined);
  assert.equal(await world.checkpointer.checkpoint(), undefined);
  rmdirSync(path);
  renameSync(`${path}.away`, path);
  assert.equal((await world.checkpointer.checkpoint())?.size, 21);
  await world.close();
  assert.deepEqual(await faultsOf(folder), []);
});

test("a checkpoint that a crash tore is moved aside, and the series goes on", async () => {
  const folder = temporaryFolder();
  const world = await opened(folder);
  world.write(3);
  await world.checkpointer.checkpoint();
  await world.close();
  const whole = await checkpointLines(folder);
  appendFileSync(join(folder, checkpointsName), (whole[0] ?? "").slice(0, 40));
  const again = await opened(folder);
  again.write(3);
  await again.close();
  const lines = await checkpointLines(folder);
  assert.deepEqual(lines.slice(0, whole.length), whole);
  assert.ok(lines.length > whole.length);
  assert.deepEqual(await faultsOf(folder), []);
  assert.ok(readdirSync(folder).some((name) => /^checkpoints\.jsonl\.torn-\d+$/.test(name)));
});

test("a place that was put wrong doesn't keep lines out of sight", async () => {
  for (const change of [
    { segment: "99999999.jsonl" },
    { segment: "../../etc/passwd" },
    { offset: 0 },
    { offset: 9_000_000 },
    { segment: "00000001.jsonl", offset: 67 },
  ]) {
    const folder = temporaryFolder();
    const world = await opened(folder);
    world.write(10);
    await world.close();
    const before = (await checkpointLines(folder)).length;
    const path = join(folder, "checkpoints.state.json");
    const state: Record<string, unknown> = JSON.parse(readFileSync(path, "utf8"));
    writeFileSync(path, JSON.stringify({ ...state, ...change }));
    const again = await opened(folder);
    again.write(5);
    await again.close();
    assert.ok((await checkpointLines(folder)).length > before, JSON.stringify(change));
    assert.deepEqual(await faultsOf(folder), []);
  }
});

test("a worker's chain in the place of another worker's is found, although one key signs both", async () => {
  const root = temporaryFolder();
  for (const worker of ["worker-1", "worker-2"]) {
    const world = await opened(join(root, worker), `gw-1/${worker}`);
    world.write(3);
    await world.close();
    assert.deepEqual(await faultsOf(join(root, worker)), []);
  }
  const spliced = join(temporaryFolder(), "worker-1");
  cpSync(join(root, "worker-2"), spliced, { recursive: true });
  assert.deepEqual(await faultsOf(spliced), ["it is of `gw-1/worker-2`: another chain's"]);
});

test("a signed record of pruning is no checkpoint, nor is a checkpoint one of pruning", async () => {
  const boundaries = [{ segment: "00000001.jsonl", size: 1, hash: "a".repeat(64), roots: ["b".repeat(64)] }];
  const prune = { node: "gw-1", id: "prn_1", boundaries };
  const signed = await signPrune(prune, key);
  assert.ok(signed.ok);
  assert.deepEqual(await openCheckpoint(signed.value, publicKey), {
    ok: false,
    error: "it is signed, but is no checkpoint",
  });
  const checkpoint = await signCheckpoint(
    {
      node: "gw-1",
      size: 1,
      root: "b".repeat(64),
      head: { seq: 1, hash: "a".repeat(64) },
      atMs: 0,
      previous: undefined,
    },
    key,
  );
  assert.ok(checkpoint.ok);
  const record: PruneRecord = { type: "prune", ...prune, keys: [] };
  assert.ok((await checkPrune({ ...record, signed: signed.value }, publicKey)).ok);
  assert.ok(!(await checkPrune({ ...record, signed: checkpoint.value }, publicKey)).ok);
  assert.ok(!(await checkPrune({ ...record, id: "prn_2", signed: signed.value }, publicKey)).ok);
});

test("another checkpoint of the same size doesn't take the place of the first one in object storage", async () => {
  const keys: string[] = [];
  const server = createServer((request, response) => {
    keys.push(new URL(request.url ?? "", "http://x").pathname);
    request.resume().on("end", () => response.writeHead(200).end());
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  after(() => server.close());
  // SAFETY: it listens on a TCP port.
  const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const secret = async (): Promise<string> => "x";
  const credentials = { accessKeyId: secret, secretAccessKey: secret };
  const target = { bucket: "evidence", region: "us-east-1", endpoint, credentials };
  const sink = sinkOf({ kind: "s3", target, prefix: "cp/", lockDays: undefined });
  const checkpoint = {
    node: "gw-1",
    size: 7,
    root: "b".repeat(64),
    head: { seq: 7, hash: "a".repeat(64) },
    atMs: 0,
    previous: undefined,
  };
  for (const line of ["one", "two", "one"]) await sink.send(line, checkpoint, AbortSignal.timeout(30_000));
  assert.equal(new Set(keys).size, 2);
  assert.match(keys[0] ?? "", /^\/evidence\/cp\/gw-1\/000000000000007-[0-9a-f]{16}\.jws$/);
});

test("a copy that a crash tore doesn't take the next one along", async () => {
  const path = join(temporaryFolder(), "copies.jsonl");
  const sink = sinkOf({ kind: "file", path });
  const checkpoint = {
    node: "gw-1",
    size: 1,
    root: "",
    head: { seq: 1, hash: "" },
    atMs: 0,
    previous: undefined,
  };
  const send = (line: string) => sink.send(line, checkpoint, AbortSignal.timeout(30_000));
  await send("one");
  appendFileSync(path, "tor");
  await send("two");
  await send("three");
  assert.equal(readFileSync(path, "utf8"), "one\ntor\ntwo\nthree\n");
});

test("a webhook's token doesn't travel in clear", () => {
  const folder = temporaryFolder();
  writeFileSync(join(folder, "key.pem"), key);
  writeFileSync(join(folder, "jwks.json"), '{"keys":[]}');
  const complaint = (url: string): string => {
    try {
      parseConfig(
        `
policies: { path: . }
recording: { directory: r, checkpoints: { key: { file: key.pem }, to: [{ webhook: "${url}", token: { file: key.pem } }] } }
identity: { issuers: [{ issuer: "https://id.example", audience: a, jwks_file: jwks.json }] }
connections:
  - { name: a, kind: postgres, listen: "127.0.0.1:1", tls: off, upstream: { host: h, database: d, user: u, password: { file: jwks.json }, sslmode: verify-full } }
`,
        join(folder, "gw.yaml"),
        {},
      );
      return "none";
    } catch (error) {
      return error instanceof Error ? error.message : "";
    }
  };
  assert.match(complaint("http://evidence.example/x"), /a token would travel in clear: use https/);
  assert.match(complaint("http://127.0.0.1.evidence.example/x"), /in clear/);
  assert.equal(complaint("https://evidence.example/x"), "none");
  assert.equal(complaint("http://127.0.0.1:9000/x"), "none");
});
