// The demo as a user runs it: a process of its own, looked at from outside.
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";

// A temporary folder of its own: what the demo leaves behind is whatever is in it afterwards.
const folder = mkdtempSync(join(tmpdir(), "gw-demo-test-"));
chmodSync(folder, 0o755); // as root, PostgreSQL runs as nobody
after(() => rmSync(folder, { recursive: true, force: true }));

type Run = { readonly code: number | null; readonly out: string; readonly err: string };

function gw(
  args: readonly string[],
  onOutput: (out: string, child: ChildProcess) => void = () => undefined,
): Promise<Run> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, ["cli/gw.js", ...args], {
      env: { ...process.env, TMPDIR: folder, NO_COLOR: "1", GW_TEST_PG: "" },
      stdio: ["ignore", "pipe", "pipe"],
    });
    let [out, err] = ["", ""];
    child.stdout.on("data", (chunk: Buffer) => {
      out += chunk.toString("utf8");
      onOutput(out, child);
    });
    child.stderr.on("data", (chunk: Buffer) => {
      err += chunk.toString("utf8");
    });
    child.once("error", reject);
    child.once("close", (code) => resolve({ code, out, err }));
  });
}

test("gw demo --script takes the tour, every stop behaves, and nothing is left", { timeout: 120_000 }, async () => {
  const run = await gw(["demo", "--script", "--port", "0", "--admin-port", "0"]);
  assert.equal(run.code, 0, `${run.out}\n${run.err}`);
  assert.equal(run.out.match(/✓ as it should be/g)?.length, 7);
  assert.match(run.out, /Each stop behaved/);
  assert.match(run.err, /Ready after [\d.]+ s/); // the aim is 5 s; how long it takes on a shared machine isn't judged here
  assert.deepEqual(readdirSync(folder), []);
});

test("gw demo prints psql lines for both identities, and Ctrl-C leaves nothing", { timeout: 120_000 }, async () => {
  let port = 0;
  let tokenFile = "";
  let hadToken = false;
  const run = await gw(["demo", "--port", "0", "--admin-port", "0"], (out, child) => {
    if (!out.includes("Ctrl-C stops") || port !== 0) return;
    port = Number(/port=(\d+) user=claude-agent/.exec(out)?.[1]);
    tokenFile = /cat (\S+)\)/.exec(out)?.[1] ?? "";
    hadToken = existsSync(tokenFile);
    child.kill("SIGINT");
  });
  assert.equal(run.code, 0, run.err);
  assert.match(run.out, /psql "host=127\.0\.0\.1 port=\d+ user=oscar dbname=larch-db sslmode=require"/);
  assert.ok(hadToken, "the printed token file was there");
  assert.deepEqual(readdirSync(folder), []);
  await assert.rejects(fetch(`http://127.0.0.1:${port}/`), "nobody listens any more");
});

test("gw demo: Ctrl-C while it starts leaves nothing", { timeout: 120_000 }, async () => {
  for (const afterMs of [300, 900]) {
    const child = spawn(process.execPath, ["cli/gw.js", "demo", "--port", "0", "--admin-port", "0"], {
      env: { ...process.env, TMPDIR: folder, NO_COLOR: "1", GW_TEST_PG: "" },
      stdio: ["ignore", "ignore", "pipe"],
    });
    const closed = once(child, "close");
    await once(child.stderr, "data"); // Starting PostgreSQL …
    await sleep(afterMs);
    child.kill("SIGINT");
    await closed;
    while (readdirSync(folder).length > 0) await sleep(100); // what goes after the process takes a moment
  }
});
