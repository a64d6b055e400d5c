// A server for the demo and the tests ends with the process that started it, however that ends.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { createConnection } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";

const program = `
  import { startPostgres } from "./cli/demo/postgres-server.ts";
  console.log("starting");
  const server = await startPostgres({ password: "x" });
  console.log("port " + server.port);
  setInterval(() => undefined, 1000);`;

for (const moment of ["starting", "port"]) {
  test(`killed at "${moment}", without a word, it leaves no server and no folder`, { timeout: 60_000 }, async () => {
    const folder = mkdtempSync(join(tmpdir(), "gw-killed-"));
    chmodSync(folder, 0o755); // as root, PostgreSQL runs as nobody
    try {
      const child = spawn(process.execPath, ["--input-type=module-typescript", "-e", program], {
        env: { ...process.env, TMPDIR: folder },
        stdio: ["ignore", "pipe", "inherit"],
      });
      let out = "";
      for await (const chunk of child.stdout) {
        out += String(chunk);
        if (out.includes(moment)) break;
      }
      if (moment === "starting") await sleep(150); // in the middle of initdb
      if (child.exitCode === null && child.signalCode === null) {
        const gone = once(child, "exit");
        child.kill("SIGKILL");
        await gone;
      }
      while (readdirSync(folder).length > 0) await sleep(100);
      const port = Number(/port (\d+)/.exec(out)?.[1]);
      if (port) await assert.rejects(once(createConnection(port, "127.0.0.1"), "connect"));
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
}
