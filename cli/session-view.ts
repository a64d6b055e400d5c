// recorded events -> what a person reads
import type { RecordedValue, SessionEvent } from "../engine/model/session-event.ts";
import type { RecordedEvent } from "../proxy/recording/read.ts";
import { renderResult } from "./session-result.ts";
import { showLine, showText } from "./show-text.ts";

export type SessionSummary = {
  readonly session: string;
  readonly started: string;
  readonly sub: string;
  readonly kind: string;
  readonly onBehalfOf: string | undefined;
  readonly connection: string;
  readonly statements: number;
  readonly denied: number;
  /** Reason of its end; undefined while it is open, or when the gateway was killed. */
  readonly ended: string | undefined;
};

/** One line per session, in order of their start. */
export async function summaries(events: AsyncIterable<RecordedEvent>): Promise<readonly SessionSummary[]> {
  const found = new Map<string, SessionSummary>();
  for await (const event of events) {
    if (event.type === "session-start") {
      found.set(event.session, {
        session: event.session,
        started: new Date(event.atMs).toISOString(),
        sub: showLine(event.principal.sub),
        kind: event.principal.kind,
        onBehalfOf: event.principal.onBehalfOf,
        connection: event.connection,
        statements: 0,
        denied: 0,
        ended: undefined,
      });
      continue;
    }
    const session = found.get(event.session);
    if (session === undefined) continue;
    if (event.type === "statement") {
      const denied = session.denied + (event.effect === "deny" ? 1 : 0);
      found.set(event.session, { ...session, statements: session.statements + 1, denied });
    } else if (event.type === "session-end") found.set(event.session, { ...session, ended: event.reason });
  }
  return [...found.values()];
}

/** Of a session, or of all sessions that bear the name (`agent/<id>`): one run of an agent, over every channel, in order of time. */
export async function eventsOf(id: string, all: AsyncIterable<RecordedEvent>): Promise<readonly RecordedEvent[]> {
  const sessions = new Set([id]);
  const found: RecordedEvent[] = [];
  for await (const event of all) {
    if (event.type === "session-start" && event.application === id) sessions.add(event.session);
    if (sessions.has(event.session)) found.push(event);
  }
  return found.toSorted((a, b) => a.atMs - b.atMs);
}

/** Sessions as a page: a head each, then each statement with its decision, what was done to it, and how it ended. */
export function renderSession(events: readonly SessionEvent[]): string {
  return `${renderEvents(events).flat().join("\n")}\n`;
}

/** The lines of each event. Where several channels are told together, each says which it is. */
export function renderEvents(events: readonly SessionEvent[]): readonly (readonly string[])[] {
  const channels = new Map(
    events.flatMap((event) => (event.type === "session-start" ? [[event.session, event.connection] as const] : [])),
  );
  const channelOf = (event: SessionEvent): string =>
    channels.size < 2 ? "" : `[${channels.get(event.session) ?? event.session}] `;
  return events.map((event) => renderEvent(event, channelOf(event)));
}

const clock = (atMs: number): string => new Date(atMs).toISOString().slice(11, 23);
const indent = "              ";

