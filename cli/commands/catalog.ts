// gw catalog pull: a live database -> a snapshot that policies are checked against
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { type Command, InvalidArgumentError } from "commander";
import { isKnown } from "../../engine/lib/truth.ts";
import { limits } from "../../engine/limits.ts";
import type { Catalog } from "../../engine/model/catalog.ts";
import { decodeCatalogSnapshot, encodeCatalogSnapshot } from "../../engine/model/catalog-snapshot.ts";
import { readConfig } from "../../proxy/config.ts";
import type { UpstreamTarget } from "../../proxy/deps.ts";
import { GatewayError } from "../../proxy/errors.ts";
import { connectCatalog } from "../../proxy/postgres/catalog-connection.ts";
import { loadCatalog } from "../../proxy/postgres/catalog-loader.ts";
import { catalogChanges, keepTags, withoutSystemSchemas } from "../catalog-tags.ts";
import { type ExitCode, exitCodes } from "../exit-codes.ts";
import type { CommandContext } from "../main.ts";
import type { Terminal } from "../terminal.ts";

type Flags = {
  readonly out: string;
  readonly config?: string;
  readonly connection?: string;
  readonly check?: boolean;
};

export function register(program: Command, { terminal, exit }: CommandContext): void {
  const catalog = program.command("catalog").description("what policies know of a database");
  catalog
    .command("pull")
    .description("write a snapshot of a database's tables, columns, types and tags")
    .argument("[url]", "postgres://USER@HOST:PORT/DATABASE; the password comes from PGPASSWORD", databaseUrl)
    .requiredOption("-o, --out <file>", "the snapshot; tags that were added to it by hand are kept")
    .option("-c, --config <file>", "take the database from a connection of this configuration instead")
    .option("--connection <name>", "which connection, if the configuration has several")
    .option("--check", "write nothing; end with 1 if the snapshot is out of date")
    .action(async (url: URL | undefined, flags: Flags) => {
      exit(await pullCatalog(terminal, await targetOf(url, flags), flags));
    });
}

/** @throws GatewayError `catalog-unavailable`, `config-unreadable` */
export async function pullCatalog(
  terminal: Terminal,
  target: UpstreamTarget,
  { out, check }: Pick<Flags, "out" | "check">,
): Promise<ExitCode> {
  const earlier = readSnapshot(out);
  const live = withoutSystemSchemas(await readDatabase(target));
  const catalog = earlier ? keepTags(live, earlier.catalog) : live;
  const text = encodeCatalogSnapshot(catalog);
  if (earlier?.text === text) {
    terminal.err(`${out} is up to date\n`);
    return exitCodes.ok;
  }
  for (const change of earlier ? catalogChanges(earlier.catalog, catalog) : []) terminal.err(`${change}\n`);
  if (check) {
    terminal.err(`${out} is out of date: run \`gw catalog pull\` without --check\n`);
    return exitCodes.failed;
  }
  writeFileSync(out, text);
  terminal.err(`${out}: ${describe(catalog)}\n`);
  return exitCodes.ok;
}

export async function readDatabase(target: UpstreamTarget): Promise<Catalog> {
  const connection = await connectCatalog(target, limits.upstreamConnectTimeoutMs).catch((error: unknown) => {
    throw new GatewayError(
      "catalog-unavailable",
      `the catalog of ${target.host}:${target.port}/${target.database} can't be read: ${error instanceof Error ? error.message : String(error)}`,
      "check the address and the user; the password is read from PGPASSWORD",
    );
  });
  try {
    const { catalog } = await loadCatalog(async (sql) => (await connection.query(sql)).map(([data]) => ({ data })));
    return catalog;
  } finally {
    await connection.close();
  }
}

async function targetOf(url: URL | undefined, flags: Flags): Promise<UpstreamTarget> {
  if (url !== undefined) return targetOfUrl(url);
  if (flags.config === undefined) {
    throw new GatewayError(
      "config-invalid",
      "which database?",
      "name it: `gw catalog pull postgres://USER@HOST/DATABASE --out FILE`, or `--config gw.yaml`",
    );
  }
  const { connections } = await readConfig(flags.config, process.env);
  const names = connections.map((c) => `\`${c.name}\``).join(", ");
  const found = connections.filter((c) => flags.connection === undefined || c.name === flags.connection);
  const [only, second] = found;
  if (only && !second) return only.upstream;
  throw new GatewayError(
    "config-invalid",
    only ? "the configuration has several connections" : `there is no connection \`${flags.connection ?? ""}\``,
    `say which with --connection: ${names}`,
  );
}

/** @throws GatewayError for an unknown `sslmode` */
export function targetOfUrl(url: URL, otherwise = "prefer"): UpstreamTarget {
  const mode = url.searchParams.get("sslmode") ?? otherwise;
  const modes = ["disable", "prefer", "require", "verify-ca", "verify-full"] as const;
  const known = modes.find((m) => m === mode);
  if (!known)
    throw new GatewayError("config-invalid", `\`${mode}\` is not an sslmode`, `use one of ${modes.join(", ")}`);
  return {
    host: url.hostname.replace(/^\[|\]$/g, ""),
    port: Number(url.port || 5432),
    database: decodeURIComponent(url.pathname.slice(1)) || decodeURIComponent(url.username),
    user: decodeURIComponent(url.username),
    password: async () => (url.password === "" ? (process.env.PGPASSWORD ?? "") : decodeURIComponent(url.password)),
    tls: { mode: known, ca: undefined },
  };
}

function databaseUrl(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url?.protocol === "postgres:" || url?.protocol === "postgresql:") return url;
  throw new InvalidArgumentError("write it like postgres://USER@HOST:5432/DATABASE");
}

function readSnapshot(path: string): { readonly text: string; readonly catalog: Catalog } | undefined {
  if (!existsSync(path)) return undefined;
  const text = readFileSync(path, "utf8");
  const decoded = decodeCatalogSnapshot(text);
  if (decoded.ok) return { text, catalog: decoded.value };
  throw new GatewayError(
    "config-unreadable",
    `\`${path}\` is not a catalog snapshot: ${decoded.error.path} ${decoded.error.message}`,
    "mend it, so that its tags aren't lost; or remove it",
  );
}

function describe(catalog: Catalog): string {
  const relations = [...catalog.relations.values()];
  const columns = relations.flatMap((r) => r.columns);
  const tags = new Set([...relations, ...columns].flatMap((x) => (isKnown(x.tags) ? [...x.tags] : [])));
  const words = tags.size === 0 ? "no tags" : `tags ${[...tags].sort().join(", ")}`;
  return `${relations.length} relations, ${columns.length} columns, ${words}`;
}
