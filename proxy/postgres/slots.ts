// names of prepared statements or portals -> what they stand for, in step with the server.

export type Slot<T> =
  | { readonly kind: "holds"; readonly value: T }
  | { readonly kind: "empty" }
  /**
   * An earlier part of the pipeline (before a Sync or Query) changed the name, and the server may yet skip that
   * change: which object the name means isn't known before it has answered.
   */
  | { readonly kind: "unsettled" };

type Pending<T> = { readonly segment: number; readonly value: T | undefined };

/**
 * One name space of a session (prepared statements, or portals). A change is `announced` when its message is sent and
 * takes effect when the server has confirmed it; an error drops what was announced in its segment. A segment is the
 * stretch of a pipeline up to a Sync or a simple Query: within one, a message after a failed one is skipped by the
 * server too, so an announced change may be relied upon; across segments it may not.
 *
 * INVARIANT: a name never stands for something that the server might not run under it.
 */
export class Slots<T> {
  readonly #confirmed = new Map<string, T>();
  readonly #pending = new Map<string, Pending<T>>();
  #clearing: number | undefined;

  get size(): number {
    return this.#confirmed.size + this.#pending.size;
  }

  /** What `name` means to a message of `segment`. */
  get(name: string, segment: number): Slot<T> {
    const pending = this.#pending.get(name);
    if (pending) return pending.segment === segment ? slotOf(pending.value) : { kind: "unsettled" };
    if (this.#clearing !== undefined && name !== "")
      return this.#clearing === segment ? { kind: "empty" } : { kind: "unsettled" };
    return slotOf(this.#confirmed.get(name));
  }

  /** A message that gives the name to `value`, or frees it (`undefined`), is on its way. */
  announce(name: string, value: T | undefined, segment: number): void {
    this.#pending.set(name, { segment, value });
  }

  /** A message that frees every name is on its way: DEALLOCATE ALL and DISCARD ALL spare what has no name. */
  announceClear(segment: number): void {
    const unnamed = this.#pending.get("");
    this.#pending.clear();
    if (unnamed) this.#pending.set("", unnamed);
    this.#clearing = segment;
  }

  /** The server did it. */
  confirm(name: string, value: T | undefined): void {
    if (value === undefined) this.#confirmed.delete(name);
    else this.#confirmed.set(name, value);
    const pending = this.#pending.get(name);
    if (pending && pending.value === value) this.#pending.delete(name);
  }

  confirmClear(): void {
    const unnamed = this.#confirmed.get("");
    this.#confirmed.clear();
    if (unnamed !== undefined) this.#confirmed.set("", unnamed);
    this.#clearing = undefined;
  }

  /** Every name is free, the empty one too: portals after their transaction. */
  reset(): void {
    this.#confirmed.clear();
    this.#clearing = undefined;
  }

  /** The server has answered all of `segment`: what it didn't confirm, it didn't do. */
  settle(segment: number): void {
    if (this.#pending.size > 0) {
      for (const [name, pending] of this.#pending) if (pending.segment <= segment) this.#pending.delete(name);
    }
    if (this.#clearing !== undefined && this.#clearing <= segment) this.#clearing = undefined;
  }
}

function slotOf<T>(value: T | undefined): Slot<T> {
  return value === undefined ? { kind: "empty" } : { kind: "holds", value };
}
