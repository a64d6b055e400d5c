// psycopg 3 and asyncpg through the gateway; skipped, aloud, where pip can't get them. `npm run test:drivers` has them all.
import assert from "node:assert/strict";
import { test } from "node:test";
import { run, startTestGateway } from "../support/gateway.ts";
import { policy, python, schema } from "./suites.ts";

const prepared = python.prepare();
if ("skip" in prepared) console.error(`SKIPPED ${python.name}: ${prepared.skip}`);

test(`${python.name}: TLS modes, prepared statements, pipelines, COPY, cancel, LISTEN, large values, errors`, {
  skip: "skip" in prepared ? prepared.skip : false,
}, async () => {
  if ("skip" in prepared) return;
  const gw = await startTestGateway({ schema, policy });
  const [program = "", ...args] = prepared.command;
  const { out, err, code } = await run(program, args, {
    // The full size is for `npm run test:drivers`.
    GW_LARGE_BYTES: "3000000",
    PGHOST: "127.0.0.1",
    PGPORT: String(gw.port),
    PGUSER: "driver",
    PGDATABASE: gw.database.database,
    PGPASSWORD: await gw.issuer.issue({ sub: "driver", kind: "service", groups: [] }),
  });
  assert.deepEqual(
    out.split("\n").filter((line) => line.startsWith("not ok")),
    [],
  );
  assert.equal(code, 0, err);
});
