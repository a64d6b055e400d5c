// PostgreSQL's regression SQL, as Debian's source package brings it: where it lies, and in which order its files run.
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** `src/test/regress` of PostgreSQL's source. GW_REGRESS names another place. */
export const defaultSource = process.env.GW_REGRESS ?? "/var/tmp/gw-regress/src/test/regress";

export const howToGetIt = `PostgreSQL's regression SQL isn't at ${defaultSource}: run \`sh test/regression/fetch.sh\` (Debian's source package), or set GW_REGRESS to src/test/regress of PostgreSQL 18's source`;

export const hasSource = (source: string): boolean =>
  existsSync(join(source, "parallel_schedule")) && existsSync(join(source, "sql", "test_setup.sql"));

/** Names of the tests in the schedule's order; PostgreSQL runs those of one line at the same time, here one by one. */
export const scheduleOf = (source: string): readonly string[] =>
  readFileSync(join(source, "parallel_schedule"), "utf8")
    .split("\n")
    .filter((line) => line.startsWith("test:"))
    .flatMap((line) => line.slice("test:".length).trim().split(/\s+/));

/** What later files build on, by the schedule's own comments: run straight into both servers before the others. */
export const setupFiles = ["test_setup", "create_misc", "create_table", "create_index"] as const;
