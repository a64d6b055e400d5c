// rows on their way to the client -> which canaries are among them. Looks on: nothing is held back or changed by it.

/** A text that stands in one row and nowhere else: whoever gets it has read that row. */
export type CanaryRow = { readonly name: string; readonly text: string };

type Token = { readonly name: string; readonly bytes: Buffer };

/** For one run of a statement. A text is found wherever it stands, also where a piece ends within it. */
export class CanaryScan {
  readonly #tokens: readonly Token[];
  /** Bytes before a piece that a text may have begun in. */
  readonly #tailMax: number;
  #tail: Buffer = Buffer.alloc(0);
  readonly found = new Set<string>();

  constructor(tokens: readonly Token[]) {
    this.#tokens = tokens;
    this.#tailMax = Math.max(0, ...tokens.map(({ bytes }) => bytes.length)) - 1;
  }

  /** Pieces in order. What is kept of one is copied: its memory is used again. */
  add(piece: Buffer): void {
    // A text that spans both lies in the seam; one within the piece is found without copying it.
    const seam = Buffer.concat([this.#tail, piece.subarray(0, this.#tailMax)]);
    for (const { name, bytes } of this.#tokens) {
      if (!this.found.has(name) && (piece.includes(bytes) || seam.includes(bytes))) this.found.add(name);
    }
    const kept = Buffer.concat([this.#tail, piece.subarray(Math.max(0, piece.length - this.#tailMax))]);
    this.#tail = kept.subarray(Math.max(0, kept.length - this.#tailMax));
  }
}

/** undefined: there are none, and nobody looks. */
export function canaryScanner(rows: readonly CanaryRow[]): (() => CanaryScan) | undefined {
  const tokens = rows.map(({ name, text }) => ({ name, bytes: Buffer.from(text, "utf8") }));
  return tokens.length === 0 ? undefined : () => new CanaryScan(tokens);
}
