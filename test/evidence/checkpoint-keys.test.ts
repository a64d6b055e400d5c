// The key of the checkpoints is replaced; copies that waited at a crash go out at the next start.
import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { main } from "../../cli/main.ts";
import type { SessionEvent } from "../../engine/model/session-event.ts";
import { silentLog } from "../../proxy/log.ts";
import { type CheckpointSink, startCheckpointer } from "../../proxy/recording/checkpointer.ts";
import { checkpointLines, checkpointsName, keyIdOf, signCheckpoint } from "../../proxy/recording/checkpoints.ts";
import { checkCheckpoints } from "../../proxy/recording/proofs.ts";
import { checkPrune, signPrune } from "../../proxy/recording/prunes.ts";
import { openRecorder } from "../../proxy/recording/recorder.ts";
import { sentName } from "../../proxy/recording/sent-marks.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";
import { captured } from "../support/terminal.ts";

const pair = () => {
  const { publicKey, privateKey } = generateKeyPairSync("ed25519");
  return {
    publicKey: String(publicKey.export({ type: "spki", format: "pem" })),
    privateKey: String(privateKey.export({ type: "pkcs8", format: "pem" })),
  };
};
const [before, now, other] = [pair(), pair(), pair()];
const clock = { nowMs: () => Date.UTC(2026, 10, 22) };
const end = (reason: string): SessionEvent => ({ atMs: 1, session: "ses_1", type: "session-end", reason });

async function run(directory: string, key: string, sinks: readonly CheckpointSink[] = []) {
  const options = { directory, node: "gw-1", clock, log: silentLog };
  const recorder = openRecorder({ ...options, durability: "batched" });
  const checkpointer = await startCheckpointer({ ...options, key, everyMs: 3_600_000, sinks });
  return {
    recorder,
    checkpointer,
    close: async (): Promise<void> => {
      await recorder.close();
      await checkpointer.close();
    },
  };
}

/** Two runs: the key was replaced between them. 2 checkpoints of each. */
async function rotated(): Promise<string> {
  const folder = temporaryFolder();
  for (const { privateKey } of [before, now]) {
    const gateway = await run(folder, privateKey);
    gateway.recorder.recordIntent([end("a")]);
    await gateway.checkpointer.checkpoint();
    await gateway.close();
  }
  return folder;
}

test("a recording that two keys signed, one after the other, verifies with both and not with one", async () => {
  const folder = await rotated();
  const lines = await checkpointLines(folder);
  const keys = [before.publicKey, now.publicKey];
  assert.deepEqual(await checkCheckpoints(folder, lines, keys), { checkpoints: 4, covered: 6, pruned: 0, faults: [] });
  assert.deepEqual((await checkCheckpoints(folder, lines, keys.toReversed())).faults, []);
  const none = "the signature is by none of these keys";
  assert.deepEqual((await checkCheckpoints(folder, lines, [before.publicKey, other.publicKey])).faults, [
    { checkpoint: 3, why: none },
    { checkpoint: 4, why: none },
  ]);
  const files = temporaryFolder();
  const file = (name: string, text: string): string => {
    writeFileSync(join(files, name), text);
    return join(files, name);
  };
  const both = [
    ["--key", file("old.pub", before.publicKey)],
    ["--key", file("new.pub", now.publicKey)],
  ].flat();
  const gw = async (...argv: readonly string[]) => {
    const terminal = captured();
    return { code: await main(["audit", ...argv], terminal), text: terminal.text() };
  };
  const verified = await gw("verify", "--recording", folder, ...both);
  assert.equal(verified.code, 0, verified.text);
  assert.match(verified.text, /4 checkpoints, 6 lines covered by the last good one/);
  assert.equal((await gw("verify", "--recording", folder, ...both.slice(0, 2))).code, 1);
  // The later one, of the new key, continues the first one, of the old key.
  const since = file("since.jws", lines[0] ?? "");
  const proof = await gw("prove", "--since", since, "--recording", folder, ...both);
  assert.equal(proof.code, 0, proof.text);
  const held = await gw("check-proof", file("proof.json", proof.text), ...both);
  assert.match(held.text, /with 6 lines .* continues the one with 2 lines/);
  assert.equal((await gw("check-proof", join(files, "proof.json"), ...both.slice(0, 2))).code, 1);
});

