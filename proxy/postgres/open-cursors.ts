// DECLAREs that were released -> those whose cursor may still be open. FETCH names a cursor, not what it reads.
import type { Release } from "./session-state.ts";

type Cursor = { readonly release: Release; readonly segment: number; readonly mayOutliveTransaction: boolean };

/**
 * Kept too long rather than too short: CLOSE and ROLLBACK TO leave an entry where it is. One text has one cursor's name, so
 * a second DECLARE of it stands for the same cursor.
 */
export class OpenCursors {
  readonly #byText = new Map<string, Cursor>();

  get size(): number {
    return this.#byText.size;
  }

  /** Every statement that is sent passes here; only DECLARE and DISCARD ALL do something. */
  sent(release: Release, segment: number): void {
    const { statement, rewritten } = release;
    if (statement?.facts.verb !== "declare") return;
    const mayOutliveTransaction = /\bhold\b/i.test(rewritten.text);
    this.#byText.set(rewritten.text, { release, segment, mayOutliveTransaction });
  }

  /** No transaction is open behind `segment`: of what was sent up to there only WITH HOLD is left. */
  transactionEnded(segment: number): void {
    for (const [text, cursor] of this.#byText) {
      if (cursor.segment <= segment && !cursor.mayOutliveTransaction) this.#byText.delete(text);
    }
  }

  discarded(): void {
    this.#byText.clear();
  }

  releases(): readonly Release[] {
    return [...this.#byText.values()].map((cursor) => cursor.release);
  }
}
