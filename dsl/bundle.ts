// texts of a bundle -> PolicySet and diagnostics. Pure: the caller reads the files.
//
// A bundle is a folder of *.policy files (tests in *.test.policy), JSON data documents and catalog snapshots that the
// policies name relative to themselves, and an optional `manifest.yaml`, which the caller parses into the options.
import { createHash } from "node:crypto";
import { evaluate } from "../engine/evaluate.ts";
import { Unknown } from "../engine/lib/truth.ts";
import type { ConnectionCapabilities } from "../engine/model/capabilities.ts";
import type { Catalog } from "../engine/model/catalog.ts";
import type { CatalogTags, PolicyNeeds, PolicySet } from "../engine/model/policy.ts";
import type { SourceFile } from "./ast.ts";
import { checkBundle } from "./check/check.ts";
import { childrenOf } from "./check/cost.ts";
import type { Checked, Core } from "./checked.ts";
import { compileCounters } from "./compile-counters.ts";
import { compileProgram } from "./compile-program.ts";
import { type Diagnostic, sortDiagnostics } from "./diagnostic.ts";
import type { CodeChoice } from "./generate-code.ts";
import { parsePolicy } from "./parser.ts";

/** What `manifest.yaml` may say. */
export type BundleOptions = {
  readonly revision: string;
  /** IANA name; the zone of `time.hour`, `time.minute`, `time.weekday`. */
  readonly timeZone: string;
  /** Packages whose rules take part; undefined: all of the bundle. Others only lend names. */
  readonly packages?: readonly string[] | undefined;
  /**
   * Connections that it will decide about, with what their adapters can do: obligations that one of them can't honour are errors.
   * undefined: not known, nothing is checked. No part of the hash.
   */
  readonly connections?: readonly ConnectionCapabilities[] | undefined;
  /** How conditions run; both ways decide alike, so it is no part of the hash. "automatic" if left out. */
  readonly code?: CodeChoice | undefined;
};

export type Bundle = {
  /** undefined when a diagnostic is an error: a policy that does not load is never half-loaded. */
  readonly policySet: PolicySet | undefined;
  /** Complete only if no diagnostic is an error; editors use it in any case. */
  readonly checked: Checked;
  readonly diagnostics: readonly Diagnostic[];
};

export const isPolicyPath = (path: string): boolean => path.endsWith(".policy");

/** `files`: path from the bundle's folder, with `/` between folders → text. */
export function compileBundle(files: ReadonlyMap<string, string>, options: BundleOptions): Bundle {
  const parsed = [...files].filter(([path]) => isPolicyPath(path)).map(([path, text]) => parsePolicy(path, text));
  const sources: readonly SourceFile[] = parsed.map((p) => p.file);
  const result = checkBundle({
    files: sources,
    texts: files,
    packages: options.packages,
    connections: options.connections,
  });
  const diagnostics = sortDiagnostics([...parsed.flatMap((p) => p.diagnostics), ...result.diagnostics]);
  const isSound = diagnostics.every((d) => d.severity !== "error");
  return {
    policySet: isSound ? policySetOf(result.checked, hashBundle(files, options), options) : undefined,
    checked: result.checked,
    diagnostics,
  };
}

/** Over sorted paths and contents, and what else of the manifest bears on decisions. */
export function hashBundle(files: ReadonlyMap<string, string>, options: BundleOptions): string {
  const hash = createHash("sha256");
  const put = (text: string): void => void hash.update(`${Buffer.byteLength(text)}:${text}`);
  for (const [path, text] of [...files].sort(([a], [b]) => (a < b ? -1 : 1))) {
    put(path);
    put(text);
  }
  put(JSON.stringify([options.timeZone, options.packages ?? null]));
  return `sha256:${hash.digest("hex")}`;
}

export function policySetOf(checked: Checked, hash: string, options: BundleOptions): PolicySet {
  const program = compileProgram(checked, options.code);
  const tags = new Map([...checked.catalogs].map(([connection, catalog]) => [connection, tagsOf(catalog)]));
  return {
    hash,
    revision: options.revision,
    timeZone: options.timeZone,
    packages: checked.packages,
    decide: (request) => evaluate(program, request),
    needs: needsOf(checked),
    tags: (connection) => tags.get(connection),
    counters: compileCounters(checked),
    endsSession: new Set(checked.rules.flatMap((rule) => (rule.endsSession && !rule.isShadow ? [rule.id] : []))),
  };
}

function tagsOf(catalog: Catalog): CatalogTags {
  const relations: [string, { tags: ReadonlySet<string>; columns: ReadonlyMap<string, ReadonlySet<string>> }][] = [];
  for (const [key, relation] of catalog.relations) {
    if (relation.tags instanceof Unknown) continue;
    const columns = relation.columns.flatMap((c): [string, ReadonlySet<string>][] =>
      c.tags instanceof Unknown ? [] : [[c.name, c.tags]],
    );
    relations.push([key, { tags: relation.tags, columns: new Map(columns) }]);
  }
  return { relations: new Map(relations) };
}

/** All expressions that a decision may evaluate. */
export function expressionsOf(checked: Checked): readonly Core[] {
  const rules = checked.rules.flatMap((rule): Core[] => {
    const { payload } = rule;
    const extra: Core[] =
      payload.effect === "filter"
        ? [payload.where]
        : payload.effect === "limit"
          ? [payload.max, ...(payload.window ? [payload.window.by] : [])]
          : [];
    const clauses = rule.clauses.map((clause) => (clause.kind === "let" ? clause.value : clause.condition));
    return [...clauses, ...extra, ...(rule.because ? [rule.because] : [])];
  });
  const counters = checked.counters.flatMap((c) => [c.by, ...(c.of ? [c.of] : []), ...(c.when ? [c.when] : [])]);
  return [...rules, ...counters, ...checked.defaults.flatMap((d) => (d.because ? [d.because] : []))];
}

function needsOf(checked: Checked): PolicyNeeds {
  const facts = new Set<string>();
  const visit = (core: Core): void => {
    if (core.op === "fact") facts.add(`${core.root}.${core.field}`);
    for (const child of childrenOf(core)) visit(child);
  };
  for (const core of expressionsOf(checked)) visit(core);
  return {
    estimatedRows: facts.has("sql.estimated_rows"),
    parameters: facts.has("sql.parameters"),
    body: facts.has("http.body") || facts.has("mcp.args"),
  };
}
