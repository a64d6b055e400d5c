// gw top: a running gateway's numbers, over and over
import { type Command, InvalidArgumentError } from "commander";
import { GatewayError } from "../../proxy/errors.ts";
import { adminUrlOf } from "../admin-client.ts";
import { exitCodes } from "../exit-codes.ts";
import type { CommandContext } from "../main.ts";

type TopOptions = { readonly admin?: string; readonly interval: number; readonly once?: boolean };
type Sample = { readonly name: string; readonly labels: ReadonlyMap<string, string>; readonly value: number };

export function register(program: Command, { terminal, exit }: CommandContext): void {
  program
    .command("top")
    .description("sessions, rates, denials, approvals and the recorder of a running gateway, until Ctrl-C")
    .option("--admin <url>", "the gateway's admin interface; default: GW_ADMIN, http://127.0.0.1:7070")
    .option("--interval <seconds>", "time between two looks", secondsOf, 2)
    .option("--once", "look once, and end")
    .action(async (options: TopOptions) => {
      const url = adminUrlOf(options);
      let before: { readonly atMs: number; readonly samples: readonly Sample[] } | undefined;
      for (;;) {
        const now = { atMs: Date.now(), samples: await readSamples(url) };
        const seconds = before === undefined ? undefined : (now.atMs - before.atMs) / 1_000;
        const view = viewOf(now.samples, before?.samples ?? [], seconds);
        // Home, and clear what is below: nothing flickers.
        terminal.out(options.once ? view : `\u001b[H\u001b[J${view}`);
        if (options.once) return exit(exitCodes.ok);
        before = now;
        await new Promise((resolve) => setTimeout(resolve, options.interval * 1_000));
      }
    });
}

function secondsOf(text: string): number {
  const seconds = Number(text);
  if (!(seconds >= 0.2 && seconds <= 3_600)) throw new InvalidArgumentError("give seconds from 0.2 to 3600.");
  return seconds;
}

/** @throws GatewayError `admin-invalid` */
async function readSamples(url: string): Promise<readonly Sample[]> {
  const text = await fetch(new URL("/metrics", url), { signal: AbortSignal.timeout(5_000) })
    .then((response) => (response.ok ? response.text() : Promise.reject(new Error("refused"))))
    .catch(() => {
      throw new GatewayError("admin-invalid", `no gateway answers at ${url}`, "pass `--admin`, or set GW_ADMIN");
    });
  return text.split("\n").flatMap((line) => {
    const [, name, labels, value] = /^(\w+)(?:\{(.*)\})? (\S+)$/.exec(line) ?? [];
    if (name === undefined || value === undefined) return [];
    const pairs = [...(labels ?? "").matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)];
    return [{ name, labels: new Map(pairs.map(([, key, of]) => [key ?? "", of ?? ""])), value: Number(value) }];
  });
}

function viewOf(now: readonly Sample[], before: readonly Sample[], seconds: number | undefined): string {
  const sum = (samples: readonly Sample[], name: string, labels: Readonly<Record<string, string>> = {}): number =>
    samples
      .filter((s) => s.name === name && Object.entries(labels).every(([key, value]) => s.labels.get(key) === value))
      .reduce((total, { value }) => total + value, 0);
  const rate = (name: string, labels: Readonly<Record<string, string>>): string =>
    seconds === undefined ? "-" : ((sum(now, name, labels) - sum(before, name, labels)) / seconds).toFixed(1);
  const names = new Set(
    now
      .filter(({ name }) => name === "gw_sessions" || name === "gw_statements_total")
      .map(({ labels }) => labels.get("connection") ?? ""),
  );
  const statements = "gw_statements_total";
  const rows = [...names]
    .sort()
    .map((connection) => [
      connection,
      String(sum(now, "gw_sessions", { connection })),
      rate(statements, { connection }),
      String(sum(now, statements, { connection, effect: "allow" })),
      String(sum(now, statements, { connection, effect: "deny" })),
      rate(statements, { connection, effect: "deny" }),
      String(sum(now, statements, { connection, effect: "approval" })),
      String(sum(now, statements, { connection, effect: "fault" })),
    ]);
  const table = [["connection", "sessions", "per s", "allowed", "denied", "denied/s", "held", "faults"], ...rows];
  const widths = (table[0] ?? []).map((_, i) => Math.max(...table.map((row) => row[i]?.length ?? 0)));
  const lines = table.map((row) =>
    row
      .map((cell, i) => cell.padEnd(widths[i] ?? 0))
      .join("  ")
      .trimEnd(),
  );
  const recorder = sum(now, "gw_recording_failed") > 0 ? "FAILED: nothing runs" : "writing";
  const policies = sum(now, "gw_policy_rejected") > 0 ? "an edit was rejected" : "in force";
  return `recorder ${recorder}   policies ${policies}   approvals pending ${sum(now, "gw_approvals_pending")}   alerts ${sum(now, "gw_alerts_total")}   findings ${sum(now, "gw_monitor_findings_total")}\n\n${lines.join("\n")}\n`;
}
