// `[sessions] [per second] [seconds] [workers]`: that many sessions at once, then a storm of new connections beside them.
import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startPostgres } from "../cli/demo/postgres-server.ts";
import { startTokenIssuer } from "../cli/demo/token-issuer.ts";
import { connectRaw, type RawClient, say } from "../test/wire/raw-client.ts";

const [sessions = 2_000, perSecond = 500, seconds = 5, workers = 2] = process.argv.slice(2).map(Number);
const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
const folder = mkdtempSync(join(tmpdir(), "gw-storm-"));
const undo: (() => unknown)[] = [() => rmSync(folder, { recursive: true, force: true })];
try {
  const password = "bench";
  const server = await startPostgres({ password, settings: [`max_connections=${sessions + perSecond * 4 + 20}`] });
  undo.push(server.stop);
  const issuer = await startTokenIssuer({ audience: "gatewright" });
  undo.push(() => issuer.stop());
  mkdirSync(join(folder, "policies"));
  writeFileSync(
    join(folder, "policies", "storm.policy"),
    "package bench\n\nallow everybody on sql read, tcl, session\n",
  );
  writeFileSync(join(folder, "password"), password);
  writeFileSync(
    join(folder, "gw.yaml"),
    `workers: ${workers}
log: { level: error }
policies: { path: policies }
recording: { directory: recording }
identity:
  issuers:
    - { issuer: "${issuer.issuer}", audience: gatewright, jwks_url: "${issuer.jwksUrl}", algorithms: [EdDSA] }
connections:
  - name: storm
    kind: postgres
    listen: 127.0.0.1:0
    tls: { required: false }
    upstream: { host: 127.0.0.1, port: ${server.port}, database: postgres, user: postgres, password: { file: password }, sslmode: disable }
`,
  );
  const child = spawn(process.execPath, ["cli/gw.js", "serve", "--config", join(folder, "gw.yaml"), "--drain", "1"], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  undo.push(() => child.exitCode ?? new Promise((resolve) => child.once("exit", resolve).kill("SIGTERM")));
  const port = await new Promise<number>((resolve) => {
    let text = "";
    child.stdout.on("data", (chunk: Buffer) => {
      text += chunk.toString("utf8");
      const found = /^storm .*:(\d+)$/m.exec(text);
      if (found) resolve(Number(found[1]));
    });
  });
  const target = {
    host: "127.0.0.1",
    port,
    user: "bench",
    password: await issuer.issue({ sub: "bench", kind: "service", groups: [] }),
    database: "postgres",
  };
  const enter = async (): Promise<RawClient> => {
    const client = await connectRaw(target);
    client.send(say.query("select 1"));
    await client.until("Z");
    return client;
  };
  const before = footing(child.pid);
  const startedMs = performance.now();
  const open: RawClient[] = [];
  let left = sessions;
  await Promise.all(
    Array.from({ length: 32 }, async () => {
      while (left-- > 0) open.push(await enter());
    }),
  );
  const openedMs = performance.now() - startedMs;
  await sleep(1_000);
  const full = footing(child.pid);
  let failed = 0;
  const latencies: number[] = [];
  const storm: Promise<void>[] = [];
  const stormMs = performance.now();
  for (let i = 0; i < perSecond * seconds; i += 1) {
    const dueMs = stormMs + (i * 1_000) / perSecond;
    if (performance.now() < dueMs) await sleep(dueMs - performance.now());
    const beganMs = performance.now();
    storm.push(
      enter().then(
        (client) => {
          latencies.push(performance.now() - beganMs);
          client.socket.destroy();
        },
        () => {
          failed += 1;
        },
      ),
    );
  }
  await Promise.all(storm);
  const tookS = (performance.now() - stormMs) / 1_000;
  for (const client of open) {
    client.send(say.query("select 1"));
    await client.until("Z");
  }
  for (const client of open) client.socket.destroy();
  await sleep(3_000);
  const after = footing(child.pid);
  latencies.sort((a, b) => a - b);
  const at = (share: number): string => (latencies[Math.floor(latencies.length * share)] ?? Number.NaN).toFixed(0);
  console.log(
    `${workers} workers; ${open.length} sessions opened in ${(openedMs / 1_000).toFixed(1)} s, all answered after the storm`,
  );
  console.log(
    `storm beside them: ${perSecond * seconds} connections in ${tookS.toFixed(1)} s (${((perSecond * seconds) / tookS).toFixed(0)}/s), ${failed} failed, p50 ${at(0.5)} ms, p99 ${at(0.99)} ms`,
  );
  console.log("| | descriptors | resident MB |\n|---|---|---|");
  for (const [name, f] of Object.entries({ before, full, after })) {
    console.log(`| ${name} | ${f.descriptors} | ${f.rssMb.toFixed(0)} |`);
  }
} finally {
  for (const step of undo.toReversed()) await step();
}
process.exit(0);

function footing(pid: number | undefined): { readonly descriptors: number; readonly rssMb: number } {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim().split(" ");
  let descriptors = 0;
  let rssMb = 0;
  for (const one of [String(pid), ...children].filter((text) => text !== "")) {
    descriptors += readdirSync(`/proc/${one}/fd`).length;
    rssMb += Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${one}/status`, "utf8"))?.[1]) / 1_024;
  }
  return { descriptors, rssMb };
}
