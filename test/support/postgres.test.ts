import assert from "node:assert/strict";
import { test } from "node:test";
import { testDatabase, withClient } from "./postgres.ts";

test("a test gets a real PostgreSQL database of its own", async () => {
  const database = await testDatabase("create table t (id int); insert into t values (7)");
  assert.deepEqual(await withClient(database, async (c) => (await c.query("select id from t")).rows), [{ id: 7 }]);
});