test("a key that was replaced and signs again is found, and so are checkpoints that went with the old key", async () => {
  const folder = await rotated();
  const keys = [before.publicKey, now.publicKey];
  const lines = await checkpointLines(folder);
  assert.deepEqual(
    (await checkCheckpoints(folder, lines.slice(2), keys)).faults.map(({ why }) => why),
    ["it follows one that isn't here: checkpoints are missing"],
  );
  const again = await run(folder, before.privateKey);
  await again.close();
  assert.deepEqual((await checkCheckpoints(folder, await checkpointLines(folder), keys)).faults, [
    { checkpoint: 5, why: `it is signed by the key ${keyIdOf(before.publicKey)}, which was replaced before` },
  ]);
});

test("a record of pruning may be signed by any of the keys", async () => {
  const boundaries = [{ segment: "00000001.jsonl", size: 1, hash: "0".repeat(64), roots: ["0".repeat(64)] }];
  const said = { node: "gw-1", id: "prn_1", boundaries };
  const signed = await signPrune(said, before.privateKey);
  assert.ok(signed.ok);
  const record = { type: "prune" as const, ...said, keys: [], signed: signed.value };
  assert.ok((await checkPrune(record, [now.publicKey, before.publicKey])).ok);
  assert.ok((await checkPrune(record, [before.publicKey, now.publicKey])).ok);
  assert.ok(!(await checkPrune(record, [now.publicKey, other.publicKey])).ok);
  assert.ok(!(await checkPrune(record, [])).ok);
});

test("copies that waited when a gateway was killed are sent at the next start, once each, and forged ones are not", async () => {
  const folder = temporaryFolder();
  const sent: string[] = [];
  let isDown = false;
  const sink: CheckpointSink = {
    name: "elsewhere",
    send: async (line) => {
      if (isDown) throw new Error("out of reach");
      sent.push(line);
    },
  };
  const first = await run(folder, before.privateKey, [sink]);
  await first.checkpointer.checkpoint();
  isDown = true;
  for (const reason of ["a", "b"]) {
    first.recorder.recordIntent([end(reason)]);
    await first.checkpointer.checkpoint();
  }
  assert.deepEqual([sent.length, first.checkpointer.waiting()], [1, 2]);
  // What memory held of them is gone with the process.
  await first.recorder.close();
  isDown = false;
  const directory = folder;
  const again = async (key = before.privateKey, sinks = [sink]): Promise<void> => {
    const checkpointer = await startCheckpointer({
      directory,
      node: "gw-1",
      key,
      everyMs: 3_600_000,
      sinks,
      clock,
      log: silentLog,
    });
    await checkpointer.close();
  };
  await again();
  const own = await checkpointLines(folder);
  assert.deepEqual(sent, own);
  await again();
  assert.deepEqual(sent, own, "nothing is sent twice");
  // Another place of the same name has a mark of its own; without marks everything is sent again.
  const second: string[] = [];
  await again(before.privateKey, [sink, { ...sink, send: async (line) => void second.push(line) }]);
  assert.deepEqual([sent, second], [own, own]);
  rmSync(join(folder, sentName));
  await again();
  assert.deepEqual(sent, [...own, ...own]);
  const forged = await signCheckpoint(
    {
      node: "gw-1",
      size: 99,
      root: "0".repeat(64),
      head: { seq: 99, hash: "0".repeat(64) },
      atMs: 1,
      previous: undefined,
    },
    other.privateKey,
  );
  assert.ok(forged.ok);
  writeFileSync(
    join(folder, checkpointsName),
    `${readFileSync(join(folder, checkpointsName), "utf8")}${forged.value}\n`,
  );
  await again();
  assert.ok(!sent.includes(forged.value));
});
