// recorded events -> frames: what is shown, when, and inside which transaction
import type { RecordedEvent } from "../proxy/recording/read.ts";
import { renderEvents } from "./session-view.ts";

export type Frame = {
  readonly event: RecordedEvent;
  /** From the first frame of all, ms; never less than the frame before: clocks jump. */
  readonly offsetMs: number;
  readonly lines: readonly string[];
  /** What goes on around it, once it has happened. */
  readonly transaction: "none" | "began" | "open" | "committed" | "rolled-back";
};

export type FrameFilter = "all" | "denied" | "held" | "errors";

/** Transactions follow PostgreSQL's command tags, each session by itself. */
export function framesOf(events: readonly RecordedEvent[]): readonly Frame[] {
  const lines = renderEvents(events);
  const open = new Set<string>();
  const texts = new Map(events.flatMap((e) => (e.type === "statement" ? [[e.id, e.statement] as const] : [])));
  const startMs = events[0]?.atMs ?? 0;
  let offsetMs = 0;
  return events.map((event, i) => {
    offsetMs = Math.max(offsetMs, event.atMs - startMs);
    return { event, offsetMs, lines: lines[i] ?? [], transaction: step(open, event, texts) };
  });
}

function step(open: Set<string>, event: RecordedEvent, texts: ReadonlyMap<string, string>): Frame["transaction"] {
  const { session } = event;
  if (event.type === "session-end" && open.delete(session)) return "rolled-back";
  if (event.type === "completion" && event.outcome === "ok") {
    const tag = event.tag ?? "";
    if (tag === "BEGIN" || tag === "START TRANSACTION") {
      open.add(session);
      return "began";
    }
    // COMMIT of a failed transaction answers ROLLBACK. ROLLBACK TO does as well, and its transaction goes on.
    const isToSavepoint = /^\s*rollback(\s+(work|transaction))?\s+to\b/i.test(texts.get(event.id) ?? "");
    if (tag === "ROLLBACK" && !isToSavepoint && open.delete(session)) return "rolled-back";
    if ((tag === "COMMIT" || tag === "PREPARE TRANSACTION") && open.delete(session)) return "committed";
  }
  return open.has(session) ? "open" : "none";
}

/** With what belongs to them: the session's head and end, and how a shown statement ended. */
export function filtered(frames: readonly Frame[], filter: FrameFilter): readonly Frame[] {
  if (filter === "all") return frames;
  const wanted = new Set<string>();
  for (const { event } of frames) {
    if (event.type === "statement" && filter === "denied" && event.effect === "deny") wanted.add(event.id);
    if (event.type === "statement" && filter === "held" && event.effect === "approval") wanted.add(event.id);
    if (event.type === "completion" && filter === "errors" && event.outcome !== "ok") wanted.add(event.id);
  }
  return frames.filter(({ event }) => {
    if (event.type === "session-start" || event.type === "session-end") return true;
    if (event.type === "approval") return wanted.has(event.statementId);
    return "id" in event && wanted.has(event.id);
  });
}

/** From the statement `to` on, or from so many ms after the start; undefined: there is no such place. */
export function jumped(frames: readonly Frame[], to: string): readonly Frame[] | undefined {
  const byId = frames.findIndex(({ event }) => "id" in event && event.id === to);
  if (byId >= 0) return frames.slice(byId);
  const [, amount, unit] = /^(\d+(?:\.\d+)?)(ms|s|m|h)$/.exec(to) ?? [];
  const factor = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 }[unit ?? ""];
  if (factor === undefined) return undefined;
  const at = frames.findIndex(({ offsetMs }) => offsetMs >= Number(amount) * factor);
  return at < 0 ? undefined : frames.slice(at);
}

const bars: Readonly<Record<Frame["transaction"], string>> = {
  none: "  ",
  began: "┌ ",
  open: "│ ",
  committed: "└ ",
  "rolled-back": "└ ",
};
const words: Readonly<Record<Frame["transaction"], string>> = {
  none: "",
  began: "  (transaction)",
  open: "",
  committed: "  (committed)",
  "rolled-back": "  (rolled back)",
};

/** A bar at the left while a transaction is open; where it begins and ends is said in words. */
export const drawn = ({ lines, transaction }: Frame): string =>
  lines
    .map((line, i) => `${bars[transaction]}${line}${i === lines.length - 1 ? words[transaction] : ""}`.trimEnd())
    .join("\n");
