// Finds or makes an `opa` command and compiles our own .rego with it. Where there is none, tests say so and are skipped.
import { execFile, execFileSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { promisify } from "node:util";

const version = "v1.7.1";
const run = promisify(execFile);

const installTimeoutMs = 240_000;

/** Infinite for what isn't there. */
const ageMs = (path: string): number =>
  existsSync(path) ? Date.now() - statSync(path).mtimeMs : Number.POSITIVE_INFINITY;

const isThere = (command: string): boolean => {
  try {
    execFileSync(command, ["version"], { stdio: "ignore", timeout: 20_000 });
    return true;
  } catch {
    return false;
  }
};

/** OPA_BIN, PATH, our cache outside the tree, else `go install` into that cache: about a minute, once. */
async function findOpa(): Promise<string | undefined> {
  const named = process.env.OPA_BIN;
  if (named) {
    if (!isThere(named)) throw new Error(`OPA_BIN is \`${named}\`, which doesn't run`);
    return named;
  }
  if (isThere("opa")) return "opa";
  const cache = process.env.XDG_CACHE_HOME ?? join(homedir(), ".cache");
  const folder = join(cache, "gatewright", `opa-${version}`);
  const cached = join(folder, "opa");
  if (existsSync(cached) && isThere(cached)) return cached;
  if (process.env.GW_TEST_NO_GO !== undefined) return undefined;
  mkdirSync(folder, { recursive: true });
  // Test files run side by side: the one that makes this folder installs, the others wait for what it makes.
  const lock = join(folder, "installing");
  if (ageMs(lock) > installTimeoutMs) rmSync(lock, { recursive: true, force: true });
  const failed = join(folder, "failed");
  if (ageMs(failed) < 600_000) return undefined;
  try {
    mkdirSync(lock);
  } catch {
    return await waitFor(cached, lock);
  }
  try {
    const env = { ...process.env, GOBIN: folder, GOFLAGS: "-buildvcs=false" };
    const module = `github.com/open-policy-agent/opa@${version}`;
    await run("go", ["install", "-ldflags=-s -w", module], { env, timeout: installTimeoutMs });
    return isThere(cached) ? cached : undefined;
  } catch {
    // Without Go or its proxy each test file would try again.
    writeFileSync(failed, "");
    return undefined;
  } finally {
    rmSync(lock, { recursive: true, force: true });
  }
}

async function waitFor(file: string, lock: string): Promise<string | undefined> {
  for (let waitedMs = 0; waitedMs < installTimeoutMs && existsSync(lock); waitedMs += 500) {
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
  return existsSync(file) ? file : undefined;
}

export const opa = await findOpa();
if (opa === undefined) {
  console.error(
    "WARNING: no `opa` command: every test that compiles Rego is SKIPPED. Set OPA_BIN, put `opa` on the PATH, or install Go.",
  );
}

/** For `test(name, { skip }, …)`. */
export const skip: string | false = opa === undefined ? "no `opa` command: see test/support/opa.ts" : false;

/** .rego texts (and data.json) by name → bundle.tar.gz. @throws Error with OPA's own message when they don't compile. */
export async function buildRego(
  files: Readonly<Record<string, string>>,
  entrypoints: readonly string[],
): Promise<Uint8Array> {
  const folder = mkdtempSync(join(tmpdir(), "gw-opa-"));
  try {
    for (const [name, text] of Object.entries(files)) {
      mkdirSync(dirname(join(folder, "src", name)), { recursive: true });
      writeFileSync(join(folder, "src", name), text);
    }
    const out = join(folder, "bundle.tar.gz");
    const args = [
      "build",
      "-t",
      "wasm",
      ...entrypoints.flatMap((e) => ["-e", e]),
      "-o",
      out,
      "-b",
      join(folder, "src"),
    ];
    await run(opa ?? "opa", args, { timeout: 60_000 });
    return readFileSync(out);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
