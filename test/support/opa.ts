// Finds or makes an `opa` command and compiles our own .rego with it. Where there is none, tests say so and are skipped.
import { execFile, execFileSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { promisify } from "node:util";

const version = "v1.7.1";
const run = promisify(execFile);

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
  try {
    mkdirSync(folder, { recursive: true });
    // Test files run side by side: the one that makes this folder installs, the others wait for what it makes.
    const lock = join(folder, "installing");
    try {
      mkdirSync(lock);
    } catch {
      return await waitFor(cached, lock);
    }
    try {
      const env = { ...process.env, GOBIN: folder, GOFLAGS: "-buildvcs=false" };
      await run("go", ["install", "-ldflags=-s -w", `github.com/open-policy-agent/opa@${version}`], {
        env,
        timeout: 300_000,
      });
    } finally {
      rmSync(lock, { recursive: true, force: true });
    }
    return isThere(cached) ? cached : undefined;
  } catch {
    return undefined;
  }
}

async function waitFor(file: string, lock: string): Promise<string | undefined> {
  for (let waitedMs = 0; waitedMs < 300_000 && existsSync(lock); waitedMs += 500) {
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
