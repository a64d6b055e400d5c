// Workers start together and open the same files: none of them may find one locked.
import assert from "node:assert/strict";
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { statSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { test } from "node:test";
import { openSqlite } from "../../proxy/sqlite.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";

const told = async (child: ChildProcess): Promise<unknown> => (await once(child, "message"))[0];

test("processes that make and open the same files at the same time all get them", async () => {
  const folder = temporaryFolder();
  const files = Array.from({ length: 60 }, (_, i) => join(folder, `${i}.sqlite`));
  const openers = Array.from({ length: 3 }, () => fork("test/proxy/sqlite-opener.ts", files));
  await Promise.all(openers.map(told));
  const failures = openers.map(told);
  for (const opener of openers) opener.send("go");
  assert.deepEqual(await Promise.all(failures), [[], [], []]);
  for (const file of files) {
    const database = new DatabaseSync(file);
    assert.deepEqual({ ...database.prepare("SELECT count(*) AS n FROM t").get() }, { n: 3 });
    database.close();
  }
});

test("a file is made with its folder, and is for its owner and group only", () => {
  const file = join(temporaryFolder(), "a", "b.sqlite");
  openSqlite(file, { synchronous: "OFF", schema: "", busyTimeoutMs: 0 }).close();
  assert.equal(statSync(file).mode & 0o007, 0);
});

test("a file that another holds for too long is told as locked", () => {
  const file = join(temporaryFolder(), "held.sqlite");
  const holder = new DatabaseSync(file);
  holder.exec("BEGIN EXCLUSIVE");
  assert.throws(() => openSqlite(file, { synchronous: "OFF", schema: "", busyTimeoutMs: 0, openMs: 50 }), {
    code: "ERR_SQLITE_ERROR",
    message: "database is locked",
  });
  holder.close();
});
