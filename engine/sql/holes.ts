// Literals of a parse tree that tell when they are looked at: what nobody looked at, nothing depends on.
import { invariant } from "../lib/assert.ts";
import { quoteLiteral } from "../model/row-predicate.ts";
import type { CutText, Literal, LiteralKind } from "./literals.ts";

/** A yes or no about a constant's text. Pure: asked again of other values. */
export type ConstantTest = (text: string) => boolean;
export type Guard = { readonly slot: number; readonly test: ConstantTest; readonly outcome: boolean };

/**
 * The value of a constant, in the place of `{ ival: 7 }` or `{ sval: "a" }`. Whatever reads it, in whatever way, is noticed,
 * because the value is behind a getter; that it is there at all says no more than its kind.
 */
export class Hole {
  readonly watch: HoleWatch;
  readonly slot: number;
  constructor(watch: HoleWatch, slot: number, kind: LiteralKind) {
    // Not enumerable: a walk over the tree meets what the parser made, and nothing else.
    this.watch = watch;
    this.slot = slot;
    Object.defineProperty(this, "watch", { enumerable: false });
    Object.defineProperty(this, "slot", { enumerable: false });
    const get = (): number | string => watch.read(slot, kind);
    Object.defineProperty(this, fieldOf[kind], { enumerable: true, configurable: false, get });
  }
}

const fieldOf = { integer: "ival", decimal: "fval", string: "sval" } as const;

/** What was seen of the literals of one text. */
export class HoleWatch {
  readonly #literals: readonly Literal[];
  /** Slots whose value was read: the outcome may depend on it. Those that stand for no constant of the tree from the start. */
  readonly looked: Set<number>;
  readonly guards: Guard[] = [];
  #values: readonly string[];
  #isQuiet = false;

  constructor({ literals }: CutText) {
    this.#literals = literals;
    this.#values = literals.map((literal) => literal.value);
    this.looked = new Set(literals.keys());
  }

  /** Puts holes in the place of the tree's constants that are these literals, by their place in the text. */
  plant(tree: unknown, text: string): void {
    const slots = new Map(this.#literals.map(({ start }, slot) => [Buffer.byteLength(text.slice(0, start)), slot]));
    const visit = (value: unknown): void => {
      if (typeof value !== "object" || value === null) return;
      if ("A_Const" in value) this.#plantIn(value.A_Const, slots);
      else for (const child of Object.values(value)) visit(child);
    };
    visit(tree);
  }

  #plantIn(constant: unknown, slots: ReadonlyMap<number, number>): void {
    if (typeof constant !== "object" || constant === null || !("location" in constant)) return;
    const slot = typeof constant.location === "number" ? slots.get(constant.location) : undefined;
    const literal = slot === undefined ? undefined : this.#literals[slot];
    if (slot === undefined || literal === undefined) return;
    const field = fieldOf[literal.kind];
    const body: unknown = (constant as Record<string, unknown>)[field];
    if (typeof body !== "object" || body === null || body instanceof Hole) return;
    if (String((body as Record<string, unknown>)[field]) !== literal.value) return;
    Object.assign(constant, { [field]: new Hole(this, slot, literal.kind) });
    this.looked.delete(slot);
  }

  read(slot: number, kind: LiteralKind): number | string {
    if (!this.#isQuiet) this.looked.add(slot);
    const value = this.#values[slot];
    invariant(value !== undefined, "a hole has a literal");
    return kind === "integer" ? Number(value) : value;
  }

  /** Only the answer counts, not the value: a text with another value and the same answer goes the same way. */
  ask(slot: number, test: ConstantTest): boolean {
    const value = this.#values[slot];
    invariant(value !== undefined, "a hole has a literal");
    const outcome = test(value);
    if (!this.#isQuiet) this.guards.push({ slot, test, outcome });
    return outcome;
  }

  /** Whether `work` saw no more of the literals than was seen before. What it saw is forgotten. */
  isBlind(work: () => void): boolean {
    const looked = [...this.looked];
    const guards = this.guards.length;
    work();
    const isBlind = this.looked.size === looked.length && this.guards.length === guards;
    this.looked.clear();
    for (const slot of looked) this.looked.add(slot);
    this.guards.length = guards;
    return isBlind;
  }

  /** `work` may read without being noticed: it must not depend on what it reads. */
  quietly<T>(work: () => T): T {
    const before = this.#isQuiet;
    this.#isQuiet = true;
    try {
      return work();
    } finally {
      this.#isQuiet = before;
    }
  }

  /** `quietly`, with other values in the holes. */
  withValues<T>(values: readonly string[], work: () => T): T {
    const before = this.#values;
    this.#values = values;
    try {
      return this.quietly(work);
    } finally {
      this.#values = before;
    }
  }

  get values(): readonly string[] {
    return this.#values;
  }

  /** A printed text with its own literals in the holes. */
  filled(printed: string): string {
    return printed.replaceAll(pattern, (_, slot) => this.written(Number(slot), this.#values[Number(slot)]));
  }

  /** The text of a literal of this slot's kind. */
  written(slot: number, value: string | undefined): string {
    invariant(value !== undefined, "a hole has a literal");
    return this.#literals[slot]?.kind === "string" ? quoteLiteral(value) : value;
  }
}

/** What the printer writes for a hole, and for nothing else: the parser lets no NUL into a text. */
export const holeMark = (hole: Hole): string => `\0<${hole.slot}>`;

const pattern = /\0<(\d+)>/g;

/** Pieces of a printed text around its holes, and the slot behind each piece but the last. */
export function splitAtHoles(printed: string): {
  readonly pieces: readonly string[];
  readonly slots: readonly number[];
} {
  const pieces: string[] = [];
  const slots: number[] = [];
  let at = 0;
  for (const match of printed.matchAll(pattern)) {
    pieces.push(printed.slice(at, match.index));
    slots.push(Number(match[1]));
    at = match.index + match[0].length;
  }
  pieces.push(printed.slice(at));
  return { pieces, slots };
}
