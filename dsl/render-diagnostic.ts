// diagnostic -> what a terminal, an editor, a CI log shows
import type { Span } from "../engine/lib/span.ts";
import type { Diagnostic } from "./diagnostic.ts";
import { LineMap } from "./source.ts";

/** How parts of a report are coloured; `plainPalette` leaves them as they are. */
export type Palette = {
  readonly error: (text: string) => string;
  readonly warning: (text: string) => string;
  /** Line numbers and bars. */
  readonly gutter: (text: string) => string;
  /** The headline. */
  readonly headline: (text: string) => string;
  /** `help:` and `note:`. */
  readonly hint: (text: string) => string;
};

const asIs = (text: string): string => text;
export const plainPalette: Palette = { error: asIs, warning: asIs, gutter: asIs, headline: asIs, hint: asIs };

/** Columns of source text in a frame: a longer line is cut around the place that it is about. */
const frameColumnsMax = 120;

/** The texts that diagnostics are about, with their lines found once. A path that is not there gets no frame. */
export class Sources {
  readonly #lines = new Map<string, LineMap>();

  constructor(texts: Iterable<readonly [path: string, text: string]> = []) {
    for (const [path, text] of texts) this.add(path, text);
  }

  add(path: string, text: string): void {
    this.#lines.set(path, new LineMap(text));
  }

  linesOf(path: string): LineMap | undefined {
    return this.#lines.get(path);
  }
}

/** `error[E0102]: …` with its code frame, notes and help. Ends without a line break. */
export function renderDiagnostic(diagnostic: Diagnostic, sources: Sources, palette: Palette = plainPalette): string {
  const paint = diagnostic.severity === "error" ? palette.error : palette.warning;
  const marks: Mark[] = [
    { path: diagnostic.path, span: diagnostic.span, label: diagnostic.label ?? "", isPrimary: true },
    ...diagnostic.related.map((place) => ({ ...place, isPrimary: false })),
  ];
  const here = marks.filter((mark) => mark.path === diagnostic.path);
  const map = sources.linesOf(diagnostic.path);
  const width = map ? Math.max(...here.map((mark) => String(map.positionOf(mark.span.start).line).length)) : 1;
  const pad = " ".repeat(width);

  const lines = [
    `${paint(`${diagnostic.severity}[${diagnostic.code}]`)}${palette.headline(`: ${diagnostic.message}`)}`,
  ];
  if (map) {
    const at = map.positionOf(diagnostic.span.start);
    lines.push(`${pad}${palette.gutter("-->")} ${diagnostic.path}:${at.line}:${at.column}`);
    lines.push(...frame(map, here, pad, paint, palette));
  } else lines.push(`${pad}${palette.gutter("-->")} ${diagnostic.path}`);
  for (const note of diagnostic.notes) lines.push(remark(pad, "note", note, palette));
  for (const place of diagnostic.related.filter((r) => r.path !== diagnostic.path)) {
    const at = sources.linesOf(place.path)?.positionOf(place.span.start);
    lines.push(remark(pad, "note", `${place.label}: ${place.path}${at ? `:${at.line}:${at.column}` : ""}`, palette));
  }
  for (const help of diagnostic.help) lines.push(remark(pad, "help", help, palette));
  return lines.join("\n");
}

type Mark = { readonly path: string; readonly span: Span; readonly label: string; readonly isPrimary: boolean };

const remark = (pad: string, kind: "note" | "help", text: string, palette: Palette): string => {
  const indent = `\n${pad}${" ".repeat(9)}`;
  return `${pad} ${palette.gutter("=")} ${palette.hint(`${kind}:`)} ${text.replaceAll("\n", indent)}`;
};

/** Lines with marks in their order; an empty bar stands for the lines between two that are not neighbours. */
function frame(
  map: LineMap,
  marks: readonly Mark[],
  pad: string,
  paint: Palette["error"],
  palette: Palette,
): readonly string[] {
  const bar = palette.gutter("|");
  const out = [`${pad} ${bar}`];
  const byLine = new Map<number, Mark[]>();
  for (const mark of marks) {
    const { line } = map.positionOf(mark.span.start);
    byLine.set(line, [...(byLine.get(line) ?? []), mark]);
  }
  let previous: number | undefined;
  for (const line of [...byLine.keys()].sort((a, b) => a - b)) {
    if (previous !== undefined && line > previous + 1) out.push(`${pad} ${bar}`);
    previous = line;
    const here = (byLine.get(line) ?? []).sort((a, b) => Number(b.isPrimary) - Number(a.isPrimary));
    const window = windowOf(map, line, here[0]?.span);
    const number = palette.gutter(String(line).padStart(pad.length));
    out.push(`${number} ${bar} ${window.text}`.trimEnd());
    for (const mark of here) {
      // a place that is only shown, not marked
      if (!mark.isPrimary && mark.label === "") continue;
      const { indent, width } = window.place(mark.span);
      const carets = (mark.isPrimary ? "^" : "-").repeat(width);
      out.push(`${pad} ${bar} ${indent}${paint(`${carets}${mark.label === "" ? "" : ` ${mark.label}`}`)}`);
    }
  }
  return out;
}

type Window = {
  readonly text: string;
  readonly place: (span: Span) => { readonly indent: string; readonly width: number };
};

