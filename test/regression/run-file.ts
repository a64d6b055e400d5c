// one file -> how its output through the gateway compares with the direct one
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Hunk, hunksOf, refusedLines, withoutPositions } from "./compare.ts";
import { cutLines } from "./cut.ts";
import { startRegressionGateway } from "./gateway.ts";
import { runPsql } from "./psql.ts";
import { databaseName, type RegressionServer } from "./servers.ts";
import { setupFiles } from "./source.ts";

export type FileResult = {
  readonly name: string;
  /** How many statements the gateway refused, by the code of the cause. They are left out of both sides then. */
  readonly refused: Readonly<Record<string, number>>;
  readonly refusedMessages: Readonly<Record<string, number>>;
  readonly statementsCut: number;
  readonly verdict: "equal" | "equal-but-positions" | "unstable" | "differs" | "timeout";
  readonly hunks: readonly Hunk[];
};

/** Statements that are refused only once others are left out (in a transaction that went on) are left out in turn. */
const roundsMax = 4;

export async function runFile(
  name: string,
  source: string,
  direct: RegressionServer,
  gated: RegressionServer,
): Promise<FileResult> {
  const folder = mkdtempSync(join(tmpdir(), "gw-regression-"));
  const file = join(folder, `${name}.sql`);
  const refused: Record<string, number> = {};
  const refusedMessages: Record<string, number> = {};
  let script = readFileSync(join(source, "sql", `${name}.sql`), "latin1");
  let statementsCut = 0;
  const end = (verdict: FileResult["verdict"], hunks: readonly Hunk[] = []): FileResult => ({
    name,
    refused,
    refusedMessages,
    statementsCut,
    verdict,
    hunks,
  });
  try {
    for (let round = 1; ; round += 1) {
      writeFileSync(file, script, "latin1");
      const through = await runThrough(name, source, file, gated);
      if (through.isTimedOut) return end("timeout");
      const lines = refusedLines(through.output, new Set(through.causes.map((c) => c.message)));
      const next = cutLines(script, lines);
      if (next.cut > 0 && round < roundsMax) {
        for (const { code, message } of through.causes) {
          refused[code] = (refused[code] ?? 0) + 1;
          const kind = code === "function-not-allowed" ? message : message.replace(/`[^`]*`|"[^"]*"/g, "…");
          refusedMessages[kind] = (refusedMessages[kind] ?? 0) + 1;
        }
        statementsCut += next.cut;
        script = next.script;
        continue;
      }
      await fresh(name, direct);
      const plain = await runPsql(direct.target(), source, file);
      await direct.dropLeftovers();
      if (plain.isTimedOut) return end("timeout");
      if (plain.output === through.output) return end("equal");
      const [a, b] = [withoutPositions(plain.output), withoutPositions(through.output)];
      if (a === b) return end("equal-but-positions");
      const hunks = hunksOf(a, b);
      await fresh(name, direct);
      const again = withoutPositions((await runPsql(direct.target(), source, file)).output);
      await direct.dropLeftovers();
      // Times, random values: the server doesn't agree with itself in these lines either.
      return hunksOf(a, again).length >= hunks.length ? end("unstable", hunks) : end("differs", hunks);
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const fresh = (name: string, server: RegressionServer): Promise<void> =>
  server.makeDatabase(databaseName, setupFiles.some((setup) => setup === name) ? "base" : '"full"');

type Cause = { readonly code: string; readonly message: string };

async function runThrough(
  name: string,
  source: string,
  file: string,
  server: RegressionServer,
): Promise<{ readonly output: string; readonly isTimedOut: boolean; readonly causes: readonly Cause[] }> {
  await fresh(name, server);
  const gateway = await startRegressionGateway(server.target());
  const run = await runPsql(gateway.target, source, file);
  const refusals = await gateway.stop();
  await server.dropLeftovers();
  return { ...run, causes: refusals.map(({ causes }) => causeOf(causes[0])) };
}

function causeOf(cause: unknown): Cause {
  const fields: Readonly<Record<string, unknown>> = typeof cause === "object" && cause !== null ? { ...cause } : {};
  const text = (value: unknown): string => (typeof value === "string" ? value : "");
  return { code: text(fields.code) || text(fields.kind) || "?", message: text(fields.message) };
}
