// gw policy repl: statement after statement, request after request, decided as somebody
import { createInterface } from "node:readline";
import type { Command } from "commander";
import { explainDecision } from "../../dsl/explain.ts";
import { renderDiagnostics, Sources } from "../../dsl/render-diagnostic.ts";
import { GatewayError } from "../../proxy/errors.ts";
import { type Action, askBundle } from "../ask-bundle.ts";
import { exitCodes } from "../exit-codes.ts";
import type { CommandContext } from "../main.ts";
import { colorsOf, paletteOf } from "../palette.ts";
import { quoted } from "../question-file.ts";
import { defaultPath, forReader, readBundle, selectBundles } from "../read-bundle.ts";
import { showDecision } from "../show-decision.ts";
import type { Terminal } from "../terminal.ts";

type State = { readonly as: string; readonly at: string | undefined; readonly given: readonly string[] };

const help = `a statement     decide it; so too are: http GET /v1/orders/7 { headers: { "x-team": "a" } }
                mcp tool crm.get { id: 7 }      llm model gpt-5 { input_tokens: 9, tools: [] }
:as IDENTITY    somebody else: a fixture's name, or { sub: "x", kind: human }
:at CONNECTION  elsewhere
:given GIVEN    what a test could give: time { hour: 3 }; :given alone forgets them
:help :quit
`;

export function addRepl(policy: Command, { terminal, exit }: CommandContext): void {
  policy
    .command("repl")
    .description("type statements and requests and see how they are decided; edits of the policies count at once")
    .argument("[folder]", "the bundle; default: policies, else this folder")
    .option("--as <identity>", "who asks: a fixture's name, or a record", '{ sub: "me", kind: human, groups: [] }')
    .option("--at <connection>", "where; may be left out if the bundle has one catalog")
    .action(async (folder: string | undefined, flags: { readonly as: string; readonly at?: string }) => {
      const [selection] = await selectBundles([folder ?? defaultPath()]);
      if (!selection) throw new GatewayError("config-unreadable", "there is no bundle");
      let state: State = { as: flags.as, at: flags.at, given: [] };
      const isTyped = process.stdin.isTTY === true;
      const lines = createInterface({ input: process.stdin, ...(isTyped ? { output: process.stdout } : {}) });
      const prompt = () => {
        if (!isTyped) return;
        lines.setPrompt(`${state.as.length > 24 ? "…" : state.as}> `);
        lines.prompt();
      };
      if (isTyped) terminal.out(help);
      prompt();
      for await (const line of lines) {
        const text = line.trim();
        if (text === ":quit" || text === ":q") break;
        state = await answer(terminal, selection.bundle.root, state, text);
        prompt();
      }
      lines.close();
      exit(exitCodes.ok);
    });
}

async function answer(terminal: Terminal, root: string, state: State, text: string): Promise<State> {
  const [, command, rest = ""] = /^:(\w+)\s*(.*)$/.exec(text) ?? [];
  switch (command) {
    case undefined:
      break;
    case "as":
      return { ...state, as: rest || state.as };
    case "at":
      return { ...state, at: rest || undefined };
    case "given":
      return { ...state, given: rest === "" ? [] : [...state.given, rest] };
    default:
      terminal.out(help);
      return state;
  }
  if (text === "") return state;
  try {
    decide(terminal, await readBundle(root), state, text.replace(/;$/, ""));
  } catch (error) {
    if (!(error instanceof GatewayError)) throw error;
    terminal.err(`${error.message}\n${error.help === undefined ? "" : `  = help: ${error.help}\n`}`);
  }
  return state;
}

/** `http GET /v1/orders { … }`; everything else is a statement. */
function actionOf(text: string): Action {
  const [, kind, word, name, record] = /^(http|mcp|llm)\s+(\w+)\s+(\S+)(?:\s+(\{.*\}))?$/.exec(text) ?? [];
  if ((kind !== "http" && kind !== "mcp" && kind !== "llm") || word === undefined || name === undefined)
    return { kind: "sql", text };
  return { kind, word, name: name.startsWith('"') ? name : quoted(name), record };
}

function decide(terminal: Terminal, bundle: Awaited<ReturnType<typeof readBundle>>, state: State, text: string): void {
  const asked = askBundle(bundle, { ...state, action: actionOf(text) });
  if (!asked.ok) {
    const { diagnostics, texts } = forReader(asked.bundle, asked.diagnostics);
    terminal.err(`${renderDiagnostics(diagnostics, new Sources(texts), "text", paletteOf(terminal))}\n`);
    return;
  }
  const { checked, prepared } = asked;
  if (prepared.fault) terminal.out(`refused by the gateway itself: ${prepared.fault.message}\n`);
  for (const request of prepared.requests) {
    const { decision, change } = explainDecision(checked, request, { data: prepared.data });
    terminal.out(showDecision(decision, colorsOf(terminal)));
    if (change) terminal.out(`  it would be ${change.effect} with ${change.what.join(" and ")}\n`);
  }
}
