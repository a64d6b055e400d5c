import assert from "node:assert/strict";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, test } from "node:test";
import type { PolicySet } from "../../engine/model/policy.ts";
import { GatewayError } from "../../proxy/errors.ts";
import { silentLog } from "../../proxy/log.ts";
import { holdPolicies } from "../../proxy/policy-holder.ts";
import { type BundleFiles, folderSource } from "../../proxy/policy-source.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";

/** Stands for the language: the bundle's hash is its files' text, and `broken` doesn't compile. */
async function compile(files: BundleFiles) {
  const text = [...files].map(([path, content]) => `${path}=${content}`).join(";");
  if (text.includes("crash")) throw new RangeError("a bug");
  if (text.includes("broken")) return { ok: false as const, error: "a.policy:1:1: nothing of that name" };
  const value: PolicySet = {
    hash: text,
    revision: "",
    packages: [],
    decide: () => ({
      effect: "deny",
      causes: [{ kind: "uncovered", access: "-", message: "no" }],
      rules: [],
      alerts: [],
      shadow: [],
    }),
    needs: { estimatedRows: false, parameters: false, body: false },
    tags: () => undefined,
    counters: [],
  };
  return { ok: true as const, value };
}

async function held(folder: string) {
  const events: string[] = [];
  const holder = await holdPolicies({
    source: folderSource(folder, silentLog),
    compile,
    clock: { nowMs: () => 1 },
    log: silentLog,
    onChange: (event) => events.push(`${event.state} ${event.hash}${event.message ? ` ${event.message}` : ""}`),
  });
  after(() => holder.close());
  return { holder, events };
}

async function until(condition: () => boolean): Promise<void> {
  for (let i = 0; i < 1_500 && !condition(); i += 1) await new Promise((resolve) => setTimeout(resolve, 20));
  assert.ok(condition());
}

test("a change in the folder, or below it, is loaded by itself", async () => {
  const folder = temporaryFolder();
  mkdirSync(join(folder, "data"));
  writeFileSync(join(folder, "a.policy"), "one");
  writeFileSync(join(folder, "notes.txt"), "not part of it");
  const { holder, events } = await held(folder);
  writeFileSync(join(folder, "a.policy"), "two");
  await until(() => holder.current().hash === "a.policy=two");
  writeFileSync(join(folder, "data", "d.json"), "{}");
  await until(() => holder.current().hash === "a.policy=two;data/d.json={}");
  assert.deepEqual(events, ["loaded a.policy=one", "loaded a.policy=two", "loaded a.policy=two;data/d.json={}"]);
});

test("a broken edit keeps the old policies, says so once, and is forgotten when it is mended", async () => {
  const folder = temporaryFolder();
  writeFileSync(join(folder, "a.policy"), "one");
  const { holder, events } = await held(folder);
  writeFileSync(join(folder, "a.policy"), "broken");
  await holder.reload();
  await holder.reload();
  assert.equal(holder.current().hash, "a.policy=one");
  assert.deepEqual(holder.status(), {
    hash: "a.policy=one",
    revision: "",
    source: folder,
    loadedAtMs: 1,
    rejected: { atMs: 1, message: "a.policy:1:1: nothing of that name" },
  });
  writeFileSync(join(folder, "a.policy"), "two");
  assert.deepEqual(await holder.reload(), {
    hash: "a.policy=two",
    revision: "",
    source: folder,
    loadedAtMs: 1,
    rejected: undefined,
  });
  assert.deepEqual(events, [
    "loaded a.policy=one",
    "rejected a.policy=one a.policy:1:1: nothing of that name",
    "loaded a.policy=two",
  ]);
});

test("an edit that breaks the compiler itself is turned away like any other", async () => {
  const folder = temporaryFolder();
  writeFileSync(join(folder, "a.policy"), "one");
  const { holder } = await held(folder);
  writeFileSync(join(folder, "a.policy"), "crash");
  assert.equal((await holder.reload()).rejected?.message, "the policies can't be compiled: RangeError");
  assert.equal(holder.current().hash, "a.policy=one");
});

test("a folder that goes away keeps the old policies too", async () => {
  const folder = join(temporaryFolder(), "policies");
  mkdirSync(folder);
  writeFileSync(join(folder, "a.policy"), "one");
  const { holder } = await held(folder);
  rmSync(folder, { recursive: true });
  const status = await holder.reload();
  assert.equal(status.rejected?.message, `\`${folder}\` can't be read: ENOENT`);
  assert.equal(holder.current().hash, "a.policy=one");
});

test("policies that don't compile stop a start, with every place named", async () => {
  const folder = temporaryFolder();
  writeFileSync(join(folder, "a.policy"), "broken");
  await assert.rejects(held(folder), (error) => {
    assert.ok(error instanceof GatewayError);
    assert.deepEqual(
      [error.code, error.message.split("\n")[1]],
      ["policy-rejected", "a.policy:1:1: nothing of that name"],
    );
    return true;
  });
});
