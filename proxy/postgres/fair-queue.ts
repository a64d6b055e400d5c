// who waits -> whose turn it is: each line in turn, first come first served within a line

/** Lines by key, taken from round robin: a thousand of one line keep the only one of another waiting for one turn. */
export class FairQueue<T> {
  /** The line whose turn is next stands first. No line is empty. */
  readonly #lines = new Map<string, T[]>();
  #length = 0;

  get length(): number {
    return this.#length;
  }

  add(key: string, item: T): void {
    const line = this.#lines.get(key);
    if (line === undefined) this.#lines.set(key, [item]);
    else line.push(item);
    this.#length += 1;
  }

  take(): T | undefined {
    const [next] = this.#lines;
    if (next === undefined) return undefined;
    const [key, line] = next;
    const item = line.shift();
    this.#lines.delete(key);
    if (line.length > 0) this.#lines.set(key, line);
    this.#length -= 1;
    return item;
  }

  /** False when it waits no longer. */
  remove(key: string, item: T): boolean {
    const line = this.#lines.get(key);
    const at = line?.indexOf(item) ?? -1;
    if (line === undefined || at === -1) return false;
    line.splice(at, 1);
    if (line.length === 0) this.#lines.delete(key);
    this.#length -= 1;
    return true;
  }

  /**
   * Makes room for one more of `key` in a queue that is full: takes the newest out of the longest line. Undefined where
   * the longest line is the one of `key` itself, or no longer: then it is `key` that has to go.
   */
  displaceFor(key: string): T | undefined {
    let longest: readonly [string, T[]] | undefined;
    for (const line of this.#lines) if (line[1].length > (longest?.[1].length ?? 0)) longest = line;
    if (longest === undefined || longest[1].length <= (this.#lines.get(key)?.length ?? 0) + 1) return undefined;
    const [from, line] = longest;
    const item = line.at(-1);
    if (item !== undefined) this.remove(from, item);
    return item;
  }
}
