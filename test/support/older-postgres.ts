// PostgreSQL of an older major version, where this machine has one: Debian's packages, /usr/local, PATH.
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { delimiter, join } from "node:path";

/** The folder with `initdb` and `postgres` of that major version; undefined where there is none. */
export function olderPostgres(major: number): string | undefined {
  const folders = [
    `/usr/lib/postgresql/${major}/bin`,
    "/usr/local/bin",
    ...(process.env.PATH ?? "").split(delimiter).filter((folder) => folder !== ""),
  ];
  return folders.find((folder) => {
    if (!existsSync(join(folder, "initdb")) || !existsSync(join(folder, "postgres"))) return false;
    const { stdout } = spawnSync(join(folder, "postgres"), ["--version"], { encoding: "utf8" });
    return new RegExp(`\\) ${major}\\.`).test(stdout ?? "");
  });
}
