// Signed checkpoints over a real recording: what they find, and what can be proved with them.
import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { cpSync, readdirSync, readFileSync, truncateSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { after, test } from "node:test";
import fc from "fast-check";
import { main } from "../../cli/main.ts";
import type { SessionEvent } from "../../engine/model/session-event.ts";
import { silentLog } from "../../proxy/log.ts";
import { sinkOf } from "../../proxy/recording/checkpoint-sinks.ts";
import { type CheckpointSink, startCheckpointer } from "../../proxy/recording/checkpointer.ts";
import { checkpointLines, checkpointsName } from "../../proxy/recording/checkpoints.ts";
import { checkCheckpoints, checkProof, proveInclusion } from "../../proxy/recording/proofs.ts";
import { verifyRecording } from "../../proxy/recording/read.ts";
import { openRecorder } from "../../proxy/recording/recorder.ts";
import { eventually } from "../support/eventually.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";
import { captured } from "../support/terminal.ts";

const pair = () => {
  const { publicKey, privateKey } = generateKeyPairSync("ed25519");
  return {
    publicKey: String(publicKey.export({ type: "spki", format: "pem" })),
    privateKey: String(privateKey.export({ type: "pkcs8", format: "pem" })),
  };
};
const keys = pair();
const clock = { nowMs: () => Date.UTC(2026, 10, 22) };

const completion = (i: number): SessionEvent => ({
  atMs: clock.nowMs(),
  session: "se_1",
  type: "completion",
  id: `dec_${i}`,
  outcome: "ok",
  tag: "SELECT 1",
  sqlstate: undefined,
  rows: i,
  bytes: 10,
  durationUs: 5,
});

type Series = { readonly folder: string; readonly log: typeof silentLog };

/** A recording with a checkpoint after each of `groups` groups of events. */
async function recorded(groups: readonly number[], sinks: readonly CheckpointSink[] = []): Promise<Series> {
  const folder = temporaryFolder();
  const options = { directory: folder, node: "gw-1", clock, log: silentLog };
  const recorder = openRecorder({ ...options, durability: "batched", segmentBytesMax: 2_000 });
  const checkpointer = await startCheckpointer({ ...options, key: keys.privateKey, everyMs: 3_600_000, sinks });
  let i = 0;
  for (const count of groups) {
    for (let n = 0; n < count; n += 1) {
      i += 1;
      recorder.recordIntent([completion(i)]);
    }
    await checkpointer.checkpoint();
  }
  await recorder.close();
  await checkpointer.close();
  return { folder, log: silentLog };
}

const checked = async (folder: string, key = keys.publicKey) =>
  checkCheckpoints(folder, await checkpointLines(folder), key);

test("checkpoints cover what is on disk, go on after a restart, and hold", async () => {
  const { folder } = await recorded([3, 0, 20]);
  // Opened, 23 events, closed; nothing new makes no checkpoint.
  assert.deepEqual(await checked(folder), { checkpoints: 3, covered: 25, pruned: 0, faults: [] });
  const options = { directory: folder, node: "gw-1", clock, log: silentLog };
  const recorder = openRecorder({ ...options, durability: "batched" });
  const again = await startCheckpointer({ ...options, key: keys.privateKey, everyMs: 3_600_000, sinks: [] });
  assert.equal(again.newest()?.size, 25);
  await recorder.close();
  await again.close();
  assert.deepEqual(await checked(folder), { checkpoints: 4, covered: 27, pruned: 0, faults: [] });
  assert.deepEqual(
    (await checked(folder, pair().publicKey)).faults.map(({ why }) => why),
    [
      "the signature is not by this key",
      "the signature is not by this key",
      "the signature is not by this key",
      "the signature is not by this key",
    ],
  );
});

test("any change of any byte is found, and so is every line that is taken away", async () => {
  const { folder } = await recorded([5, 4]);
  const files = readdirSync(folder).filter((name) => name.endsWith(".jsonl"));
  assert.ok(files.length >= 3);
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...files),
      fc.nat(),
      fc.integer({ min: 1, max: 255 }),
      fc.boolean(),
      async (file, at, flip, cuts) => {
        const copy = temporaryFolder();
        cpSync(folder, copy, { recursive: true });
        const path = join(copy, file);
        const bytes = readFileSync(path);
        const place = at % bytes.length;
        if (cuts) truncateSync(path, place);
        else writeFileSync(path, bytes.with(place, (bytes[place] ?? 0) ^ flip));
        const chain = await verifyRecording(copy);
        const { faults, checkpoints } = await checked(copy).catch(() => ({ faults: ["unreadable"], checkpoints: 0 }));
        assert.ok(chain.damage.length > 0 || faults.length > 0 || checkpoints < 3, `${file} ${place}`);
      },
    ),
    { numRuns: 150 },
  );
});

test("a recording that was written anew with good hashes differs from its checkpoints", async () => {
  const { folder } = await recorded([6]);
  const { folder: forged } = await recorded([7]);
  writeFileSync(join(forged, checkpointsName), readFileSync(join(folder, checkpointsName)));
  assert.deepEqual((await verifyRecording(forged)).damage, []);
  assert.deepEqual((await checked(forged)).faults, [
    { checkpoint: 2, why: "the first 8 lines aren't those that it covers" },
  ]);
});

