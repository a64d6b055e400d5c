// a bundle's folder -> checked rules, or its errors shown
import { renderDiagnostics, Sources } from "../dsl/render-diagnostic.ts";
import { paletteOf } from "./palette.ts";
import { type BundleFolder, compile, forReader } from "./read-bundle.ts";
import type { Terminal } from "./terminal.ts";

/** Compiles `bundle`; where that fails its errors go to stderr with their code frames, and the answer is `undefined`. */
export function compileOrShow(terminal: Terminal, bundle: BundleFolder): ReturnType<typeof compile> | undefined {
  const compiled = compile(bundle);
  const errors = compiled.diagnostics.filter((d) => d.severity === "error");
  if (errors.length === 0) return compiled;
  const shown = forReader(bundle, errors);
  terminal.err(`${renderDiagnostics(shown.diagnostics, new Sources(shown.texts), "text", paletteOf(terminal))}\n`);
  return undefined;
}