/** The line, or the part of it around `span`, made safe to print. */
function windowOf(map: LineMap, line: number, span: Span | undefined): Window {
  const start = map.offsetOf({ line, column: 1 });
  const full = map.lineText(line);
  let from = 0;
  let to = full.length;
  if (full.length > frameColumnsMax && span) {
    const column = span.start - start;
    const length = Math.min(span.end - span.start, frameColumnsMax / 2);
    from = Math.max(0, Math.min(column - 20, full.length - frameColumnsMax));
    to = Math.min(full.length, Math.max(from + frameColumnsMax, column + length));
  }
  const head = from > 0 ? "…" : "";
  const tail = to < full.length ? "…" : "";
  const shown = full.slice(from, to);
  return {
    text: `${head}${printable(shown)}${tail}`,
    place: (at) => {
      const begin = Math.max(from, Math.min(at.start - start, to));
      const end = Math.max(begin, Math.min(at.end - start, to));
      const before = head + printable(full.slice(from, begin));
      const indent = before.replace(/[^\t]/gu, (char) => " ".repeat(columnsOf(char)));
      return { indent, width: Math.max(1, columnsOf(printable(full.slice(begin, end)))) };
    },
  };
}

/** What would move the cursor or hide text on a terminal becomes a visible sign. */
const printable = (text: string): string =>
  text.replace(
    /[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufffe\uffff]/g,
    "\ufffd",
  );

const wide =
  /[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]|\p{Emoji_Presentation}/u;

function columnsOf(text: string): number {
  let columns = 0;
  for (const char of text) columns += /\p{M}/u.test(char) ? 0 : wide.test(char) ? 2 : 1;
  return columns;
}

// ---- several at once

export type ReportFormat = "text" | "json" | "sarif" | "github";

export function renderDiagnostics(
  diagnostics: readonly Diagnostic[],
  sources: Sources,
  format: ReportFormat = "text",
  palette: Palette = plainPalette,
): string {
  switch (format) {
    case "text":
      return renderText(diagnostics, sources, palette);
    case "json":
      return JSON.stringify(
        diagnostics.map((diagnostic) => jsonOf(diagnostic, sources)),
        null,
        2,
      );
    case "sarif":
      return JSON.stringify(sarifOf(diagnostics, sources), null, 2);
    case "github":
      return diagnostics.map((diagnostic) => githubOf(diagnostic, sources)).join("\n");
  }
}

function renderText(diagnostics: readonly Diagnostic[], sources: Sources, palette: Palette): string {
  if (diagnostics.length === 0) return "";
  const errors = diagnostics.filter((d) => d.severity === "error").length;
  const warnings = diagnostics.length - errors;
  const count = (n: number, word: string): readonly string[] => (n === 0 ? [] : [`${n} ${word}${n === 1 ? "" : "s"}`]);
  const summary = [...count(errors, "error"), ...count(warnings, "warning")].join(", ");
  return [...diagnostics.map((d) => renderDiagnostic(d, sources, palette)), summary].join("\n\n");
}

const regionOf = (path: string, span: Span, sources: Sources) => {
  const map = sources.linesOf(path);
  if (!map) return undefined;
  const start = map.positionOf(span.start);
  const end = map.positionOf(span.end);
  return { startLine: start.line, startColumn: start.column, endLine: end.line, endColumn: end.column };
};

const jsonOf = (diagnostic: Diagnostic, sources: Sources) => ({
  ...diagnostic,
  region: regionOf(diagnostic.path, diagnostic.span, sources),
  related: diagnostic.related.map((place) => ({ ...place, region: regionOf(place.path, place.span, sources) })),
});

/** SARIF 2.1.0, as code hosts import it. */
function sarifOf(diagnostics: readonly Diagnostic[], sources: Sources) {
  const locationOf = (path: string, span: Span) => ({
    physicalLocation: { artifactLocation: { uri: path }, region: regionOf(path, span, sources) },
  });
  const rules = [...new Set(diagnostics.map((d) => d.code))].sort().map((id) => ({ id }));
  return {
    $schema: "https://json.schemastore.org/sarif-2.1.0.json",
    version: "2.1.0",
    runs: [
      {
        tool: { driver: { name: "gatewright", rules } },
        results: diagnostics.map((d) => ({
          ruleId: d.code,
          level: d.severity,
          message: { text: [d.message, ...d.notes, ...d.help.map((help) => `help: ${help}`)].join("\n") },
          locations: [locationOf(d.path, d.span)],
          relatedLocations: d.related.map((r) => ({ ...locationOf(r.path, r.span), message: { text: r.label } })),
        })),
      },
    ],
  };
}

/** A workflow command: GitHub shows it beside the line of a pull request. */
function githubOf(diagnostic: Diagnostic, sources: Sources): string {
  const property = (text: string): string =>
    text
      .replaceAll("%", "%25")
      .replaceAll("\r", "%0D")
      .replaceAll("\n", "%0A")
      .replaceAll(":", "%3A")
      .replaceAll(",", "%2C");
  const data = (text: string): string => text.replaceAll("%", "%25").replaceAll("\r", "%0D").replaceAll("\n", "%0A");
  const region = regionOf(diagnostic.path, diagnostic.span, sources);
  const place = region
    ? `,line=${region.startLine},endLine=${region.endLine},col=${region.startColumn},endColumn=${region.endColumn}`
    : "";
  const text = [diagnostic.message, ...diagnostic.notes, ...diagnostic.help.map((help) => `help: ${help}`)].join("\n");
  return `::${diagnostic.severity} file=${property(diagnostic.path)}${place},title=${property(diagnostic.code)}::${data(text)}`;
}