test("a gateway doesn't go on to sign what was changed behind its back", async () => {
  const { folder } = await recorded([4]);
  const path = join(folder, "00000001.jsonl");
  writeFileSync(path, readFileSync(path, "utf8").replace('"rows":2', '"rows":9'));
  const options = { directory: folder, node: "gw-1", clock, log: silentLog };
  const said: string[] = [];
  const log = { ...silentLog, error: (fields: object) => void said.push(JSON.stringify(fields)) };
  writeFileSync(join(folder, "checkpoints.state.json"), "{}");
  const again = await startCheckpointer({ ...options, log, key: keys.privateKey, everyMs: 3_600_000, sinks: [] });
  assert.equal(await again.checkpoint(), undefined);
  await again.close();
  assert.deepEqual(said, ['{"code":"recording-damaged","why":"hash-wrong"}']);
});

test("a statement's lines are proved to somebody who has the proof and the key only", async () => {
  const { folder } = await recorded([9, 9]);
  const files = temporaryFolder();
  const [key, proof] = [join(files, "key.pem"), join(files, "proof.json")];
  writeFileSync(key, keys.publicKey);
  const gw = async (...argv: readonly string[]) => {
    const terminal = captured();
    return { code: await main(["audit", ...argv], terminal), text: terminal.text() };
  };
  const proved = await gw("prove", "dec_7", "--key", key, "--recording", folder);
  assert.equal(proved.code, 0, proved.text);
  writeFileSync(proof, proved.text);
  const held = await gw("check-proof", proof, "--key", key);
  assert.equal(held.code, 0);
  assert.match(
    held.text,
    /^the recording of gw-1 held these lines by 2026-11-22T00:00:00\.000Z:\n\{"seq":8,.*"id":"dec_7"/,
  );

  writeFileSync(proof, proved.text.replace('\\"rows\\":7', '\\"rows\\":8'));
  assert.deepEqual(await gw("check-proof", proof, "--key", key), {
    code: 1,
    text: "the proof does not hold: line 8 is not in the recording that the checkpoint covers\n",
  });
  assert.match(
    (await gw("prove", "dec_77", "--key", key, "--recording", folder)).text,
    /no line of the recording names/,
  );
  assert.match((await gw("verify", "--recording", folder, "--key", key)).text, /3 checkpoints, 20 lines covered/);

  const [first = ""] = await checkpointLines(folder);
  const since = join(files, "since.jws");
  writeFileSync(since, first);
  const continued = await gw("prove", "--since", since, "--key", key, "--recording", folder);
  writeFileSync(proof, continued.text);
  assert.match((await gw("check-proof", proof, "--key", key)).text, /with 20 lines .* continues the one with 10 lines/);
});

test("every statement of a recording can be proved, and no proof holds for a changed line", async () => {
  const { folder } = await recorded([13, 1, 6]);
  const lines = await checkpointLines(folder);
  for (let i = 1; i <= 20; i += 1) {
    const proof = await proveInclusion(folder, `dec_${i}`, lines, keys.publicKey);
    assert.ok(proof.ok, JSON.stringify(proof));
    const text = JSON.stringify(proof.value);
    assert.ok((await checkProof(text, keys.publicKey)).ok);
    assert.ok(!(await checkProof(text.replace(`dec_${i}\\"`, `dec_${i + 1}\\"`), keys.publicKey)).ok);
    assert.ok(!(await checkProof(text, pair().publicKey)).ok);
  }
});

test("copies go elsewhere; a place that is out of reach gets them later, in order", async () => {
  const posted: string[] = [];
  let isDown = true;
  const server = createServer((request, response) => {
    request.setEncoding("utf8").on("data", (text: string) => {
      if (!isDown) posted.push(text);
    });
    request.on("end", () => response.writeHead(isDown ? 503 : 204).end());
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  after(() => server.close());
  // SAFETY: it listens on a TCP port.
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/checkpoints`;
  const copies = join(temporaryFolder(), "copies.jsonl");
  const sinks = [sinkOf({ kind: "file", path: copies }), sinkOf({ kind: "webhook", url, token: undefined })];
  const folder = temporaryFolder();
  const options = { directory: folder, node: "gw-1", clock, log: silentLog };
  const recorder = openRecorder({ ...options, durability: "batched" });
  const checkpointer = await startCheckpointer({ ...options, key: keys.privateKey, everyMs: 3_600_000, sinks });
  await checkpointer.checkpoint();
  recorder.recordIntent([completion(1)]);
  await checkpointer.checkpoint();
  assert.deepEqual([posted.length, checkpointer.waiting()], [0, 2]);
  isDown = false;
  recorder.recordIntent([completion(2)]);
  await checkpointer.checkpoint();
  await eventually(() => (posted.length === 3 ? true : undefined));
  await recorder.close();
  await checkpointer.close();
  const own = await checkpointLines(folder);
  assert.deepEqual(posted, own);
  assert.deepEqual(readFileSync(copies, "utf8").trim().split("\n"), own);
});
