// `[sessions] [per second] [seconds] [workers] [pool]`: that many sessions at once, then a storm of new connections beside
// them. What fails is counted by what the client was told; `pool`: sessions at the server that clients share.
import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startPostgres } from "../cli/demo/postgres-server.ts";
import { startTokenIssuer } from "../cli/demo/token-issuer.ts";
import { decodeErrorFields, fieldOf } from "../proxy/postgres/protocol/backend.ts";
import { encodePassword, encodeStartup } from "../proxy/postgres/protocol/encode.ts";
import { connectRaw, type RawClient, say } from "../test/wire/raw-client.ts";

const [sessions = 2_000, perSecond = 500, seconds = 5, workers = 2, pool = 0] = process.argv.slice(2).map(Number);
const patienceMs = 60_000;
const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
const folder = mkdtempSync(join(tmpdir(), "gw-storm-"));
const undo: (() => unknown)[] = [() => rmSync(folder, { recursive: true, force: true })];
try {
  await storm();
} finally {
  for (const step of undo.toReversed()) await step();
}
process.exit(0);

async function storm(): Promise<void> {
  const password = "bench";
  // The server itself is never what is short.
  const server = await startPostgres({ password, settings: [`max_connections=${sessions + perSecond * 4 + 20}`] });
  undo.push(server.stop);
  const issuer = await startTokenIssuer({ audience: "gatewright" });
  undo.push(() => issuer.stop());
  writeConfig(server.port, password, issuer);
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
  const before = footing(child.pid);
  const startedMs = performance.now();
  const open: RawClient[] = [];
  let left = pool > 0 ? Math.min(sessions, pool - 1) : sessions;
  await Promise.all(
    Array.from({ length: 16 }, async () => {
      while (left-- > 0) open.push(await connectRaw(target));
    }),
  );
  const openedMs = performance.now() - startedMs;
  await sleep(1_000);
  const full = footing(child.pid);
  // One of those who are served asks on while the storm goes by.
  let isOver = false;
  const answers: number[] = [];
  const [served] = open;
  const asking = (async () => {
    while (!isOver && served !== undefined) {
      const askedMs = performance.now();
      served.send(say.query("select 1"));
      await served.until("Z");
      answers.push(performance.now() - askedMs);
      await sleep(20);
    }
  })();
  const visits: Promise<Visit>[] = [];
  const stormMs = performance.now();
  for (let i = 0; i < perSecond * seconds; i += 1) {
    const dueMs = stormMs + (i * 1_000) / perSecond;
    if (performance.now() < dueMs) await sleep(dueMs - performance.now());
    visits.push(visit(target));
  }
  const all = await Promise.all(visits);
  const tookS = (performance.now() - stormMs) / 1_000;
  isOver = true;
  await asking;
  for (const client of open) {
    client.send(say.query("select 1"));
    await client.until("Z");
  }
  for (const client of open) client.socket.destroy();
  await sleep(3_000);
  const after = footing(child.pid);
  console.log(`${workers} workers; ${open.length} sessions opened in ${(openedMs / 1_000).toFixed(1)} s`);
  console.log(
    `storm beside them: ${all.length} connections in ${tookS.toFixed(1)} s (${(all.length / tookS).toFixed(0)}/s); all sessions answered after it`,
  );
  console.log("| outcome | connections | first word p50, p99 ms | end p50, p99 ms |\n|---|---|---|---|");
  for (const [outcome, of] of Object.entries(Object.groupBy(all, (v) => v.outcome))) {
    const firsts = (of ?? []).map((v) => v.firstWordMs);
    const ends = (of ?? []).map((v) => v.endMs);
    console.log(`| ${outcome} | ${of?.length} | ${spread(firsts)} | ${spread(ends)} |`);
  }
  console.log(`a served session's query meanwhile, p50, p99 ms: ${spread(answers)}`);
  console.log("| | descriptors | resident MB |\n|---|---|---|");
  for (const [name, f] of Object.entries({ before, full, after })) {
    console.log(`| ${name} | ${f.descriptors} | ${f.rssMb.toFixed(0)} |`);
  }
}

function spread(numbers: readonly number[]): string {
  const sorted = numbers.toSorted((a, b) => a - b);
  const at = (share: number): string => (sorted[Math.floor(sorted.length * share)] ?? Number.NaN).toFixed(0);
  return `${at(0.5)}, ${at(0.99)}`;
}

type Visit = { readonly outcome: string; readonly firstWordMs: number; readonly endMs: number };

/** Logs in, asks once, and goes; or hears why not. */
function visit(to: {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
}): Promise<Visit> {
  const beganMs = performance.now();
  return new Promise((resolve) => {
    let firstWordMs = Number.NaN;
    let bytes: Buffer = Buffer.alloc(0);
    let answers = 0;
    const socket = connect({ host: to.host, port: to.port, noDelay: true });
    const finish = (outcome: string): void => {
      clearTimeout(late);
      socket.destroy();
      resolve({ outcome, firstWordMs, endMs: performance.now() - beganMs });
    };
    const late = setTimeout(() => finish("no answer"), patienceMs);
    socket.on("error", (error) => finish(`${(error as NodeJS.ErrnoException).code} without a word`));
    socket.on("close", () => finish("closed without a word"));
    socket.on("connect", () =>
      socket.write(
        encodeStartup([
          ["user", to.user],
          ["database", "postgres"],
        ]),
      ),
    );
    socket.on("data", (chunk: Buffer) => {
      if (Number.isNaN(firstWordMs)) firstWordMs = performance.now() - beganMs;
      bytes = Buffer.concat([bytes, chunk]);
      while (bytes.length >= 5 && bytes.length > bytes.readUInt32BE(1)) {
        const frame = bytes.subarray(0, bytes.readUInt32BE(1) + 1);
        bytes = bytes.subarray(frame.length);
        const type = String.fromCharCode(frame[0] ?? 0);
        if (type === "R" && frame.readUInt32BE(5) === 3) socket.write(encodePassword(to.password));
        if (type === "E") {
          const fields = decodeErrorFields(frame);
          finish(`${fieldOf(fields, "C")} ${fieldOf(fields, "M")}`);
        }
        if (type === "Z") {
          answers += 1;
          if (answers === 1) socket.write(say.query("select 1"));
          else finish("served");
        }
      }
    });
  });
}

function writeConfig(
  port: number,
  password: string,
  issuer: { readonly issuer: string; readonly jwksUrl: string },
): void {
  mkdirSync(join(folder, "policies"));
  writeFileSync(
    join(folder, "policies", "storm.policy"),
    "package bench\n\nallow everybody on sql read, tcl, session\n",
  );
  writeFileSync(join(folder, "password"), password);
  const rules = pool > 0 ? `\n    sessions: { pool: { sessions: ${pool}, queue: 1000, wait: 5s } }` : "";
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
    upstream: { host: 127.0.0.1, port: ${port}, database: postgres, user: postgres, password: { file: password }, sslmode: disable }${rules}
`,
  );
}

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
