// Runs every test file (or those whose path holds one of the arguments) against one shared PostgreSQL.
import { randomBytes } from "node:crypto";
import { globSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { run } from "node:test";
import { spec } from "node:test/reporters";
import { startPostgres } from "../cli/demo/postgres-server.ts";

const wanted = process.argv.slice(2);
const files = globSync("test/**/*.test.ts")
  .filter((file) => wanted.length === 0 || wanted.some((w) => file.includes(w)))
  .sort();
if (files.length === 0) {
  console.error(`no test file matches ${wanted.join(" ")}`);
  process.exit(1);
}

const server = await startPostgres({ password: randomBytes(12).toString("hex") });
process.env.GW_TEST_PG = JSON.stringify({
  host: server.host,
  port: server.port,
  user: server.superuser,
  password: server.password,
});
// Hundreds of processes read the same modules: compiled once, that is half of the time that one takes to start.
const compiled = mkdtempSync(join(tmpdir(), "gw-compiled-"));
process.env.NODE_COMPILE_CACHE = compiled;
const counts = { passed: 0, failed: 0, skipped: 0 };
const failures: string[] = [];
const fixedSeed = process.env.GW_SEED === undefined ? [] : ["--import", "./test/support/fixed-seed.ts"];
const stream = run({ files, concurrency: 2, timeout: 600_000, execArgv: fixedSeed });
stream.on("test:pass", (event) => {
  if (event.details.type === "suite") return;
  if (event.skip !== undefined && event.skip !== false) counts.skipped += 1;
  else counts.passed += 1;
});
stream.on("test:fail", (event) => {
  if (event.details.type === "suite" && event.details.error.cause === undefined) return;
  counts.failed += 1;
  failures.push(`${event.file ?? ""}: ${event.name}`);
});
stream.compose(spec).pipe(process.stdout);
stream.once("end", async () => {
  await server.stop();
  rmSync(compiled, { recursive: true, force: true });
  for (const failure of failures) console.log(`FAILED ${failure}`);
  console.log(`\n${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped`);
  process.exit(counts.failed === 0 && counts.passed > 0 ? 0 : 1);
});
