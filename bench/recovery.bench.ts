// How long a start takes after a kill: `npm run bench -- recovery [million events]`. Chain, lock and checkpoints, as `gw serve` opens them.
import { fork } from "node:child_process";
import { generateKeyPairSync } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { SessionEvent } from "../engine/model/session-event.ts";
import { silentLog } from "../proxy/log.ts";
import { startCheckpointer } from "../proxy/recording/checkpointer.ts";
import { openRecorder } from "../proxy/recording/recorder.ts";
import { recordedBytes } from "../proxy/recording/segments.ts";

const [directory, key, millionsText = "1"] = process.argv.slice(2);
const clock = { nowMs: () => Date.now() };

const event = (i: number): SessionEvent => ({
  atMs: clock.nowMs(),
  session: "ses_01m82dwdwznptn494rn2aja0fv",
  type: "statement",
  id: `dec_01m82dwe0k79dmvyd6z1${i}`,
  statement: `select id, name, price from products where id = ${i} order by id limit 3`,
  fingerprint: "50fde20626009aba",
  isCut: false,
  statementSha256: undefined,
  parameters: 0,
  accesses: ["select public.products (id, name, price)"],
  factsDigest: undefined,
  effect: "allow",
  rules: ["larch.shop.agent_reads_the_shop"],
  causes: [],
  masks: [],
  filters: [],
  policy: `sha256:${"1".repeat(64)}`,
  revision: "r1",
});

/** Writes, makes a checkpoint, writes a tenth more, and is killed. */
async function write(folder: string, pem: string, events: number): Promise<void> {
  const options = { directory: folder, node: "bench", clock, log: silentLog };
  const recorder = openRecorder({ ...options, durability: "batched" });
  const checkpointer = await startCheckpointer({ ...options, key: pem, everyMs: 3_600_000, sinks: [] });
  for (let i = 0; i < events; i += 1_000) {
    recorder.recordIntent(Array.from({ length: 1_000 }, (_, n) => event(i + n)));
    if (i === Math.floor(events * 0.9)) await checkpointer.checkpoint();
  }
  process.send?.("written");
  setInterval(() => undefined, 1_000);
}

async function measure(millions: number): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "gw-bench-recovery-"));
  const { privateKey } = generateKeyPairSync("ed25519");
  const pem = String(privateKey.export({ type: "pkcs8", format: "pem" }));
  try {
    const writer = fork(import.meta.filename, [folder, pem, String(millions)]);
    await once(writer, "message");
    writer.kill("SIGKILL");
    await once(writer, "exit");
    const megabytes = Math.round(recordedBytes(folder) / 1e6);
    const startedAt = performance.now();
    const options = { directory: folder, node: "bench", clock, log: silentLog };
    const recorder = openRecorder({ ...options, durability: "batched" });
    const openedMs = performance.now() - startedAt;
    const checkpointer = await startCheckpointer({ ...options, key: pem, everyMs: 3_600_000, sinks: [] });
    const readyMs = performance.now() - startedAt;
    const made = await checkpointer.checkpoint();
    const coveredMs = performance.now() - startedAt;
    await recorder.close();
    await checkpointer.close();
    console.log(
      "| events | MB | chain open, ms | ready for statements, ms | behind it: a tenth of the events covered again, ms |",
    );
    console.log("|---|---|---|---|---|");
    console.log(
      `| ${made?.size ?? 0} | ${megabytes} | ${openedMs.toFixed(0)} | ${readyMs.toFixed(0)} | ${coveredMs.toFixed(0)} |`,
    );
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

if (directory !== undefined && key !== undefined) await write(directory, key, Number(millionsText) * 1_000_000);
else await measure(Number(directory ?? 1));
