// offsets of our diagnostics <-> positions of the protocol (0-based lines and UTF-16 columns)
import type { Position, Range } from "vscode-languageserver";
import type { LineMap } from "../../dsl/source.ts";
import type { Span } from "../../engine/lib/span.ts";

export const positionAt = (lines: LineMap, offset: number): Position => {
  const { line, column } = lines.positionOf(offset);
  return { line: line - 1, character: column - 1 };
};

export const rangeOf = (lines: LineMap, span: Span): Range => ({
  start: positionAt(lines, span.start),
  end: positionAt(lines, span.end),
});

export const offsetAt = (lines: LineMap, position: Position): number =>
  lines.offsetOf({ line: position.line + 1, column: position.character + 1 });
