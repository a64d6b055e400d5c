// gw bundle status | rollback | promote | resume: the policies that a running gateway enforces
import type { Command } from "commander";
import type { PoliciesStatus } from "../../proxy/bundle/operations.ts";
import { type AdminClient, type AdminOptions, clientOf } from "../admin-client.ts";
import { showLine } from "../show-text.ts";
import type { Terminal } from "../terminal.ts";

type LiveOptions = AdminOptions & { readonly json?: boolean };

export function registerLive(bundle: Command, terminal: Terminal): void {
  const show = async (options: LiveOptions, ask: (client: AdminClient) => Promise<PoliciesStatus>): Promise<void> => {
    const status = await ask(clientOf(options));
    terminal.out(options.json === true ? `${JSON.stringify(status, undefined, 2)}\n` : render(status));
  };
  flags(bundle.command("status"))
    .description("the policies in force, those in shadow, and what was in force before")
    .action((options: LiveOptions) => show(options, (client) => client.policies()));
  flags(bundle.command("rollback"))
    .description("enforce what was in force before; what the source has waits until `gw bundle resume`")
    .argument("[digest]", "the beginning of a digest or hash; default: the one before")
    .action((to: string | undefined, options: LiveOptions) => show(options, (client) => client.rollback(to)));
  flags(bundle.command("promote"))
    .description("enforce what the shadow decides with")
    .action((options: LiveOptions) => show(options, (client) => client.promote()));
  flags(bundle.command("resume"))
    .description("enforce what the source has, after a rollback or a promotion")
    .action((options: LiveOptions) => show(options, (client) => client.resume()));
}

const flags = (command: Command): Command =>
  command
    .option("--admin <url>", "admin interface of the gateway; default: GW_ADMIN")
    .option("--token-file <path>", "file with your token; default: GW_TOKEN")
    .option("--json", "as JSON");

const time = (ms: number): string => new Date(ms).toISOString().slice(0, 19).replace("T", " ");
const short = (hash: string): string => hash.replace(/^sha256:/, "").slice(0, 12);

function render({ live, shadow, history }: PoliciesStatus): string {
  const lines = [
    `live    ${short(live.hash)}  ${showLine(live.revision)}  from ${showLine(live.source)}, since ${time(live.loadedAtMs)}`,
  ];
  const about = ({ pinned, rejected, fetched }: PoliciesStatus["live"]): void => {
    if (pinned !== undefined)
      lines.push(`        chosen by an operator: ${short(pinned)}; \`gw bundle resume\` goes on with the source`);
    if (rejected !== undefined) lines.push(`        turned away ${time(rejected.atMs)}: ${showLine(rejected.message)}`);
    if (fetched?.error !== undefined)
      lines.push(`        not fetched ${time(fetched.atMs)}: ${showLine(fetched.error)}`);
  };
  about(live);
  if (shadow !== undefined) {
    const { same, different, failed } = shadow.decisions;
    lines.push(`shadow  ${short(shadow.hash)}  ${showLine(shadow.revision)}  from ${showLine(shadow.source)}`);
    lines.push(`        ${same} decisions alike, ${different} different, ${failed} failed`);
    about(shadow);
  }
  if (history.length > 0) lines.push("", "was in force:");
  for (const { digest, hash, revision, source, acceptedAtMs, isActive } of history) {
    const mark = isActive ? "*" : " ";
    lines.push(
      `${mark} ${short(digest)}  ${short(hash)}  ${time(acceptedAtMs)}  ${showLine(revision)}  ${showLine(source)}`,
    );
  }
  return `${lines.join("\n")}\n`;
}
