// a recorded result -> lines for a person, every character of it harmless
import type { RecordedResult, RecordedValue } from "../engine/model/session-event.ts";
import { showLine, showText } from "./show-text.ts";

/** `sent`: rows that the client got in all. */
export function renderResult(result: RecordedResult, sent: number): readonly string[] {
  if ("rows" in result) {
    const { columns, rows, isCut } = result;
    const lines = rows.map((row) => `| ${row.map((value) => showLine(valueText(value))).join(" | ")}`);
    const head = columns === undefined ? [] : [`| ${columns.map(showLine).join(" | ")}`];
    return ["result", ...head, ...lines, ...(isCut ? [`[cut here: ${rows.length} of ${sent} rows are recorded]`] : [])];
  }
  if ("copy" in result) {
    const { copy } = result;
    return ["result", ...textLines(valueText(copy)), ...(result.isCut ? [cutNote(copy)] : [])];
  }
  const { media, coding, text, hex, isCut, bytes } = result;
  const about = [media, coding].filter((part) => part !== undefined).map(showLine);
  return [
    ["result", ...about].join(" "),
    ...textLines(text ?? `\\x${hex ?? ""}`),
    ...(isCut ? [`[cut here: the whole has ${bytes} bytes]`] : []),
  ];
}

const textLines = (text: string): readonly string[] =>
  showText(text.trimEnd())
    .split("\n")
    .map((line) => `| ${line}`);

function valueText(value: RecordedValue): string {
  if (value === null) return "NULL";
  if (typeof value === "string") return value;
  if ("more" in value) return `… and ${value.more} more`;
  const shown = "text" in value && value.text !== undefined ? value.text : `\\x${value.hex ?? ""}`;
  return "isCut" in value ? `${shown}… (cut, ${value.bytes} bytes)` : shown;
}

const cutNote = (value: RecordedValue): string =>
  typeof value === "object" && value !== null && "bytes" in value
    ? `[cut here: the whole has ${value.bytes} bytes]`
    : "[cut here]";
