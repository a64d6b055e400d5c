// gw mcp run -- command: one local MCP server between the standard streams, under the same policies and on record
import { spawn } from "node:child_process";
import { join } from "node:path";
import type { Readable, Writable } from "node:stream";
import type { Log } from "../proxy/deps.ts";
import { GatewayError } from "../proxy/errors.ts";
import { sessionStartEvent } from "../proxy/gate/session-events.ts";
import { timeFactsOf } from "../proxy/gate/time-facts.ts";
import type { TrafficSession } from "../proxy/gate/traffic.ts";
import { createTrafficGate } from "../proxy/gate/traffic-gate.ts";
import type { GatewayConfig } from "../proxy/gateway-config.ts";
import { mediateStdio } from "../proxy/mcp/stdio.ts";
import { openParts } from "./compose.ts";
import { mcpMediator } from "./compose-mcp.ts";

export type StdioRun = {
  readonly connection: string;
  readonly command: readonly [string, ...string[]];
  /** Who the calls are made for. */
  readonly token: string;
  /** Join key: becomes the session's `agent/<id>`. */
  readonly agent: string | undefined;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly input: Readable;
  readonly output: Writable;
  /** What the server says on its standard error, masked. */
  readonly errors: Writable;
  readonly log: Log;
};

/** Resolves when the server or the client ends. @throws GatewayError before the server is started */
export async function runStdioServer(config: GatewayConfig, run: StdioRun): Promise<void> {
  const connection = config.stdio?.find(({ name }) => name === run.connection);
  if (!connection) {
    throw new GatewayError(
      "config-invalid",
      `there is no connection \`${run.connection}\` of kind mcp-stdio`,
      "add one: `{ name: files, kind: mcp-stdio }`",
    );
  }
  const undo: ((drainMs: number) => Promise<void> | void)[] = [];
  try {
    // A recording of its own: a gateway that runs beside it holds the folder itself.
    const directory = join(config.recording.directory, `stdio-${connection.name}`);
    const parts = await openParts(
      { ...config, recording: { ...config.recording, directory, holds: config.recording.directory } },
      { log: run.log },
      undo,
    );
    const who = await parts.verify(run.token, "127.0.0.1", connection.name);
    if (!who.ok) throw new GatewayError(who.error.code, who.error.message, "put a valid token into GW_TOKEN");
    const { clock, newId, recorder, policies } = parts;
    const session: TrafficSession = {
      id: newId("ses"),
      identity: who.value.identity,
      connection: {
        name: connection.name,
        env: connection.env,
        tags: new Set(connection.tags),
        durability: config.recording.durability,
      },
      startedAtMs: clock.nowMs(),
      purpose: who.value.purpose,
      application: run.agent === undefined ? undefined : `agent/${run.agent}`,
      expiresAtS: who.value.expiresAtS,
    };
    recorder.recordIntent([sessionStartEvent(session, session.startedAtMs, "mcp", parts.content)]);
    const gate = createTrafficGate({
      ...parts,
      policies: policies.current,
      connection: connection.name,
      approvalHoldMs: config.approvals.holdMs,
      timeFacts: timeFactsOf(policies.current),
    });
    const mediator = mcpMediator(connection, {
      recorder,
      clock,
      log: run.log,
      issuers: [],
      sqlJudgeOf: () => undefined,
    });
    await between(run, (fromServer, toServer, serverLog, signal) =>
      mediateStdio(
        {
          fromClient: run.input,
          toClient: run.output,
          fromServer,
          toServer,
          serverLog: { from: serverLog, to: run.errors },
        },
        mediator,
        gate,
        session,
        signal,
      ),
    );
    recorder.recordOutcome({ atMs: clock.nowMs(), session: session.id, type: "session-end", reason: "closed" });
  } finally {
    for (const step of undo.toReversed()) await step(0);
  }
}

/** The server gets the environment without the caller's token. */
async function between(
  { command, environment }: StdioRun,
  mediate: (fromServer: Readable, toServer: Writable, serverLog: Readable, signal: AbortSignal) => Promise<void>,
): Promise<void> {
  const [program, ...args] = command;
  const env = Object.fromEntries(Object.entries(environment).filter(([name]) => !name.startsWith("GW_")));
  const child = spawn(program, args, { env, stdio: ["pipe", "pipe", "pipe"] });
  const abort = new AbortController();
  const closed = new Promise((resolve) => child.once("close", resolve));
  const failed = new Promise<never>((_, reject) => {
    child.once("error", () => reject(new GatewayError("mcp-server-failed", `\`${program}\` can't be started`)));
  });
  child.stdin.on("error", () => abort.abort());
  child.once("exit", () => abort.abort());
  try {
    await Promise.race([mediate(child.stdout, child.stdin, child.stderr, abort.signal), failed]);
  } finally {
    abort.abort();
    child.stdin.end();
    // MCP: closing its input ends a server; one that stays is told to.
    const timer = setTimeout(() => child.kill(), 2_000);
    if (child.exitCode === null && child.signalCode === null && child.pid !== undefined) {
      await new Promise((resolve) => child.once("exit", resolve));
    }
    clearTimeout(timer);
    // Its last words say why it ended; a process that it left behind may hold them open.
    await Promise.race([closed, new Promise((resolve) => setTimeout(resolve, 500).unref())]);
  }
}
