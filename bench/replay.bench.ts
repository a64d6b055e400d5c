// `gw policy replay` over 100,000 recorded requests, from the files to the report: `npm run bench -- replay [requests]`.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { main } from "../cli/main.ts";
import type { SessionEvent } from "../engine/model/session-event.ts";
import { silentLog } from "../proxy/log.ts";
import { openRecorder } from "../proxy/recording/recorder.ts";

const requests = Number(process.argv[2] ?? 100_000);
const sessions = 200;

/** `i`: where literals differ, no two texts are equal. */
const shapes: readonly ((i: number) => readonly [text: string, access: string])[] = [
  (i) => [
    `select id, name, price from products where id = ${i} order by id limit 3`,
    "select public.products (id, name, price)",
  ],
  (i) => [
    `select o.id, o.status, c.name from orders o join customers c on c.id = o.customer_id where o.id = ${i}`,
    "select public.orders (id, status, customer_id)",
  ],
  (i) => [
    `select count(*) from orders where placed_at > '2026-01-01' and total > ${i}`,
    "select public.orders (total)",
  ],
  (i) => [`update orders set status = 'paid' where id = ${i}`, "update public.orders (status)"],
  (i) => [
    `select sku from products where name like 'x%' and stock < ${i} and price in (1, 2, ${i})`,
    "select public.products (sku)",
  ],
];

async function record(directory: string, textsMax: number): Promise<void> {
  const clock = { nowMs: () => Date.now() };
  const recorder = openRecorder({ directory, durability: "async", node: "bench", clock, log: silentLog });
  const kinds = ["human", "agent", "service"] as const;
  for (let s = 0; s < sessions; s += 1) {
    const kind = kinds[s % 3] ?? "human";
    recorder.recordIntent([
      {
        ...{ atMs: clock.nowMs(), session: `ses_${s}`, type: "session-start", connection: "larch-db" },
        ...{ protocol: "postgres", client: "10.0.0.1", application: undefined },
        principal: { sub: `${kind}-${s}`, kind, groups: ["support-agents", "on-call"], onBehalfOf: undefined },
      },
    ]);
  }
  for (let i = 0; i < requests; i += 1) {
    const [statement, access] = shapes[i % shapes.length]?.(i % textsMax) ?? ["", ""];
    const event: SessionEvent = {
      ...{ atMs: clock.nowMs(), session: `ses_${i % sessions}`, type: "statement", id: `dec_${i}`, statement },
      ...{ fingerprint: "50fde20626009aba", isCut: false, statementSha256: undefined, parameters: 0 },
      ...{ accesses: [access], factsDigest: undefined, effect: "allow", rules: ["larch.shop.x"], causes: [] },
      ...{ masks: [], filters: [], policy: "p", revision: "r1" },
    };
    recorder.recordIntent([event]);
    recorder.recordOutcome({
      ...{ atMs: clock.nowMs(), session: event.session, type: "completion", id: `dec_${i}`, outcome: "ok" },
      ...{ tag: "SELECT 1", sqlstate: undefined, rows: 1, bytes: 100, durationUs: 200 },
    });
    if (i % 64 === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  await recorder.close();
}

console.log(
  "| recorded requests | different texts | seconds | CPU seconds | requests per second |\n|---|---|---|---|---|",
);
const folder = mkdtempSync(join(tmpdir(), "gw-bench-replay-"));
try {
  for (const texts of [1_000, requests]) {
    const recording = join(folder, `recording-${texts}`);
    await record(recording, texts);
    let report = "";
    const write = (text: string): void => {
      report += text;
    };
    const cpu = process.cpuUsage();
    const began = performance.now();
    await main(["policy", "replay", "--bundle", "policies", "--recording", recording], {
      ...{ out: write, err: write, hasColor: false, columns: 100 },
    });
    const seconds = (performance.now() - began) / 1_000;
    const { user, system } = process.cpuUsage(cpu);
    if (!report.includes(`${requests} statements: `)) throw new Error(report);
    console.log(
      `| ${requests} | ${texts} | ${seconds.toFixed(1)} | ${((user + system) / 1e6).toFixed(1)} | ${Math.round(requests / seconds)} |`,
    );
  }
} finally {
  rmSync(folder, { recursive: true });
}