function renderEvent(event: SessionEvent, channel: string): readonly string[] {
  switch (event.type) {
    case "session-start": {
      const { sub, kind, groups, onBehalfOf } = event.principal;
      const owner = onBehalfOf === undefined ? "" : ` on behalf of ${showLine(onBehalfOf)}`;
      const facts = Object.entries(event.facts ?? {}).map(([name, value]) => `${name} ${JSON.stringify(value)}`);
      if (event.sealed !== undefined) facts.push("[sealed]");
      return [
        `session ${event.session} on ${event.connection} (${event.protocol}), ${new Date(event.atMs).toISOString()}`,
        `  ${showLine(sub)} (${kind})${owner}, groups ${groups.map(showLine).join(", ") || "none"}`,
        ...(facts.length === 0 ? [] : [`  ${facts.map(showLine).join(", ")}`]),
        `  from ${event.client}${event.application === undefined ? "" : ` as ${showLine(event.application)}`}`,
        "",
      ];
    }
    case "statement":
      return renderStatement(event, channel);
    case "completion": {
      const how = event.outcome === "ok" ? (event.tag ?? "ok") : `${event.outcome} ${event.sqlstate ?? ""}`.trim();
      const tokens = event.tokens === undefined ? "" : `, ${event.tokens} tokens`;
      const usd = event.usd === undefined ? "" : `, ${event.usd.toFixed(4)} usd`;
      const took = `${(event.durationUs / 1_000).toFixed(1)} ms`;
      return [
        `${clock(event.atMs)}    → ${channel}${how}, ${event.rows} rows${tokens}${usd}, ${took}`,
        ...(event.sealed === undefined ? [] : [`${indent}result   [sealed: \`--key\` opens it]`]),
        ...(event.result === undefined ? [] : renderResult(event.result, event.rows).map((line) => `${indent}${line}`)),
      ];
    }
    case "approval": {
      const by = event.by === undefined ? "" : ` by ${showLine(event.by)}`;
      const reason = event.reason === undefined ? "" : `: ${showLine(event.reason)}`;
      return [`${clock(event.atMs)}    approval ${event.id} ${event.state}${by}${reason}`];
    }
    case "alert":
      return [`${clock(event.atMs)}    ! ${event.channel} ${event.rule}: ${showLine(event.message)}`];
    case "alert-dropped":
      return [`${clock(event.atMs)}    ! nobody was told of ${event.rule} by ${showLine(event.sink)}: ${event.why}`];
    case "shadow":
      return [
        `${clock(event.atMs)}    ~ in shadow: ${event.effect} ${[...event.rules, ...event.obligations].map(showLine).join("; ")}`.trimEnd(),
      ];
    case "session-end":
      return ["", `${clock(event.atMs)}  end: ${event.reason}`];
    case "cancel-request": {
      const times = event.count === 1 ? "" : `, ${event.count} times`;
      return [`${clock(event.atMs)}    cancel from ${event.client}: nothing was under way${times}`];
    }
    case "policy":
      return [`${clock(event.atMs)}  policies ${event.state} ${event.policy}`];
    case "worker":
      return [`${clock(event.atMs)}  ${event.worker} ${event.state}`];
    case "content-key":
      return [`${clock(event.atMs)}  content key ${event.id} for ${event.recipient}`];
    case "prune": {
      const last = event.boundaries.at(-1);
      return [`${clock(event.atMs)}  pruned up to line ${last?.size ?? 0} (${event.why})`];
    }
    case "hold": {
      const subject = event.subject === undefined ? "everything" : showLine(event.subject);
      return [
        `${clock(event.atMs)}  hold ${event.id} on ${subject} ${event.state} by ${showLine(event.by)}: ${showLine(event.reason)}`,
      ];
    }
    case "recorder":
      return [`${clock(event.atMs)}  recorder ${event.state} on ${event.node}`];
  }
}

const marks = { allow: "✓", deny: "✗", approval: "…" } as const;

function renderStatement(
  event: Extract<SessionEvent, { readonly type: "statement" }>,
  channel: string,
): readonly string[] {
  const isSealed = event.sealed?.statement !== undefined;
  const text = isSealed ? ["[sealed: `--key` opens it]"] : showText(event.statement.trim()).split("\n");
  const lines = [`${clock(event.atMs)}  ${marks[event.effect]} ${channel}${text[0] ?? ""}`];
  for (const line of text.slice(1)) lines.push(`${indent}  ${line}`);
  if (event.isCut) lines.push(`${indent}  [cut here; the whole text has sha256 ${event.statementSha256}]`);
  const note = (what: string, items: readonly string[]): void => {
    if (items.length > 0) lines.push(`${indent}${what} ${items.map(showLine).join("; ")}`);
  };
  note("values  ", event.sealed?.values === undefined ? (event.values ?? []).map(describeValue) : ["[sealed]"]);
  note("accesses", event.accesses);
  note("rules   ", event.rules);
  note("masks   ", event.masks);
  note("filters ", event.filters);
  note("because ", event.causes.map(describeCause));
  // Ids that other channels name too: the model's tool use, the call that came of it, the result that went back.
  const joined = Object.entries(event.refs ?? {}).filter(([name]) => /^tool|^message$/.test(name));
  note(
    "joins   ",
    joined.map(([name, id]) => `${name} ${id}`),
  );
  lines.push(`${indent}id       ${event.id}`);
  return lines;
}

/** `$2 = 'Kim'`. */
export function describeValue(value: RecordedValue, i: number): string {
  if (value === null) return `$${i + 1} = NULL`;
  if (typeof value === "string") return `$${i + 1} = '${value}'`;
  if ("more" in value) return `… and ${value.more} more`;
  const shown = "text" in value && value.text !== undefined ? `'${value.text}` : `\\x${value.hex ?? ""}`;
  return `$${i + 1} = ${shown}${"isCut" in value ? `… (cut, ${value.bytes} bytes)` : ""}`;
}

function describeCause(cause: unknown): string {
  if (typeof cause !== "object" || cause === null) return String(cause);
  const fields = Object.entries(cause);
  const message = fields.find(([name]) => name === "message")?.[1];
  const source = fields.find(([name]) => name === "rule" || name === "code")?.[1];
  return [source, message].filter((part) => typeof part === "string").join(": ");
}
