import pc from "picocolors";
import type { Palette } from "../dsl/render-diagnostic.ts";
import type { Terminal } from "./terminal.ts";

export type Colors = ReturnType<typeof pc.createColors>;

export const colorsOf = (terminal: Terminal): Colors => pc.createColors(terminal.hasColor);

export function paletteOf(terminal: Terminal): Palette {
  const c = colorsOf(terminal);
  return {
    error: (text) => c.bold(c.red(text)),
    warning: (text) => c.bold(c.yellow(text)),
    gutter: c.cyan,
    headline: c.bold,
    hint: c.bold,
  };
}
