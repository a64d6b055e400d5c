// gw policy eval | explain: a request in, the decision out, and why
import { readFile } from "node:fs/promises";
import { text } from "node:stream/consumers";
import { type Command, Option } from "commander";
import { codePage } from "../../dsl/diagnostic-codes.ts";
import { type ExplainedRule, type Explanation, explainDecision } from "../../dsl/explain.ts";
import { renderDiagnostics, Sources } from "../../dsl/render-diagnostic.ts";
import { GatewayError } from "../../proxy/errors.ts";
import { type Action, type Asked, askBundle, type Question } from "../ask-bundle.ts";
import { type ExitCode, exitCodes } from "../exit-codes.ts";
import type { CommandContext } from "../main.ts";
import { type Colors, colorsOf, paletteOf } from "../palette.ts";
import { questionOf, quoted } from "../question-file.ts";
import { defaultPath, forReader, selectBundles, shownPath } from "../read-bundle.ts";
import { joinedWithRego } from "../rego-policy.ts";
import { decisionAsJson, showCause, showDecision } from "../show-decision.ts";
import type { Terminal } from "../terminal.ts";

type Flags = {
  readonly as?: string;
  readonly sql?: string;
  readonly http?: string;
  readonly mcp?: string;
  readonly llm?: string;
  readonly with?: string;
  readonly request?: string;
  readonly at?: string;
  readonly given: readonly string[];
  readonly json?: boolean;
  readonly rego?: string;
  readonly entrypoint?: string;
};

const collect = (value: string, all: readonly string[]): readonly string[] => [...all, value];

const withQuestion = (command: Command): Command =>
  command
    .option("--as <identity>", 'who asks: a fixture\'s name, or `{ sub: "bot", kind: agent, groups: ["support"] }`')
    .option("--sql <text>", "the statement")
    .option("--http <request>", "an HTTP request: `POST /v1/orders`")
    .option("--mcp <request>", "an MCP request: `tool github.create_issue`")
    .option("--llm <request>", "a request to a model: `model gpt-5`, `tool browser.open`")
    .option("--with <record>", "what such a request holds: `{ body: { amount: 5 } }`, a tool's arguments")
    .option("--request <file>", "all of it as JSON, in place of these; - reads stdin")
    .option("--rego <bundle>", "together with this Rego bundle, as in a gateway that has both")
    .option("--entrypoint <name>", "of the Rego bundle, as OPA writes it: acme/orders/decision")
    .option("--at <connection>", "where; may be left out if the bundle has one catalog")
    .addOption(
      new Option("-g, --given <given>", "what else a test could give: `time { hour: 3 }`; may be repeated")
        .argParser(collect)
        .default([], "nothing"),
    );

export function addEval(policy: Command, { terminal, exit }: CommandContext): void {
  withQuestion(policy.command("eval").description("decide one request"))
    .argument("[folder]", "the bundle; default: policies, else this folder")
    .option("--json", "as JSON")
    .action(async (folder: string | undefined, flags: Flags) => exit(await policyEval(terminal, folder, flags)));
}

export function addExplain(policy: Command, { terminal, exit }: CommandContext): void {
  withQuestion(
    policy.command("explain").description("why a request is decided as it is; or what a code such as E0204 means"),
  )
    .argument("[what]", "a bundle's folder, or a code")
    .action(async (what: string | undefined, flags: Flags) => exit(await policyExplain(terminal, what, flags)));
}

export async function policyEval(terminal: Terminal, folder: string | undefined, flags: Flags): Promise<ExitCode> {
  const asked = await ask(folder, flags);
  if (!asked.ok) return complain(terminal, asked);
  const { checked, prepared } = asked;
  if (prepared.fault) {
    terminal.out(
      flags.json
        ? `${JSON.stringify({ effect: "deny", causes: [prepared.fault] })}\n`
        : refused(prepared.fault.message, terminal),
    );
    return exitCodes.ok;
  }
  const join = joinOf(flags);
  for (const request of prepared.requests) {
    const decision = join(explainDecision(checked, request, { data: prepared.data }).decision, request);
    terminal.out(
      flags.json ? `${JSON.stringify(decisionAsJson(decision))}\n` : showDecision(decision, colorsOf(terminal)),
    );
  }
  return exitCodes.ok;
}

export async function policyExplain(terminal: Terminal, what: string | undefined, flags: Flags): Promise<ExitCode> {
  if (what !== undefined && /^[A-Z]\d{4}$/i.test(what)) {
    const page = codePage(what.toUpperCase());
    if (page === undefined)
      throw new GatewayError("config-invalid", `there is no code \`${what}\``, "docs/errors has a page for each");
    terminal.out(page);
    return exitCodes.ok;
  }
  const asked = await ask(what, flags);
  if (!asked.ok) return complain(terminal, asked);
  const { checked, prepared } = asked;
  if (prepared.fault) {
    terminal.out(refused(prepared.fault.message, terminal));
    return exitCodes.ok;
  }
  const { bundle } = asked;
  const lines = new Sources(bundle.files);
  const place = (rule: Pick<ExplainedRule, "path" | "span">) =>
    `${shownPath(bundle.root, rule.path)}:${lines.linesOf(rule.path)?.positionOf(rule.span.start).line ?? 1}`;
  const join = joinOf(flags);
  for (const request of prepared.requests) {
    const explanation = explainDecision(checked, request, { data: prepared.data });
    terminal.out(renderExplanation(explanation, colorsOf(terminal), place));
    if (flags.rego === undefined) continue;
    // WASM tells no more than its answer.
    terminal.out(
      `\ntogether with ${flags.rego}\n${showDecision(join(explanation.decision, request), colorsOf(terminal))}`,
    );
  }
  return exitCodes.ok;
}

