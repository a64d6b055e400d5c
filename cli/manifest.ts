// manifest.yaml -> what it says of a bundle
import { isMap, isNode, isScalar, isSeq, LineCounter, parseDocument, type YAMLMap } from "yaml";
import type { Severity } from "../dsl/diagnostic.ts";
import { type LintConfig, lintRules, unknownLintRules } from "../dsl/lint/lint.ts";
import { suggest } from "../dsl/suggest.ts";
import { err, ok, type Result } from "../engine/lib/result.ts";

/** The name that makes a folder a bundle; a bundle may lie inside another one, which then leaves its tests alone. */
export const manifestName = "manifest.yaml";

export type Manifest = {
  /** Named in decisions and records. */
  readonly revision: string;
  /** IANA name; undefined: the one of gw.yaml, else UTC. */
  readonly timeZone: string | undefined;
  /** Packages whose rules take part; undefined: all. */
  readonly packages: readonly string[] | undefined;
  /**
   * A library: bundles choose among its packages, so each package's tests run with that package and these only.
   * undefined: tests run with every package that takes part.
   */
  readonly testsWith: readonly string[] | undefined;
  /** Rule of the linter → what becomes of its findings. */
  readonly lint: LintConfig;
};

export const noManifest: Manifest = {
  revision: "unversioned",
  timeZone: undefined,
  packages: undefined,
  testsWith: undefined,
  lint: {},
};

const severities = ["error", "warning", "off"] as const;

const keys = ["revision", "time_zone", "packages", "tests_with", "lint"] as const;

/** The error is one line per mistake: `path:line:column: what`. */
export function parseManifest(text: string, path: string): Result<Manifest, string> {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, uniqueKeys: true, strict: true });
  const mistakes: string[] = [];
  const complain = (at: unknown, message: string): undefined => {
    const offset = typeof at === "number" ? at : isNode(at) ? (at.range?.[0] ?? 0) : 0;
    const { line, col } = lines.linePos(offset);
    mistakes.push(`${path}:${line}:${col}: ${message}`);
    return undefined;
  };
  for (const error of document.errors) complain(error.pos[0], error.message.split("\n")[0] ?? "not YAML");
  const root = document.contents;
  if (document.errors.length > 0) return err(mistakes.join("\n"));
  if (root === null) return ok(noManifest);
  if (!isMap(root)) return err(`${path}:1:1: a manifest is a list of \`key: value\``);

  for (const { key } of root.items) {
    if (!isScalar(key) || !keys.some((known) => known === key.value)) {
      complain(
        key,
        `\`${isScalar(key) ? String(key.value) : "?"}\` is not a key of a manifest: it has ${keys.join(", ")}`,
      );
    }
  }
  const textAt = (name: (typeof keys)[number]): string | undefined => {
    const node = nodeAt(root, name);
    if (node === undefined) return undefined;
    return isScalar(node) && typeof node.value === "string" ? node.value : complain(node, `\`${name}\` is a text`);
  };
  const namesAt = (name: (typeof keys)[number]): readonly string[] | undefined => {
    const node = nodeAt(root, name);
    if (node === undefined) return undefined;
    const items = isSeq(node) ? node.items.map((item) => (isScalar(item) ? item.value : undefined)) : [undefined];
    const names = items.filter((item): item is string => typeof item === "string" && /^\w+(\.\w+)*$/.test(item));
    return names.length === items.length ? names : complain(node, `\`${name}\` is a list of package names`);
  };
  const lintAt = (): LintConfig => {
    const node = nodeAt(root, "lint");
    if (node === undefined) return {};
    if (!isMap(node)) return complain(node, "`lint` is a list of `rule: severity`") ?? {};
    const config: Record<string, Severity | "off"> = {};
    for (const { key, value } of node.items) {
      const name = isScalar(key) ? String(key.value) : "?";
      const wanted = isScalar(value) ? value.value : undefined;
      const severity = severities.find((s) => s === wanted);
      if (unknownLintRules({ [name]: "off" }).length > 0) {
        const near = suggest(
          name,
          lintRules.map((rule) => rule.name),
        );
        complain(key, `there is no lint rule \`${name}\`${near === undefined ? "" : `, did you mean \`${near}\`?`}`);
      } else if (severity === undefined) complain(value, `\`${name}\` is error, warning or off`);
      else config[name] = severity;
    }
    return config;
  };
  const timeZone = textAt("time_zone");
  if (timeZone !== undefined && !isTimeZone(timeZone)) {
    complain(nodeAt(root, "time_zone"), `\`${timeZone}\` isn't a time zone: write one like \`Europe/Berlin\``);
  }
  const manifest: Manifest = {
    revision: textAt("revision") ?? noManifest.revision,
    timeZone,
    packages: namesAt("packages"),
    testsWith: namesAt("tests_with"),
    lint: lintAt(),
  };
  return mistakes.length > 0 ? err(mistakes.join("\n")) : ok(manifest);
}

const nodeAt = (root: YAMLMap, name: string): unknown =>
  root.items.find(({ key }) => isScalar(key) && key.value === name)?.value ?? undefined;

function isTimeZone(name: string): boolean {
  try {
    return new Intl.DateTimeFormat("en", { timeZone: name }).resolvedOptions().timeZone !== "";
  } catch {
    return false;
  }
}
