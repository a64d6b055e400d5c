// a question from the command line -> requests, by the same road as a test's `given`
import type { Checked } from "../dsl/checked.ts";
import type { Diagnostic } from "../dsl/diagnostic.ts";
import { type Prepared, prepare } from "../dsl/testing/given.ts";
import { GatewayError } from "../proxy/errors.ts";
import { type BundleFolder, compile } from "./read-bundle.ts";
import { snapshotAnalyzer } from "./snapshot-analyzer.ts";

/** What is asked for. `name` and `record` are texts of the policy language: `"/v1/orders"`, `{ body: { amount: 5 } }`. */
export type Action =
  | { readonly kind: "sql"; readonly text: string }
  | {
      readonly kind: "http" | "mcp" | "llm";
      /** The method, or what is named: `tool`, `resource`, `prompt`, `model`. */
      readonly word: string;
      readonly name: string;
      readonly record: string | undefined;
    };

export type Question = {
  /** A record in the policy language, or the name of a fixture. */
  readonly as: string;
  readonly action: Action;
  readonly at: string | undefined;
  /** More givens, without the word: `time { hour: 3 }`, `counter pii_reads = 9`. */
  readonly given: readonly string[];
};

export type Asked =
  | { readonly ok: true; readonly bundle: BundleFolder; readonly checked: Checked; readonly prepared: Prepared }
  /** The bundle, or (under the path `questionPath`) the question itself is wrong. */
  | { readonly ok: false; readonly diagnostics: readonly Diagnostic[]; readonly bundle: BundleFolder };

export const questionPath = "(your question)";

/** @throws GatewayError `config-invalid` when the connection is not clear */
export function askBundle(bundle: BundleFolder, question: Question): Asked {
  const all = askAll(bundle, [question]);
  if (!all.ok) return all;
  const [prepared] = all.prepared;
  return prepared === undefined
    ? { ok: false, diagnostics: [], bundle }
    : { ok: true, bundle, checked: all.checked, prepared };
}

export type AskedAll =
  | { readonly ok: true; readonly checked: Checked; readonly prepared: readonly Prepared[] }
  | Extract<Asked, { readonly ok: false }>;

/** Many questions for the price of two compilations. `prepared` is in the order of the questions. */
export function askAll(bundle: BundleFolder, questions: readonly Question[]): AskedAll {
  const whole = compile(bundle);
  const errors = whole.diagnostics.filter((d) => d.severity === "error");
  if (errors.length > 0) return { ok: false, diagnostics: errors, bundle };
  const byPackage = new Map<string, string[]>();
  questions.forEach((question, i) => {
    const name = packageOf(whole.checked, question.as);
    const at = question.at ?? onlyConnection(bundle, whole.checked, question.action);
    byPackage.set(name, [...(byPackage.get(name) ?? [`package ${name}`]), testOf(question, i, at)]);
  });
  const texts = [...byPackage.values()].map((lines, i) => [questionFile(i), lines.join("\n")] as const);
  const asked = { ...bundle, files: new Map([...bundle.files, ...texts]) };
  const { checked, diagnostics } = compile(asked);
  const mistakes = diagnostics.filter((d) => d.severity === "error");
  if (mistakes.length > 0) return { ok: false, diagnostics: mistakes, bundle: asked };
  const analyzeSql = snapshotAnalyzer(checked.catalogs);
  const prepared = new Map<string, Prepared>();
  for (const test of checked.tests) {
    const [row] = test.rows;
    if (row && texts.some(([path]) => path === test.path)) {
      prepared.set(test.title, prepare(checked, row.givens, analyzeSql));
    }
  }
  return { ok: true, checked, prepared: questions.flatMap((_, i) => prepared.get(String(i)) ?? []) };
}

const questionFile = (i: number): string => `${questionPath}${i === 0 ? "" : ` ${i}`}.policy`;

const testOf = (question: Question, i: number, at: string): string =>
  [
    `test "${i}" {`,
    `  given identity ${question.as}`,
    ...question.given.map((given) => `  given ${given}`),
    `  given ${givenOf(question.action, JSON.stringify(at))}`,
    "  expect allow",
    "}",
    "",
  ].join("\n");

const givenOf = (action: Action, at: string): string =>
  action.kind === "sql"
    ? `sql ${rawText(action.text)} at ${at}`
    : `${action.kind} ${action.word} ${action.name} at ${at} ${action.record ?? ""}`;

/** The package that has the fixture, else the first one that takes part. */
function packageOf(checked: Checked, as: string): string {
  for (const file of checked.files.values()) {
    const has = file.decls.some((decl) => decl.kind === "fixture" && decl.name.text === as);
    if (has && file.package) return file.package.parts.map((part) => part.text).join(".");
  }
  return checked.packages[0] ?? "";
}

/** The connection of the bundle's catalog; catalogs of bundles inside of it don't count. */
function onlyConnection(bundle: BundleFolder, checked: Checked, action: Action): string {
  if (action.kind !== "sql") {
    throw new GatewayError(
      "config-invalid",
      "which connection?",
      `say with --at where the ${action.kind} request goes`,
    );
  }
  const own = [...checked.files].filter(([path]) => !bundle.inner.some((folder) => path.startsWith(folder)));
  const names = new Set(
    own.flatMap(([, file]) => file.decls.flatMap((decl) => (decl.kind === "catalog" ? [decl.connection.raw] : []))),
  );
  const [only, second] = names;
  if (only !== undefined && second === undefined) return only;
  const list = [...names].map((name) => `\`${name}\``).join(", ");
  throw new GatewayError("config-invalid", "which connection?", `say it with --at${list === "" ? "" : `: ${list}`}`);
}

/** A raw string takes everything but its own mark. */
const rawText = (sql: string): string =>
  sql.includes("`") ? JSON.stringify(sql).replaceAll("{", "\\{") : `\`${sql}\``;
