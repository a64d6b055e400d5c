import type { Terminal } from "../../cli/terminal.ts";

export type CapturedTerminal = Terminal & {
  readonly stdout: () => string;
  readonly stderr: () => string;
  /** Both, in the order in which they were written. */
  readonly text: () => string;
};

/** A terminal that keeps what is written to it. */
export function captured(options: Partial<Pick<Terminal, "hasColor" | "columns">> = {}): CapturedTerminal {
  const written: (readonly ["out" | "err", string])[] = [];
  const of = (stream: "out" | "err") => written.flatMap(([s, text]) => (s === stream ? [text] : [])).join("");
  return {
    out: (text) => void written.push(["out", text]),
    err: (text) => void written.push(["err", text]),
    hasColor: options.hasColor ?? false,
    columns: options.columns ?? 100,
    stdout: () => of("out"),
    stderr: () => of("err"),
    text: () => written.map(([, text]) => text).join(""),
  };
}
