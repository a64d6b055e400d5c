// docs/recording-format.md is held to the code, and the code to the bytes in golden/.
import assert from "node:assert/strict";
import { createHash, createPrivateKey } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import type { Result } from "../../engine/lib/result.ts";
import type { SessionEvent } from "../../engine/model/session-event.ts";
import { silentLog } from "../../proxy/log.ts";
import { verifyChains } from "../../proxy/recording/chains.ts";
import { startCheckpointer } from "../../proxy/recording/checkpointer.ts";
import { checkpointLines, publicKeyOf } from "../../proxy/recording/checkpoints.ts";
import { checkProof, proveConsistency, proveInclusion } from "../../proxy/recording/proofs.ts";
import { readEvents } from "../../proxy/recording/read.ts";
import { openRecorder } from "../../proxy/recording/recorder.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";
import { examples } from "./example-events.ts";

const golden = join(import.meta.dirname, "golden");
const files = [
  "00000001.jsonl",
  "worker-1/00000001.jsonl",
  "checkpoints.jsonl",
  "inclusion-proof.json",
  "consistency-proof.json",
];
const page = readFileSync("docs/recording-format.md", "utf8");

/** Known to everybody: 32 equal bytes as an Ed25519 key (RFC 8410). Signatures with it are the same each time. */
const key = String(
  createPrivateKey({
    key: Buffer.concat([Buffer.from("302e020100300506032b657004220420", "hex"), Buffer.alloc(32, 7)]),
    format: "der",
    type: "pkcs8",
  }).export({ type: "pkcs8", format: "pem" }),
);
const publicKey = publicKeyOf(key);

/** One of each event, with what the worker's chain really ends with. */
const eventsWith = (head: string): readonly SessionEvent[] =>
  Object.values({ ...examples, worker: { ...examples.worker, head } });

/** One of each event, a worker's chain, two checkpoints, a proof of each kind. */
async function writeAll(): Promise<string> {
  const directory = temporaryFolder();
  const clock = { nowMs: () => Date.UTC(2026, 10, 22, 9, 30) };
  const options = { directory, node: "gw-1", clock, log: silentLog };
  const worker = openRecorder({ ...options, directory: join(directory, "worker-1"), durability: "batched" });
  await worker.close();
  const { seq, hash } = worker.head();
  const recorder = openRecorder({ ...options, durability: "batched" });
  const checkpointer = await startCheckpointer({ ...options, key, everyMs: 3_600_000, sinks: [] });
  const events = eventsWith(`${seq}:${hash}`);
  recorder.recordIntent(events.slice(0, 6));
  await checkpointer.checkpoint();
  recorder.recordIntent(events.slice(6));
  await recorder.close();
  await checkpointer.close();
  const lines = await checkpointLines(directory);
  const [first = "", second = ""] = lines;
  const keep = (name: string, proof: Result<unknown, string>): void => {
    assert.ok(proof.ok, JSON.stringify(proof));
    writeFileSync(join(directory, name), `${JSON.stringify(proof.value)}\n`);
  };
  keep("inclusion-proof.json", await proveInclusion(directory, "dec_1", lines, publicKey));
  keep("consistency-proof.json", await proveConsistency(directory, first, second, publicKey));
  return directory;
}

test("the gateway writes the bytes of the golden recording, its checkpoints and its proofs", async () => {
  const written = await writeAll();
  if (process.env.GW_WRITE_GOLDEN === "1") {
    mkdirSync(join(golden, "worker-1"), { recursive: true });
    for (const name of files) writeFileSync(join(golden, name), readFileSync(join(written, name)));
    writeFileSync(join(golden, "checkpoints.pub"), publicKey);
  }
  for (const name of files) {
    assert.equal(readFileSync(join(written, name), "utf8"), readFileSync(join(golden, name), "utf8"), name);
  }
});

test("the golden recording verifies, reads back whole, and its proofs hold with the public key alone", async () => {
  const { chains, missing } = await verifyChains(golden);
  const [own, worker] = chains;
  assert.deepEqual([own?.damage, worker?.damage, worker?.anchor, missing], [[], [], "found", []]);
  const read = [];
  for await (const { seq: _, hash: __, ...event } of readEvents(golden)) read.push(event);
  const expected = eventsWith(`${worker?.head.seq}:${worker?.head.hash}`).map((event, i) => ({
    prev: prevOf(i + 2),
    ...event,
  }));
  assert.deepEqual(read.slice(1, -1), expected);
  const pub = readFileSync(join(golden, "checkpoints.pub"), "utf8");
  for (const name of ["inclusion-proof.json", "consistency-proof.json"]) {
    const checked = await checkProof(readFileSync(join(golden, name), "utf8"), pub);
    assert.ok(checked.ok, name);
  }
});

const prevOf = (line: number): string =>
  /"prev":"(\w{64})"/.exec(readFileSync(join(golden, "00000001.jsonl"), "utf8").split("\n")[line - 1] ?? "")?.[1] ?? "";

test("a line can be checked as the page says, without gw and without a JSON parser", () => {
  let prev = "0".repeat(64);
  const lines = readFileSync(join(golden, "00000001.jsonl")).toString("latin1").split("\n");
  assert.equal(lines.pop(), "");
  for (const [i, line] of lines.entries()) {
    const hash = createHash("sha256")
      .update(Buffer.from(line.slice(0, -75), "latin1"))
      .digest("hex");
    assert.ok(line.startsWith(`{"seq":${i + 1},"prev":"${prev}",`));
    assert.equal(line.slice(-75), `,"hash":"${hash}"}`);
    prev = hash;
  }
});

test("the page describes every event with every field, and no others", () => {
  const described = Object.fromEntries(
    [...page.matchAll(/^### `([a-z-]+)`\n([\s\S]*?)(?=^##)/gm)].map(([, type, text = ""]) => [
      type,
      [...text.matchAll(/^\| `(\w+)`\??/gm)].map((row) => row[1]),
    ]),
  );
  const common = new Set(["atMs", "session", "type"]);
  const expected = Object.fromEntries(
    Object.entries(examples).map(([type, event]) => [type, Object.keys(event).filter((name) => !common.has(name))]),
  );
  assert.deepEqual(described, expected);
});

test("the files that the page names are those of the golden recording", () => {
  for (const name of files) assert.ok(existsSync(join(golden, name)));
  for (const format of ["checkpoint/1", "inclusion-proof/1", "consistency-proof/1"]) assert.ok(page.includes(format));
});
