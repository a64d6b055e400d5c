// frames -> one file: JSON, an HTML page without anything from elsewhere, an asciinema cast
import { drawn, type Frame } from "./session-frames.ts";
import { showText } from "./show-text.ts";

export type ExportFormat = "json" | "html" | "cast";

export function exported(frames: readonly Frame[], format: ExportFormat, title: string): string {
  switch (format) {
    case "json":
      return `${JSON.stringify({ gatewright: "session/1", title, events: frames.map(({ event }) => event) }, null, 2)}\n`;
    case "html":
      return htmlOf(frames, title);
    case "cast":
      return castOf(frames, title);
  }
}

/** @see https://docs.asciinema.org/manual/asciicast/v2/ */
function castOf(frames: readonly Frame[], title: string): string {
  const timestamp = Math.floor((frames[0]?.event.atMs ?? 0) / 1_000);
  const head = { version: 2, width: 120, height: 40, timestamp, title: showText(title), idle_time_limit: 2 };
  const lines = frames.map((frame) =>
    JSON.stringify([frame.offsetMs / 1_000, "o", `${drawn(frame)}\n`.replaceAll("\n", "\r\n")]),
  );
  return `${[JSON.stringify(head), ...lines].join("\n")}\n`;
}

const entities: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};
/** For text and for attributes in quotes: recorded text is whatever a hostile client sent. */
const escaped = (text: string): string => showText(text).replaceAll(/[&<>"']/g, (c) => entities[c] ?? "");

function htmlOf(frames: readonly Frame[], title: string): string {
  const denied = frames.filter(({ event }) => event.type === "statement" && event.effect === "deny").length;
  const statements = frames.filter(({ event }) => event.type === "statement").length;
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="referrer" content="no-referrer">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escaped(title)}</title>
<style>
body { font: 14px/1.5 system-ui, sans-serif; margin: 2em auto; max-width: 75em; padding: 0 1em; color: #1a1a1a; background: #fff }
section { border-left: 3px solid #ccc; margin: .4em 0; padding: .2em .8em }
section.deny { border-color: #b00020; background: #fdf1f3 } section.approval { border-color: #b26a00; background: #fff8ec }
section.allow { border-color: #2e7d32 } section.in { margin-left: 2em }
pre { margin: 0; white-space: pre-wrap; overflow-wrap: anywhere; font: 13px/1.45 ui-monospace, monospace }
time { color: #666; font-size: 12px }
@media (prefers-color-scheme: dark) { body { color: #e6e6e6; background: #141414 } section.deny { background: #2a1316 } section.approval { background: #2a2110 } time { color: #999 } }
</style>
</head>
<body>
<h1>${escaped(title)}</h1>
<p>${statements} statements, ${denied} denied. Exported from a recording; the recording itself is the evidence, and <code>gw audit prove</code> proves what is in it.</p>
${frames.map(sectionOf).join("\n")}
</body>
</html>
`;
}

function sectionOf(frame: Frame): string {
  const { event, transaction } = frame;
  const kind = event.type === "statement" ? event.effect : "other";
  const inside = transaction === "none" ? "" : " in";
  const when = new Date(event.atMs).toISOString();
  return `<section class="${kind}${inside}"><time datetime="${when}">${when} · line ${event.seq}</time><pre>${escaped(drawn(frame))}</pre></section>`;
}