const joinOf = ({ rego, entrypoint }: Flags): ReturnType<typeof joinedWithRego> =>
  rego === undefined ? (own) => own : joinedWithRego(rego, entrypoint);

async function ask(folder: string | undefined, flags: Flags): Promise<Asked> {
  const question = flags.request === undefined ? questionFrom(flags) : questionOf(await textOf(flags.request));
  const [selection] = await selectBundles([folder ?? defaultPath()]);
  if (!selection) throw new GatewayError("config-unreadable", "there is no bundle");
  return askBundle(selection.bundle, { ...question, at: flags.at ?? question.at });
}

function questionFrom(flags: Flags): Question {
  const { as, sql, at, given } = flags;
  const actions: readonly Action[] = [
    ...(sql === undefined ? [] : [{ kind: "sql", text: sql } as const]),
    ...(["http", "mcp", "llm"] as const).flatMap((kind) => {
      const request = flags[kind];
      return request === undefined ? [] : [wordAndName(kind, request, flags.with)];
    }),
  ];
  const [action, second] = actions;
  if (as === undefined || !action || second) {
    throw new GatewayError(
      "config-invalid",
      "who asks what?",
      "pass `--as IDENTITY` and one of `--sql`, `--http`, `--mcp`, `--llm`, or `--request FILE`",
    );
  }
  return { as, action, at, given };
}

function wordAndName(kind: "http" | "mcp" | "llm", request: string, record: string | undefined): Action {
  const [, word, name] = /^(\w+)\s+(.+)$/.exec(request.trim()) ?? [];
  if (word !== undefined && name !== undefined) return { kind, word, name: quoted(name), record };
  const example = { http: "GET /v1/orders", mcp: "tool github.create_issue", llm: "model gpt-5" }[kind];
  throw new GatewayError("config-invalid", `\`--${kind}\` takes two words`, `write \`--${kind} "${example}"\``);
}

async function textOf(path: string): Promise<string> {
  if (path === "-") return text(process.stdin);
  try {
    return await readFile(path, "utf8");
  } catch {
    throw new GatewayError("config-unreadable", `the request \`${path}\` cannot be read`, "pass a JSON file, or -");
  }
}

function complain(terminal: Terminal, asked: Extract<Asked, { ok: false }>): ExitCode {
  const { diagnostics, texts } = forReader(asked.bundle, asked.diagnostics);
  terminal.err(`${renderDiagnostics(diagnostics, new Sources(texts), "text", paletteOf(terminal))}\n`);
  return exitCodes.failed;
}

const refused = (message: string, terminal: Terminal): string =>
  `${colorsOf(terminal).bold(colorsOf(terminal).red("DENY"))}\n  the gateway refuses the statement, whatever the policies say: ${message}\n`;

function renderExplanation(
  explanation: Explanation,
  colors: Colors,
  place: (rule: Pick<ExplainedRule, "path" | "span">) => string,
): string {
  const { decision, accesses, considered, total, change } = explanation;
  const lines: string[] = [showDecision(decision, colors).trimEnd(), ""];
  for (const access of accesses) {
    lines.push(colors.bold(access.access));
    lines.push(`  allowed by  ${access.allowedBy.join(", ") || "– nothing –"}`);
    for (const cause of access.stoppedBy) lines.push(`  stopped by  ${showCause(cause)}`);
    const shown = access.rules.filter((r) => r.outOfScope === undefined && r.effect !== "alert");
    for (const rule of shown) lines.push(...ruleLines(rule, colors, place));
    if (access.closest && access.closest.outOfScope !== undefined) {
      lines.push(`  closest allow:`, ...ruleLines(access.closest, colors, place));
    }
    lines.push("");
  }
  if (change) lines.push(`It would be ${change.effect} with ${change.what.join(" and ")}.`);
  lines.push(colors.dim(`${considered} of ${total} rules are about this request`));
  return `${lines.join("\n")}\n`;
}

function ruleLines(
  rule: ExplainedRule,
  colors: Colors,
  place: (rule: Pick<ExplainedRule, "path" | "span">) => string,
): readonly string[] {
  const truth = {
    true: colors.green("applies"),
    false: colors.dim("does not apply"),
    unknown: colors.yellow("can't be told"),
  };
  const mark = (isMet: boolean, isKnown: boolean) =>
    !isKnown ? colors.yellow("?") : isMet ? colors.green("✓") : colors.red("✗");
  return [
    `    ${rule.effect} ${colors.bold(rule.rule)}  ${rule.outOfScope ?? truth[rule.truth]}  ${colors.dim(place(rule))}`,
    ...rule.conditions.map((c) => {
      const isMet = c.truth === (c.word === "unless" ? "false" : "true");
      const facts = c.facts.length === 0 ? "" : colors.dim(`  ${c.facts.join(", ")}`);
      return `      ${mark(isMet, c.truth !== "unknown")} ${c.word} ${c.text.replaceAll(/\s+/g, " ")}${facts}`;
    }),
  ];
}
