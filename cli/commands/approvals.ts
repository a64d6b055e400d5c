// gw approvals list | show | approve | deny | watch
import type { Command } from "commander";
import type { ShownApproval } from "../../proxy/admin/server.ts";
import { type AdminOptions, clientOf } from "../admin-client.ts";
import { exitCodes } from "../exit-codes.ts";
import type { CommandContext } from "../main.ts";
import { showLine, showText } from "../show-text.ts";
import { renderTable } from "../table.ts";

type Options = AdminOptions & { readonly json?: boolean };

export function register(program: Command, { terminal, exit }: CommandContext): void {
  const approvals = program.command("approvals").description("what waits for people");
  const common = (command: Command): Command =>
    command
      .option("--admin <url>", "the gateway's admin interface (or GW_ADMIN)")
      .option("--token-file <file>", "your token (or GW_TOKEN)")
      .option("--json", "as JSON");
  const one = (approval: ShownApproval, options: Options): void =>
    terminal.out(options.json ? `${JSON.stringify(approval)}\n` : renderApproval(approval));

  common(approvals.command("list").description("requests that you may see, newest first"))
    .option("--state <state>", "pending, granted, denied, withdrawn, used, expired, unreviewed or all", "pending")
    .action(async (options: Options & { readonly state: string }) => {
      const list = await clientOf(options).list(options.state);
      if (options.json) for (const approval of list) terminal.out(`${JSON.stringify(approval)}\n`);
      else if (list.length === 0) terminal.out(`nothing is ${options.state === "all" ? "recorded" : options.state}\n`);
      else terminal.out(`${renderTable(["id", "who", "connection", "state", "statement"], list.map(rowOf))}\n`);
    });
  common(approvals.command("show").description("all of a request").argument("<id>")).action(
    async (id: string, options: Options) => one(await clientOf(options).show(id), options),
  );
  common(approvals.command("approve").description("let it run once").argument("<id>"))
    .option("--reason <text>", "for the record")
    .action(async (id: string, options: Options & { readonly reason?: string }) =>
      one(await clientOf(options).decide(id, "approve", options.reason), options),
    );
  common(approvals.command("deny").description("refuse it").argument("<id>"))
    .requiredOption("--reason <text>", "the one who asked reads it")
    .action(async (id: string, options: Options & { readonly reason: string }) =>
      one(await clientOf(options).decide(id, "deny", options.reason), options),
    );
  const decided = (name: "withdraw" | "break-glass" | "object", description: string): void => {
    common(approvals.command(name).description(description).argument("<id>"))
      .requiredOption("--reason <text>", "others read it")
      .action(async (id: string, options: Options & { readonly reason: string }) =>
        one(await clientOf(options).decide(id, name, options.reason), options),
      );
  };
  decided("withdraw", "take a request or a grant back; what runs on it ends");
  decided("break-glass", "let it through without the approvers, to be reviewed");
  decided("object", "review broken glass: it was not right");
  common(approvals.command("accept").description("review broken glass: it was right").argument("<id>"))
    .option("--reason <text>", "for the record")
    .action(async (id: string, options: Options & { readonly reason?: string }) =>
      one(await clientOf(options).decide(id, "accept", options.reason), options),
    );
  common(approvals.command("away").description("who votes in whose place; name yours with --by, end it with --back"))
    .option("--by <sub>", "who votes in your place")
    .option("--until <time>", "until when, such as 2027-01-31T08:00:00Z")
    .option("--back", "you are back")
    .action(async (options: Options & { readonly by?: string; readonly until?: string; readonly back?: boolean }) => {
      const client = clientOf(options);
      if (options.back) await client.setStandIn(undefined, undefined);
      else if (options.by !== undefined) await client.setStandIn(options.by, options.until);
      const standIns = await client.standIns();
      if (options.json) return terminal.out(`${JSON.stringify(standIns)}\n`);
      for (const { absent, by, until } of standIns) {
        terminal.out(`${showLine(by)} votes in place of ${showLine(absent)} until ${until}\n`);
      }
      if (standIns.length === 0) terminal.out("nobody is away\n");
    });
  common(approvals.command("watch").description("print requests as they come, until Ctrl-C"))
    .option("--interval <seconds>", "how often to look", "1")
    .action(async (options: Options & { readonly interval: string }) => {
      const client = clientOf(options);
      const seen = new Set<string>();
      const stop = new AbortController();
      process.once("SIGINT", () => stop.abort());
      while (!stop.signal.aborted) {
        for (const approval of (await client.list("pending")).toReversed()) {
          if (seen.has(approval.id)) continue;
          seen.add(approval.id);
          one(approval, options);
        }
        await pause(Math.max(0.2, Number(options.interval) || 1) * 1_000, stop.signal);
      }
      exit(exitCodes.ok);
    });
}

const rowOf = (approval: ShownApproval): readonly string[] => [
  approval.id,
  `${showLine(approval.requester.sub)} (${approval.requester.kind})`,
  approval.connection,
  approval.state,
  showLine(approval.statement),
];

/** Nothing is cut: whoever approves sees every character of what will run. */
function renderApproval(approval: ShownApproval): string {
  const { requester } = approval;
  const owners =
    requester.onBehalfOf.length === 0 ? "" : ` on behalf of ${requester.onBehalfOf.map(showLine).join(", ")}`;
  const lines = [
    `${approval.id}  ${approval.state}`,
    `  who        ${showLine(requester.sub)} (${requester.kind})${owners}`,
    `  where      ${approval.connection}, session ${approval.session}`,
    `  statement  ${showText(approval.statement.trim()).replaceAll("\n", "\n             ")}`,
  ];
  approval.parameters.forEach((value, i) => {
    lines.push(
      `  $${i + 1}${" ".repeat(Math.max(1, 9 - String(i + 1).length))} ${value === null ? "NULL" : showText(value)}`,
    );
  });
  if (approval.estimatedRows !== undefined) lines.push(`  rows       about ${approval.estimatedRows}`);
  if (approval.rowsMax !== undefined) lines.push(`  at most    ${approval.rowsMax} rows come back`);
  lines.push(`  touches    ${approval.accesses.map(showLine).join("; ")}`);
  for (const rule of approval.rules) {
    const missing = rule.missing === 0 ? "met" : `${rule.missing} more needed`;
    lines.push(`  rule       ${rule.rule}: ${showLine(rule.message)} (${missing})`);
  }
  lines.push(`  approvers  ${showLine(approval.approvers)}`);
  for (const vote of approval.votes) {
    const reason = vote.reason === undefined ? "" : `: ${showLine(vote.reason)}`;
    const inPlace = vote.standsInFor === undefined ? "" : ` in place of ${showLine(vote.standsInFor)}`;
    lines.push(`  vote       ${vote.verdict} by ${showLine(vote.by)}${inPlace} at ${vote.at}${reason}`);
  }
  if (approval.brokenGlass !== undefined) {
    const { by, reason, review, reviewBy } = approval.brokenGlass;
    lines.push(`  glass      broken by ${showLine(by)}: ${showLine(reason)}`);
    lines.push(
      review === undefined
        ? `  review     wanted by ${reviewBy}`
        : `  review     ${review.verdict} by ${showLine(review.by)} ${showLine(review.comment)}`,
    );
  }
  lines.push(`  expires    ${approval.expires}`, "");
  return `${lines.join("\n")}\n`;
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      resolve();
    });
  });
}
