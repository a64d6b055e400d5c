// What recording adds to a statement, by durability, and how fast a recording is verified: `npm run bench -- recording`.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { SessionEvent } from "../engine/model/session-event.ts";
import { silentLog } from "../proxy/log.ts";
import { verifyRecording } from "../proxy/recording/read.ts";
import { openRecorder } from "../proxy/recording/recorder.ts";

const clock = { nowMs: () => Date.now() };
const session = "ses_01m82dwdwznptn494rn2aja0fv";

const intent = (i: number): SessionEvent => ({
  atMs: clock.nowMs(),
  session,
  type: "statement",
  id: `dec_01m82dwe0k79dmvyd6z1${i}`,
  statement: `select id, name, price from products where id = ${i} order by id limit 3`,
  fingerprint: "50fde20626009aba",
  isCut: false,
  statementSha256: undefined,
  parameters: 0,
  accesses: ["select public.products (id, name, price)"],
  factsDigest: `sha256:${"0".repeat(64)}`,
  effect: "allow",
  rules: ["larch.shop.agent_reads_the_shop"],
  causes: [],
  masks: [],
  filters: [],
  policy: `sha256:${"1".repeat(64)}`,
  revision: "r1",
});
const completion = (i: number): SessionEvent => ({
  atMs: clock.nowMs(),
  session,
  type: "completion",
  id: `dec_01m82dwe0k79dmvyd6z1${i}`,
  outcome: "ok",
  tag: "SELECT 1",
  sqlstate: undefined,
  rows: 1,
  bytes: 100,
  durationUs: 200,
});

console.log(
  "| durability | wall µs per statement | CPU µs per statement | events written per second | events verified per second |\n|---|---|---|---|---|",
);
for (const [durability, statements] of [
  ["async", 50_000],
  ["batched", 50_000],
  ["sync", 1_000],
] as const) {
  const directory = mkdtempSync(join(tmpdir(), "gw-bench-"));
  const recorder = openRecorder({ directory, durability, node: "bench", clock, log: silentLog });
  const cpu = process.cpuUsage();
  const startedAt = performance.now();
  for (let i = 0; i < statements; i += 1) {
    recorder.recordIntent([intent(i)]);
    recorder.recordOutcome(completion(i));
    if (i % 16 === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  const { user, system } = process.cpuUsage(cpu);
  const wallUs = ((performance.now() - startedAt) * 1_000) / statements;
  await recorder.close();
  const verifiedFrom = performance.now();
  const { lines } = await verifyRecording(directory);
  const perSecond = (lines / (performance.now() - verifiedFrom)) * 1_000;
  rmSync(directory, { recursive: true });
  console.log(
    `| ${durability} | ${wallUs.toFixed(1)} | ${((user + system) / statements).toFixed(1)} | ${Math.round(2_000_000 / wallUs)} | ${Math.round(perSecond)} |`,
  );
}
