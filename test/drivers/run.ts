// `npm run test:drivers [name]`: every driver that this machine can get, through `gw serve`, TLS on. Says what it skips.
import { spawn } from "node:child_process";
import { test } from "node:test";
import { connectTo, prepareGateway, spawnGateway } from "../support/gateway.ts";
import { go, java, policy, python, type Suite, schema } from "./suites.ts";

const wanted = process.argv[2];
const suites = [python, go, java].filter(({ name }) => wanted === undefined || name.includes(wanted));
const claims = { sub: "driver", kind: "service", groups: [] };

test("drivers", async (t) => {
  const prepared = await prepareGateway({ schema, policy, config: "workers: 2\nlog: { level: error }" });
  const { ports } = await spawnGateway(prepared.configPath);
  const port = ports["test-pg"] ?? 0;
  await (await connectTo(prepared, port, claims)).end();
  const environment = {
    PATH: process.env.PATH ?? "",
    HOME: process.env.HOME ?? "",
    PGHOST: "127.0.0.1",
    PGPORT: String(port),
    PGUSER: claims.sub,
    PGDATABASE: prepared.database.database,
    PGSSLMODE: "require",
    PGPASSWORD: await prepared.issuer.issue(claims),
  };
  for (const suite of suites) {
    await t.test(suite.name, async (t) => {
      const ready = suite.prepare();
      if ("skip" in ready) {
        console.error(`SKIPPED ${suite.name}: ${ready.skip}`);
        t.skip(ready.skip);
        return;
      }
      const code = await runToEnd(suite, ready, environment);
      if (code !== 0) throw new Error(`${suite.name} ended with ${code}`);
    });
  }
});

function runToEnd(
  _suite: Suite,
  { command, cwd }: { readonly command: readonly string[]; readonly cwd: string },
  env: Readonly<Record<string, string>>,
): Promise<number | null> {
  const [program = "", ...args] = command;
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { cwd, env, stdio: ["ignore", "inherit", "inherit"] });
    child.once("error", reject);
    child.once("exit", resolve);
  });
}
