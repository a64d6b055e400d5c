/** A queue whose `take` costs the same at any length. */
export class Fifo<T> {
  #items: (T | undefined)[] = [];
  #head = 0;
  #added = 0;

  /** How many were ever added. */
  get added(): number {
    return this.#added;
  }

  get length(): number {
    return this.#items.length - this.#head;
  }

  add(item: T): void {
    this.#items.push(item);
    this.#added += 1;
  }

  first(): T | undefined {
    return this.#items[this.#head];
  }

  /** Takes back what was added since `added` was `since`, as far as it wasn't taken, first added first. */
  takeBack(since: number): readonly T[] {
    const count = Math.min(this.#added - since, this.length);
    const back = count > 0 ? this.#items.splice(this.#items.length - count) : [];
    return back.filter((item) => item !== undefined);
  }

  take(): T | undefined {
    const item = this.#items[this.#head];
    if (item === undefined) return undefined;
    this.#items[this.#head] = undefined;
    this.#head += 1;
    if (this.#head === this.#items.length) {
      this.#items.length = 0;
      this.#head = 0;
    } else if (this.#head > 1_024 && this.#head * 2 > this.#items.length) {
      this.#items = this.#items.slice(this.#head);
      this.#head = 0;
    }
    return item;
  }
}
