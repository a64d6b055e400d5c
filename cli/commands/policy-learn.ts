// gw policy learn: what was used -> a policy that allows just that
import { existsSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { type Command, InvalidArgumentError } from "commander";
import { decodeApiCatalog } from "../../dsl/check/api-catalog.ts";
import { parsePolicy } from "../../dsl/parser.ts";
import { matchRoute } from "../../dsl/route.ts";
import type { Catalog } from "../../engine/model/catalog.ts";
import { decodeCatalogSnapshot } from "../../engine/model/catalog-snapshot.ts";
import { readPolicyFolder } from "../../proxy/config.ts";
import { GatewayError } from "../../proxy/errors.ts";
import { readAllEvents } from "../../proxy/recording/chains.ts";
import { bundleAt } from "../bundle-at.ts";
import { type ExitCode, exitCodes } from "../exit-codes.ts";
import { type Learned, learnPolicy } from "../learn/learn-policy.ts";
import { isPatternSafe } from "../learn/text.ts";
import type { CommandContext } from "../main.ts";
import { type BundleFolder, readBundle } from "../read-bundle.ts";
import { readBytes } from "../read-bytes.ts";
import { recordingFolder } from "../recording-folder.ts";
import { permitsMore } from "../replay-policies.ts";
import type { Terminal } from "../terminal.ts";
import { moment } from "./moment.ts";

type Flags = {
  readonly from?: number;
  readonly until?: number;
  readonly connection?: readonly string[];
  readonly config: string;
  readonly recording?: string;
  readonly bundle?: string;
  readonly catalog?: readonly (readonly [connection: string, path: string])[];
  readonly package: string;
  readonly out?: string;
};

export function addLearn(policy: Command, { terminal, exit }: CommandContext): void {
  policy
    .command("learn")
    .description("propose a policy that allows what was recorded as allowed, and nothing else")
    .option("--from <when>", "how far back: `7d`, `12h`, or a date such as 2026-11-01", moment)
    .option("--until <when>", "up to when", moment)
    .option("--connection <name...>", "what was done at these connections only")
    .option("-c, --config <file>", "the configuration that names the recording and the policies", "gw.yaml")
    .option("-r, --recording <folder>", "the recording itself")
    .option("-b, --bundle <path>", "the policies of now: their catalogs are used, and their other rules stay beside")
    .option("--catalog <name=file...>", "the catalog of a connection, as `gw catalog pull` writes it", catalogFlag, [])
    .option("--package <name>", "name of its package", "learned")
    .option("-o, --out <file>", "where to write it, its catalogs beside it; left out: the policy is printed")
    .action(async (flags: Flags) => exit(await policyLearn(terminal, flags)));
}

/** @throws GatewayError for files that can't be read, or would be overwritten */
export async function policyLearn(terminal: Terminal, flags: Flags): Promise<ExitCode> {
  const { out } = flags;
  if (out !== undefined && !out.endsWith(".policy"))
    throw new GatewayError("config-invalid", `\`${out}\` is no policy's name`, "name a file such as learned.policy");
  if (!/^[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*$/.test(flags.package))
    throw new GatewayError(
      "config-invalid",
      `\`${flags.package}\` is no package's name`,
      "write it like `acme.learned`",
    );
  const recording = await recordingFolder(flags);
  const now = await policiesOfNow(flags);
  const base = out === undefined ? "learned" : basename(out, ".policy");
  const sources = [
    ...catalogsIn(now),
    ...(flags.catalog ?? []).map(([name, path]) => [name, readBytes(path).toString("utf8")] as const),
  ];
  const catalogs = new Map<string, Catalog>();
  const apis = new Map<string, NonNullable<ReturnType<typeof decodeApiCatalog>>>();
  const files = new Map<string, string>();
  const catalogPaths: { readonly connection: string; readonly path: string }[] = [];
  for (const [connection, text] of new Map(sources)) {
    if (!isPatternSafe(connection) || flags.connection?.includes(connection) === false) continue;
    const api = decodeApiCatalog(text);
    const snapshot = api === undefined ? decodeCatalogSnapshot(text) : undefined;
    if (api !== undefined) apis.set(connection, api);
    else if (snapshot?.ok) catalogs.set(connection, snapshot.value);
    else
      throw new GatewayError(
        "config-invalid",
        `the catalog of \`${connection}\` can't be read`,
        "write it anew with `gw catalog pull`",
      );
    const path = `${base}.${connection.replace(/[^A-Za-z0-9_.-]/g, "_")}.json`;
    files.set(path, text);
    catalogPaths.push({ connection, path });
  }
  const written = out === undefined ? [] : [out, ...[...files.keys()].map((path) => join(dirname(out), path))];
  const taken = written.find((path) => existsSync(path));
  if (taken !== undefined)
    throw new GatewayError(
      "config-invalid",
      `\`${taken}\` is there already`,
      "name another file: nothing is overwritten",
    );
  const learned = await learnPolicy({
    events: () => readAllEvents(recording),
    fromMs: flags.from ?? 0,
    untilMs: flags.until ?? Number.MAX_SAFE_INTEGER,
    connections: flags.connection === undefined ? undefined : new Set(flags.connection),
    catalogs,
    documentedRoute: (connection, method, path) => {
      const api = apis.get(connection);
      const operations = api?.kind === "http" ? api.operations : [];
      return operations.find((operation) => operation.method === method && matchRoute(operation.route, path))?.route
        .text;
    },
    files,
    catalogPaths,
    path: `${base}.policy`,
    package: flags.package,
    keep: now?.files ?? new Map(),
    timeZone: now?.manifest.timeZone ?? "UTC",
  });
  if (out === undefined) terminal.out(learned.text);
  else {
    writeFileSync(out, learned.text, { flag: "wx" });
    for (const [path, text] of files) writeFileSync(join(dirname(out), path), text, { flag: "wx" });
  }
  terminal.err(summary(learned, out));
  return permitsMore(learned.replay) ? exitCodes.widened : exitCodes.ok;
}

/** Of `--bundle`, else of the configuration's folder; undefined: a recording alone is learned from. */
async function policiesOfNow(flags: Flags): Promise<BundleFolder | undefined> {
  if (flags.bundle !== undefined) return bundleAt(flags.bundle);
  if (!existsSync(flags.config)) return undefined;
  const folder = await readPolicyFolder(flags.config);
  return folder === undefined || !existsSync(folder) ? undefined : readBundle(folder);
}

/** Connection -> text of its catalog, as the policies name them. */
function catalogsIn(bundle: BundleFolder | undefined): readonly (readonly [string, string])[] {
  return [...(bundle?.files ?? [])].flatMap(([path, text]) =>
    path.endsWith(".policy")
      ? parsePolicy(path, text).file.decls.flatMap((decl) => {
          if (decl.kind !== "catalog") return [];
          const found = bundle?.files.get(join(dirname(path), decl.from.raw).replaceAll("\\", "/"));
          return found === undefined ? [] : [[decl.connection.raw, found] as const];
        })
      : [],
  );
}

function summary({ rules, tests, observed, replay }: Learned, out: string | undefined): string {
  const { learned, denied, held, notUnderstood, changed, unnamed } = observed;
  const of = (kind: string): number =>
    replay.differences.filter((d) => d.kind === kind).reduce((sum, { count }) => sum + count, 0);
  const lines = [
    `${out ?? "the policy"}: ${rules} rules and ${tests} tests from ${learned} allowed requests; all tests pass`,
    `not learned: ${denied} denied, ${held} held for approval`,
    ...(notUnderstood > 0
      ? [`not learned: ${notUnderstood} allowed that are sealed, cut, or not in a catalog (\`--catalog NAME=FILE\`)`]
      : []),
    ...(changed > 0 ? [`not learned: ${changed} allowed whose tables have changed since`] : []),
    ...(unnamed > 0 ? [`not learned: ${unnamed} allowed that a rule has no words for`] : []),
    `over the same recording: ${replay.alike} decided alike, ${of("refused")} would be refused, ${of("permitted")} that were denied or held would pass, ${of("revealed")} would show more`,
  ];
  return lines.map((line) => `${line}\n`).join("");
}

function catalogFlag(
  text: string,
  known: readonly (readonly [string, string])[],
): readonly (readonly [string, string])[] {
  const [, name, path] = /^([^=]+)=(.+)$/.exec(text) ?? [];
  if (name === undefined || path === undefined) throw new InvalidArgumentError("write it like prod-pg=catalog.json.");
  return [...known, [name, path]];
}
