// argv -> command -> exit code. Only the module of the command that was asked for is loaded.
import { readFileSync } from "node:fs";
import { Command, CommanderError } from "commander";
import { GatewayError } from "../proxy/errors.ts";
import { type ExitCode, exitCodes } from "./exit-codes.ts";
import { processTerminal, type Terminal } from "./terminal.ts";

/** What a command's module exports: it adds itself to `program` and says how it ended through `context.exit`. */
export type CommandModule = { readonly register: (program: Command, context: CommandContext) => void };
export type CommandContext = { readonly terminal: Terminal; readonly exit: (code: ExitCode) => void };

type Entry = { readonly name: string; readonly summary: string; readonly load: () => Promise<CommandModule> };

/** To add a command: one line here, one file in commands/. */
const commands: readonly Entry[] = [
  { name: "serve", summary: "run the gateway", load: () => import("./commands/serve.ts") },
  { name: "sessions", summary: "list and show recorded sessions", load: () => import("./commands/sessions.ts") },
  { name: "approvals", summary: "see and decide what waits for people", load: () => import("./commands/approvals.ts") },
  { name: "policy", summary: "check, test and understand policies", load: () => import("./commands/policy.ts") },
  {
    name: "catalog",
    summary: "write down what policies are checked against",
    load: () => import("./commands/catalog.ts"),
  },
  { name: "demo", summary: "try it on this machine", load: () => import("./commands/demo.ts") },
  { name: "rego", summary: "check and try Rego bundles", load: () => import("./commands/rego.ts") },
  {
    name: "bundle",
    summary: "build and sign bundles; see and choose what is in force",
    load: () => import("./commands/bundle.ts"),
  },
  { name: "lsp", summary: "the language server of policies, for editors", load: () => import("./commands/lsp.ts") },
  { name: "schema", summary: "print the shapes that policies see", load: () => import("./commands/schema.ts") },
  { name: "init", summary: "a gateway in front of your database", load: () => import("./commands/init.ts") },
  { name: "health", summary: "is the gateway here ready?", load: () => import("./commands/health.ts") },
  { name: "login", summary: "get a token and keep it", load: () => import("./commands/login.ts") },
  { name: "agent", summary: "set up an agent's run", load: () => import("./commands/agent.ts") },
  { name: "whoami", summary: "how the gateway sees your token", load: () => import("./commands/whoami.ts") },
  { name: "token", summary: "your token in the form that a client takes", load: () => import("./commands/token.ts") },
  { name: "connect", summary: "psql with everything set", load: () => import("./commands/connect.ts") },
  { name: "user", summary: "users for tools without tokens", load: () => import("./commands/user.ts") },
  { name: "mcp", summary: "MCP servers under policies", load: () => import("./commands/mcp.ts") },
  { name: "doctor", summary: "what stands in the gateway's way", load: () => import("./commands/doctor.ts") },
  { name: "top", summary: "watch a running gateway", load: () => import("./commands/top.ts") },
  { name: "audit", summary: "verify the recording", load: () => import("./commands/audit.ts") },
];

/** @returns the exit code */
export async function main(argv: readonly string[], terminal: Terminal = processTerminal()): Promise<number> {
  let exitCode: number = exitCodes.ok;
  const program = new Command("gw")
    .description("watches and controls what AI agents and people do to PostgreSQL")
    .version(`gw ${version()}`, "-V, --version")
    .option("--no-color", "plain output")
    .configureOutput({ writeOut: terminal.out, writeErr: terminal.err })
    .exitOverride()
    .showSuggestionAfterError();
  program
    .command("version")
    .description("print the version")
    .action(() => terminal.out(`gw ${version()}\n`));
  const context: CommandContext = {
    terminal,
    exit: (code) => {
      exitCode = code;
    },
  };
  try {
    const wanted = commands.find((entry) => entry.name === argv.find((word) => !word.startsWith("-")));
    for (const entry of commands) {
      if (entry === wanted) (await entry.load()).register(program, context);
      else program.command(entry.name).description(entry.summary).allowUnknownOption();
    }
    if (argv.length === 0) {
      program.outputHelp();
      return exitCodes.usage;
    }
    for (const command of program.commands) inheritSettings(command, terminal);
    await program.parseAsync([...argv], { from: "user" });
    return exitCode;
  } catch (error) {
    return failed(error, terminal);
  }
}

function inheritSettings(command: Command, terminal: Terminal): void {
  command.exitOverride().configureOutput({ writeOut: terminal.out, writeErr: terminal.err }).showSuggestionAfterError();
  for (const sub of command.commands) inheritSettings(sub, terminal);
}

function failed(error: unknown, terminal: Terminal): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? exitCodes.ok : exitCodes.usage;
  if (error instanceof GatewayError) {
    terminal.err(`error[${error.code}]: ${error.message}\n`);
    if (error.help !== undefined) terminal.err(`  = help: ${error.help}\n`);
    return isUsage(error.code) ? exitCodes.usage : exitCodes.failed;
  }
  terminal.err(`gw broke: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
  return exitCodes.bug;
}

const isUsage = (code: string): boolean => code.startsWith("config-") || code === "admin-invalid";

function version(): string {
  const text = readFileSync(new URL("../package.json", import.meta.url), "utf8");
  return /"version":\s*"([^"]+)"/.exec(text)?.[1] ?? "unknown";
}
