// gw demo: a company, an issuer and the gateway on this machine; prints what to try, stops on Ctrl-C
import { spawnSync } from "node:child_process";
import { type Command, InvalidArgumentError } from "commander";
import type { Log, LogFields } from "../../proxy/deps.ts";
import { GatewayError } from "../../proxy/errors.ts";
import { adminClient } from "../admin-client.ts";
import { people } from "../demo/people.ts";
import { recordingOf } from "../demo/recording-of.ts";
import { type Demo, demoConnection, startDemo } from "../demo/start-demo.ts";
import { runTour } from "../demo/tour.ts";
import { type ExitCode, exitCodes } from "../exit-codes.ts";
import type { CommandContext } from "../main.ts";
import type { Terminal } from "../terminal.ts";

export type DemoFlags = { readonly script?: boolean; readonly port: number; readonly adminPort: number };

export function register(program: Command, { terminal, exit }: CommandContext): void {
  program
    .command("demo")
    .description("start a small company's database, a token issuer and the gateway, and say what to try")
    .option("--script", "no terminal: take a tour, check each stop, end with 0 only if all behaved")
    .option("--port <port>", "where the gateway listens; a free one if it is taken", portNumber, 15_432)
    .option("--admin-port <port>", "where the admin interface listens; a free one if it is taken", portNumber, 15_480)
    .action(async (flags: DemoFlags) => exit(await demo(terminal, flags)));
}

export async function demo(terminal: Terminal, flags: DemoFlags): Promise<ExitCode> {
  terminal.err("Starting PostgreSQL, a token issuer and the gateway …\n");
  let started: Demo | undefined;
  const log = demoLog(terminal, () => started?.gateway.policy.status().rejected?.message);
  const running = await startDemo({ port: flags.port, adminPort: flags.adminPort, log }).catch((error: unknown) => {
    if (error instanceof GatewayError) throw error;
    throw new GatewayError(
      "config-invalid",
      `the demo can't start: ${error instanceof Error ? error.message : String(error)}`,
      "it needs npm's PostgreSQL binaries (npm ci) and a temporary folder (TMPDIR) that other users may enter",
    );
  });
  started = running;
  const stopped = onSignal(running);
  try {
    terminal.err(`Ready after ${(running.startMs / 1_000).toFixed(1)} s.\n`);
    if (flags.script) return await tour(terminal, running);
    terminal.out(instructions(running, hasPsql()));
    await stopped;
    terminal.err("\nStopping …\n");
    return exitCodes.ok;
  } finally {
    await running.stop();
  }
}

/** What somebody at the terminal wants to know while the demo runs: above all, what became of an edit of the policies. */
function demoLog(terminal: Terminal, rejection: () => string | undefined): Log {
  const say = (fields: LogFields, message: string) => {
    const reason = fields.code === "policy-rejected" ? rejection() : undefined;
    terminal.err(
      `${message}${fields.code === undefined ? "" : ` (${fields.code})`}\n${reason === undefined ? "" : `${reason}\n`}`,
    );
  };
  return {
    debug: () => undefined,
    info: (fields, message) => {
      if (message === "policies loaded") say(fields, message);
    },
    warn: say,
    error: say,
  };
}

async function tour(terminal: Terminal, running: Demo): Promise<ExitCode> {
  const findings = await runTour({
    demo: running,
    admin: adminClient(running.adminUrl, running.tokens.approver.token),
    recordingOf: (sub) => recordingOf(running.recordingDirectory, sub),
    print: terminal.out,
  });
  for (const finding of findings) terminal.err(`${finding}\n`);
  terminal.out(findings.length === 0 ? "\nEach stop behaved.\n" : `\n${findings.length} stops did not behave.\n`);
  return findings.length === 0 ? exitCodes.ok : exitCodes.failed;
}

/** Resolves at the first signal to stop. Another one later ends the process without waiting for what is left. */
function onSignal(running: Demo): Promise<void> {
  return new Promise((resolve) => {
    let firstAt: number | undefined;
    const handle = () => {
      const now = performance.now();
      firstAt ??= now;
      resolve();
      // A terminal sends Ctrl-C to a whole process group, so that one may arrive twice.
      if (now - firstAt > 1_000) void running.stop().finally(() => process.exit(130));
    };
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, handle);
  });
}

const hasPsql = (): boolean => spawnSync("psql", ["--version"], { stdio: "ignore" }).status === 0;

function instructions(demo: Demo, psql: boolean): string {
  const line = (role: "agent" | "onCall") =>
    `PGPASSWORD="$(cat ${demo.tokens[role].path})" psql "host=${demo.host} port=${demo.port} user=${people[role].sub} dbname=${demoConnection} sslmode=require"`;
  const gw = "npm run -s gw --";
  const admin = `--admin ${demo.adminUrl} --token-file ${demo.tokens.approver.path}`;
  return `
Larch Supply's database is at ${demo.host}:${demo.port}, behind the gateway. The password is a token.
${psql ? "" : "\nThere is no psql on this machine; any PostgreSQL client will do: apt install postgresql-client, brew install libpq.\n"}
${people.agent.sub}: ${people.agent.what}

  ${line("agent")}

    select id, name, email, tax_id from customers limit 5;        masked, and only the region north
    select count(*) from customers where tax_id like 'DE%';       0: questions about masked values get no answer
    select customer, contact from order_overview limit 3;         the mask holds in views, too
    select * from hr.payroll;                                     denied, with the reason; the session goes on
    select name, salary from hr.employees;                        denied: the column isn't covered
    delete from orders;                                           denied

${people.onCall.sub}: ${people.onCall.what}

  ${line("onCall")}

    select region, count(*) from orders group by region;          all regions
    update orders set paid = true;                                denied: no WHERE clause
    update orders set status = 'shipped' where id = 7;            waits for ${people.approver.sub}, ${people.approver.what}

In another terminal, as ${people.approver.sub}:

  ${gw} approvals list ${admin}
  ${gw} approvals approve ID ${admin}

What happened, and the rules:

  ${gw} sessions list --config ${demo.configPath}
  ${gw} sessions show ID --config ${demo.configPath}
  ${demo.policiesDirectory}/demo/shop.policy      edit it: the gateway takes it over, or says what is wrong and keeps the old one
  ${demo.configPath}      the configuration it runs with

Ctrl-C stops everything and leaves nothing behind.
`;
}

function portNumber(text: string): number {
  const port = Number(text);
  if (!Number.isInteger(port) || port < 0 || port > 65_535)
    throw new InvalidArgumentError("a port is a number from 0 to 65535");
  return port;
}
