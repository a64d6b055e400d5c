// node test/regression/run.ts [--files a,b] [--source FOLDER] [--out FILE]: PostgreSQL's own regression SQL by psql, direct and
// through the gateway with a policy that allows everything. What the gateway refuses by name is left out on both sides; the rest
// must be printed alike. `--out` gets every result with its differences as JSON lines.
import { appendFileSync, writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { type FileResult, runFile } from "./run-file.ts";
import { RegressionServer } from "./servers.ts";
import { defaultSource, hasSource, howToGetIt, scheduleOf, setupFiles } from "./source.ts";

const { values } = parseArgs({
  options: { files: { type: "string" }, source: { type: "string", default: defaultSource }, out: { type: "string" } },
});
const { source, out } = values;
if (!hasSource(source)) {
  console.error(howToGetIt);
  process.exit(2);
}
const names = values.files?.split(",") ?? scheduleOf(source);

const label: Readonly<Record<FileResult["verdict"], string>> = {
  equal: "equal",
  "equal-but-positions": "equal but for error positions",
  unstable: "direct differs from itself as much",
  differs: "differs",
  timeout: "not finished in time",
};

const counts = new Map<string, number>();
const codes = new Map<string, number>();
const servers: RegressionServer[] = [];
if (out !== undefined) writeFileSync(out, "");
try {
  for (let i = 0; i < 2; i += 1) servers.push(await RegressionServer.start());
  const [direct, gated] = servers;
  if (!direct || !gated) throw new Error("two servers were started");
  for (const server of servers) await server.makeTemplates(source, setupFiles);
  for (const name of names) {
    const result = await runFile(name, source, direct, gated).catch((error: unknown) => {
      console.log(`${name}; not run to its end: ${error instanceof Error ? error.message : "?"}`);
    });
    if (result === undefined) {
      counts.set("not run to its end", (counts.get("not run to its end") ?? 0) + 1);
      for (const server of servers) await server.whenUp();
      continue;
    }
    const verdict = `${label[result.verdict]}${result.statementsCut > 0 ? ", without what is refused" : ""}`;
    counts.set(verdict, (counts.get(verdict) ?? 0) + 1);
    for (const [code, n] of Object.entries(result.refused)) codes.set(code, (codes.get(code) ?? 0) + n);
    const refused = Object.entries(result.refused).map(([code, n]) => `${n} × ${code}`);
    console.log(
      [name, verdict, ...(result.hunks.length > 0 ? [`${result.hunks.length} differences`] : []), ...refused].join(
        "; ",
      ),
    );
    if (out !== undefined) appendFileSync(out, `${JSON.stringify(result)}\n`);
  }
} finally {
  await Promise.all(servers.map((server) => server.stop()));
}
console.log("");
for (const [verdict, n] of counts) console.log(`${n} files: ${verdict}`);
for (const [code, n] of [...codes].sort(([, a], [, b]) => b - a)) console.log(`${n} × ${code}`);
process.exit(0);
