// one regression file through psql, as pg_regress runs it
import { spawn } from "node:child_process";

export type PsqlTarget = {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
  readonly database: string;
};

export type PsqlRun = { readonly output: string; readonly isTimedOut: boolean };

/**
 * What psql printed, both streams as one. By `-f` and not by stdin: errors name their line then.
 * Past `timeoutMs` psql is killed, and the output is what it had printed by then.
 */
export function runPsql(to: PsqlTarget, source: string, file: string, timeoutMs = 60_000): Promise<PsqlRun> {
  const args = ["-X", "-a", "-q", "-v", "HIDE_TABLEAM=on", "-v", "HIDE_TOAST_COMPRESSION=on", "-f", file];
  return new Promise((resolve, reject) => {
    const child = spawn("sh", ["-c", 'exec psql "$@" 2>&1', "psql", ...args], {
      stdio: ["ignore", "pipe", "ignore"],
      env: {
        PATH: process.env.PATH ?? "",
        LC_MESSAGES: "C",
        PGHOST: to.host,
        PGPORT: String(to.port),
        PGUSER: to.user,
        PGPASSWORD: to.password,
        PGDATABASE: to.database,
        PGSSLMODE: "disable",
        PGTZ: "America/Los_Angeles",
        PGDATESTYLE: "Postgres, MDY",
        PGOPTIONS: "-c intervalstyle=postgres_verbose",
        PGAPPNAME: "pg_regress",
        PG_ABS_SRCDIR: source,
        PG_ABS_BUILDDIR: source,
        PG_LIBDIR: "/nonexistent",
        PG_DLSUFFIX: ".so",
      },
    });
    const chunks: Buffer[] = [];
    let isTimedOut = false;
    const timer = setTimeout(() => {
      isTimedOut = true;
      child.kill("SIGKILL");
    }, timeoutMs);
    child.stdout.on("data", (chunk: Buffer) => chunks.push(chunk));
    child.once("error", reject);
    child.once("close", () => {
      clearTimeout(timer);
      resolve({ output: Buffer.concat(chunks).toString("latin1"), isTimedOut });
    });
  });
}
