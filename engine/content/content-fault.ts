// What a mask can't read, or a limit doesn't allow: thrown inside of transformers, caught at their outside.

export type ContentFaultCode = "answer-unreadable" | "answer-too-large" | "answer-schema";

/** `why` is a few words without content of the answer. */
export class ContentFaultError extends Error {
  override readonly name = "ContentFaultError";
  readonly code: ContentFaultCode;
  readonly why: string;
  constructor(code: ContentFaultCode, why: string) {
    super(why);
    this.code = code;
    this.why = why;
  }
}

export const unreadable = (why: string): ContentFaultError => new ContentFaultError("answer-unreadable", why);
export const tooLarge = (why: string): ContentFaultError => new ContentFaultError("answer-too-large", why);

/** Text in, text out; cut anywhere. Both throw ContentFaultError. */
export type Transformer = {
  readonly push: (text: string) => string;
  /** What is still owed when the text ends. */
  readonly end: () => string;
  /** Items, rows or events so far. */
  readonly count: () => number;
};

export type CountLimit = { readonly max: number; readonly unit: string };

/** Counts; throws past the limit. */
export class Counted {
  readonly #limit: CountLimit | undefined;
  #count = 0;
  constructor(limit: CountLimit | undefined) {
    this.#limit = limit;
  }
  get count(): number {
    return this.#count;
  }
  add(): void {
    this.#count += 1;
    if (this.#limit !== undefined && this.#count > this.#limit.max) {
      throw tooLarge(`more than ${this.#limit.max} ${this.#limit.unit}`);
    }
  }
}
