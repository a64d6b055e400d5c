// The recording of one session as text: what was asked, what was decided and why, what came of it.
import { unreachable } from "../../engine/lib/assert.ts";
import { type RecordedEvent, readEvents } from "../../proxy/recording/read.ts";

/** The newest session of `sub`. */
export async function recordingOf(directory: string, sub: string): Promise<string> {
  const bySession = new Map<string, RecordedEvent[]>();
  let newest: string | undefined;
  for await (const event of readEvents(directory)) {
    if (event.type === "session-start" && event.principal.sub === sub) newest = event.session;
    bySession.set(event.session, [...(bySession.get(event.session) ?? []), event]);
  }
  return (newest === undefined ? [] : (bySession.get(newest) ?? [])).flatMap(lineOf).join("\n");
}

function lineOf(event: RecordedEvent): readonly string[] {
  const time = new Date(event.atMs).toISOString().slice(11, 23);
  const line = (text: string) => [`${time}  ${text}`];
  switch (event.type) {
    case "session-start":
      return line(`${event.principal.sub} (${event.principal.kind}) connects to ${event.connection}`);
    case "statement":
      return [
        ...line(`${event.effect.padEnd(8)} ${event.statement}`),
        ...(event.accesses.length === 0 ? [] : [`${" ".repeat(23)}accesses ${event.accesses.join(", ")}`]),
        ...(event.rules.length === 0 ? [] : [`${" ".repeat(23)}rules    ${event.rules.join(", ")}`]),
        ...[...event.masks.map((m) => `mask     ${m}`), ...event.filters.map((f) => `filter   ${f}`)].map(
          (text) => `${" ".repeat(23)}${text}`,
        ),
      ];
    case "completion":
      return line(`         ${event.outcome} ${event.tag ?? event.sqlstate ?? ""}, ${event.rows} rows`);
    case "approval":
      return line(`approval ${event.state}${event.by === undefined ? "" : ` by ${event.by}`}`);
    case "alert":
      return line(`alert    ${event.channel}: ${event.message}`);
    case "policy":
    case "recorder":
      return [];
    case "session-end":
      return line(`ends: ${event.reason}`);
    default:
      return unreachable(event);
  }
}
