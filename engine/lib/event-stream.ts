// bytes -> server-sent events -> text. HTML Living Standard, section 9.2 "Server-sent events".
import { err, ok, type Result } from "./result.ts";

export type StreamEvent = {
  /** undefined: the field was absent. An event may consist of an id alone. */
  readonly id: string | undefined;
  readonly event: string | undefined;
  readonly data: string | undefined;
  readonly retry: string | undefined;
  /** Comment lines; keep a connection alive. */
  readonly comments: readonly string[];
};

export type EventFault = "event-too-long" | "not-utf8";

/** Takes chunks at any cuts. Events come out when their blank line has come; what is left at the end is no event. */
export class EventReader {
  readonly #bytesMax: number;
  readonly #decoder = new TextDecoder("utf-8", { fatal: true });
  #text = "";
  #size = 0;
  #isFirst = true;
  #endedWithReturn = false;
  #lines: string[] = [];

  /** `bytesMax`: of one event. */
  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  push(chunk: Uint8Array): Result<readonly StreamEvent[], EventFault> {
    let text: string;
    try {
      text = this.#decoder.decode(chunk, { stream: true });
    } catch {
      return err("not-utf8");
    }
    if (this.#isFirst && text !== "") {
      this.#isFirst = false;
      text = text.replace(/^\ufeff/, "");
    }
    // CR LF may be cut in two.
    if (this.#endedWithReturn && text.startsWith("\n")) text = text.slice(1);
    if (text !== "") this.#endedWithReturn = text.endsWith("\r");
    this.#text += text;
    const events: StreamEvent[] = [];
    let start = 0;
    const lineEnd = /\r\n|\n|\r/g;
    for (let match = lineEnd.exec(this.#text); match !== null; match = lineEnd.exec(this.#text)) {
      const line = this.#text.slice(start, match.index);
      start = match.index + match[0].length;
      if (line !== "") {
        this.#lines.push(line);
        this.#size += line.length;
        if (this.#size > this.#bytesMax) return err("event-too-long");
        continue;
      }
      if (this.#lines.length > 0) events.push(readEvent(this.#lines));
      this.#lines = [];
      this.#size = 0;
    }
    this.#text = this.#text.slice(start);
    return this.#size + this.#text.length > this.#bytesMax ? err("event-too-long") : ok(events);
  }
}

function readEvent(lines: readonly string[]): StreamEvent {
  let id: string | undefined;
  let event: string | undefined;
  let retry: string | undefined;
  const data: string[] = [];
  const comments: string[] = [];
  for (const line of lines) {
    const colon = line.indexOf(":");
    const name = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (colon === 0) comments.push(value);
    else if (name === "data") data.push(value);
    else if (name === "id" && !value.includes("\0")) id = value;
    else if (name === "event") event = value;
    else if (name === "retry" && /^\d+$/.test(value)) retry = value;
  }
  return { id, event, data: data.length === 0 ? undefined : data.join("\n"), retry, comments };
}

/** Values must not hold line ends, `data` may. */
export function writeEvent(event: Partial<StreamEvent>): string {
  let text = "";
  for (const comment of event.comments ?? []) text += `:${comment}\n`;
  if (event.event !== undefined) text += `event: ${event.event}\n`;
  if (event.id !== undefined) text += `id: ${event.id}\n`;
  if (event.retry !== undefined) text += `retry: ${event.retry}\n`;
  for (const line of event.data?.split(/\r\n|\n|\r/) ?? []) text += `data: ${line}\n`;
  return `${text}\n`;
}
