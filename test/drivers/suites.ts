// Drivers of other languages: how each is fetched into a cache of its own, and run. A missing tool is a reason to skip.
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";

export type Suite = {
  readonly name: string;
  /** The program and its arguments, or why it can't be run here. */
  readonly prepare: () => { readonly command: readonly string[]; readonly cwd: string } | { readonly skip: string };
};

const here = import.meta.dirname;
const cache = process.env.GW_DRIVER_CACHE ?? join(homedir(), ".cache", "gatewright-drivers");
/** Fetching from a registry: one that isn't reachable must not hold a test run up. */
const fetchTimeoutMs = 120_000;

const pythonPackages = ["psycopg[binary]==3.2.10", "asyncpg==0.30.0"];
const jdbcVersion = "42.7.4";

function ran(program: string, args: readonly string[], cwd = cache): boolean {
  mkdirSync(cwd, { recursive: true });
  return spawnSync(program, [...args], { cwd, timeout: fetchTimeoutMs, stdio: "ignore" }).status === 0;
}

export const python: Suite = {
  name: "psycopg 3 and asyncpg",
  prepare: () => {
    const venv = join(cache, "venv");
    const interpreter = join(venv, "bin", "python");
    const isThere = (): boolean => ran(interpreter, ["-c", "import psycopg, asyncpg"]);
    if (!existsSync(interpreter) && !ran("python3", ["-m", "venv", venv]))
      return { skip: "python3 with venv isn't here" };
    if (!isThere()) ran(interpreter, ["-m", "pip", "install", "-q", "--disable-pip-version-check", ...pythonPackages]);
    if (!isThere()) return { skip: "psycopg and asyncpg can't be installed: no registry for pip" };
    return { command: [interpreter, join(here, "suite.py")], cwd: here };
  },
};

export const go: Suite = {
  name: "pgx",
  prepare: () => {
    const program = join(cache, "pgx-suite");
    const cwd = join(here, "go");
    if (!ran("go", ["version"])) return { skip: "go isn't here" };
    return ran("go", ["build", "-o", program, "."], cwd) ? { command: [program], cwd } : { skip: "no Go module proxy" };
  },
};

export const java: Suite = {
  name: "pgjdbc",
  prepare: () => {
    const repository = join(cache, "maven");
    const jar = join(repository, "org/postgresql/postgresql", jdbcVersion, `postgresql-${jdbcVersion}.jar`);
    const artifact = `-Dartifact=org.postgresql:postgresql:${jdbcVersion}`;
    if (!ran("java", ["-version"])) return { skip: "java isn't here" };
    if (!existsSync(jar)) ran("mvn", ["-q", "-B", `-Dmaven.repo.local=${repository}`, "dependency:get", artifact]);
    if (!existsSync(jar)) return { skip: "pgjdbc can't be fetched: no mvn, or no registry for it" };
    return { command: ["java", "-cp", jar, join(here, "java", "Suite.java")], cwd: here };
  },
};

/** What the cases expect to find. */
export const schema = `
  create type mood as enum ('good', 'bad');
  create type pair as (a int, b text);
  create table typed (mood mood, pair pair);
  insert into typed values ('good', (1, 'one'));
`;

/** Everything is allowed: what a driver can't do here is the gateway's fault. */
export const policy = `package drivers.test

allow everybody on sql at "test-pg"
`;
