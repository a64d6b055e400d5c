// Reads one JSON object of a policy's answer: every key must be asked for, whatever is left over is a mistake.
import type { Limits } from "../limits.ts";

/** What is wrong, as one lower-case clause that names the place. Never quotes a value: it may be content. */
export class BadAnswer extends Error {}

export class AnswerReader {
  readonly where: string;
  readonly #limits: Limits;
  readonly #object: object;
  readonly #left: Set<string>;

  constructor(value: unknown, where: string, limits: Limits) {
    if (typeof value !== "object" || value === null || Array.isArray(value)) {
      throw new BadAnswer(`${where} must be an object`);
    }
    this.where = where;
    this.#limits = limits;
    this.#object = value;
    this.#left = new Set(Object.keys(value));
  }
  bad(key: string, must: string): BadAnswer {
    return new BadAnswer(`\`${key}\` of ${this.where} ${must}`);
  }
  has(key: string): boolean {
    return Object.hasOwn(this.#object, key);
  }
  take(key: string): unknown {
    this.#left.delete(key);
    return this.has(key) ? Reflect.get(this.#object, key) : undefined;
  }
  boolean(key: string): boolean {
    const value = this.take(key);
    if (typeof value !== "boolean") throw this.bad(key, "must be true or false");
    return value;
  }
  text(key: string): string {
    return this.#asText(key, this.take(key));
  }
  optionalText(key: string): string | undefined {
    return this.has(key) ? this.text(key) : undefined;
  }
  /** A name of a rule, a fact or an effect: letters, digits, `_`, with dots between. */
  optionalName(key: string): string | undefined {
    return this.has(key) ? this.#asName(key, this.take(key)) : undefined;
  }
  names(key: string): readonly string[] {
    return this.#items(key).map((item) => this.#asName(key, item));
  }
  texts(key: string): readonly string[] {
    return this.#items(key).map((item) => this.#asText(key, item));
  }
  /** A whole number from 0. */
  count(key: string): number {
    const value = this.take(key);
    if (typeof value !== "number" || !Number.isSafeInteger(value) || value < 0) {
      throw this.bad(key, "must be a whole number from 0");
    }
    return value;
  }
  optionalCount(key: string): number | undefined {
    return this.has(key) ? this.count(key) : undefined;
  }
  oneOf<T extends string>(key: string, values: readonly T[]): T {
    const value = this.take(key);
    const found = values.find((v) => v === value);
    if (found === undefined) throw this.bad(key, `must be one of ${values.join(", ")}`);
    return found;
  }
  /** `shorthand`: the key that a bare string stands for. */
  list<T>(key: string, read: (entry: AnswerReader) => T, shorthand?: string): readonly T[] {
    return this.#items(key).map((item) => {
      const value = typeof item === "string" && shorthand !== undefined ? { [shorthand]: item } : item;
      return this.#nested(value, key, read);
    });
  }
  object<T>(key: string, read: (entry: AnswerReader) => T): T {
    return this.#nested(this.take(key), key, read);
  }
  items(key: string): readonly unknown[] {
    return this.#items(key);
  }
  reader(value: unknown, key: string): AnswerReader {
    return new AnswerReader(value, `\`${key}\``, this.#limits);
  }
  end(): void {
    if (this.#left.size > 0) throw new BadAnswer(`${this.where} has a key that it may not have`);
  }
  #nested<T>(value: unknown, key: string, read: (entry: AnswerReader) => T): T {
    const entry = this.reader(value, key);
    const result = read(entry);
    entry.end();
    return result;
  }
  #items(key: string): readonly unknown[] {
    const value = this.take(key);
    if (value === undefined) return [];
    if (!Array.isArray(value)) throw this.bad(key, "must be a list or a set");
    if (value.length > this.#limits.regoAnswerEntriesMax) throw this.bad(key, "has too many entries");
    return value;
  }
  #asText(key: string, value: unknown): string {
    if (typeof value !== "string" || value === "" || !value.isWellFormed()) throw this.bad(key, "must be a text");
    if (value.length > this.#limits.regoTextCharsMax) throw this.bad(key, "is too long");
    return value;
  }
  #asName(key: string, value: unknown): string {
    const text = this.#asText(key, value);
    if (!/^[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*$/.test(text)) throw this.bad(key, "must be a name");
    return text;
  }
}
