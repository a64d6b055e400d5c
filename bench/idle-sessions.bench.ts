// Memory of the gateway per idle session, and the time to open one. `[sessions]`
import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { startPostgres } from "../cli/demo/postgres-server.ts";
import { connectRaw, type RawClient } from "../test/wire/raw-client.ts";

const [count = 500] = process.argv.slice(2).map(Number);
const server = await startPostgres({ password: "bench", settings: [`max_connections=${count + 20}`] });
const target = { host: "127.0.0.1", port: server.port, user: "postgres", password: "bench", database: "postgres" };
const child = spawn(process.execPath, ["--expose-gc", "bench/wire-only.ts"], {
  env: { ...process.env, GW_BENCH_SERVER: JSON.stringify(target) },
  stdio: ["ignore", "pipe", "inherit"],
});
try {
  const port = await new Promise<number>((resolve) => {
    child.stdout.on("data", (chunk: Buffer) => resolve(Number(/listening (\d+)/.exec(chunk.toString())?.[1])));
  });
  const rssKb = (): number => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${child.pid}/status`, "utf8"))?.[1]);
  const open = async (n: number): Promise<RawClient[]> => {
    const clients: RawClient[] = [];
    for (let i = 0; i < n; i++) clients.push(await connectRaw({ ...target, port, user: "bench", password: "a-token" }));
    return clients;
  };
  // Code is loaded and compiled by the first ones; they are closed again.
  for (const client of await open(100)) client.socket.destroy();
  await new Promise((resolve) => setTimeout(resolve, 1_000));
  const before = rssKb();
  const startedAtMs = performance.now();
  const clients = await open(count);
  const perOpenMs = (performance.now() - startedAtMs) / count;
  await new Promise((resolve) => setTimeout(resolve, 1_000));
  console.log(`| idle sessions | KB of gateway memory per session | ms to open one, in turn |\n|---|---|---|`);
  console.log(`| ${count} | ${((rssKb() - before) / count).toFixed(1)} | ${perOpenMs.toFixed(1)} |`);
  for (const client of clients) client.socket.destroy();
} finally {
  child.kill("SIGKILL");
  await server.stop();
}
process.exit(0);
