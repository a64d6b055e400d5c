// text and markup -> HTML: whatever is put in is escaped, unless it is markup made here
import { visiblePieces } from "../approvals/visible.ts";

/** Markup that is safe to put into a page. */
export class Html {
  readonly markup: string;
  constructor(markup: string) {
    this.markup = markup;
  }
}

type Part = Html | string | number | readonly Html[];

/** `html\`<b>${name}</b>\``: texts are escaped, for places between tags and inside double quotes only. */
export function html(literal: TemplateStringsArray, ...parts: readonly Part[]): Html {
  let markup = literal[0] ?? "";
  parts.forEach((part, i) => {
    markup += markupOf(part) + (literal[i + 1] ?? "");
  });
  return new Html(markup);
}

function markupOf(part: Part): string {
  if (part instanceof Html) return part.markup;
  if (typeof part === "string" || typeof part === "number") return escapeText(String(part));
  return part.map((one) => one.markup).join("");
}

const entities: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

const escapeText = (text: string): string => text.replaceAll(/[&<>"']/g, (c) => entities[c] ?? "");

/** Every character shown: odd ones by name, and marked. */
export const shown = (text: string): Html =>
  new Html(
    visiblePieces(text)
      .map((piece) => (piece.kind === "odd" ? `<mark>${escapeText(piece.text)}</mark>` : escapeText(piece.text)))
      .join(""),
  );

/** The same on one line: tabs and line feeds are named too. */
export const shownLine = (text: string): Html => {
  const parts = text.split(/([\n\t])/);
  return new Html(
    parts
      .map((part) =>
        part === "\n" ? "<mark>⟨U+000A⟩</mark>" : part === "\t" ? "<mark>⟨U+0009⟩</mark>" : shown(part).markup,
      )
      .join(""),
  );
};
