// work that holds the event loop up (a TLS handshake, a token's check) -> a little of it in each turn
import { FairQueue } from "./fair-queue.ts";

/**
 * Lets a few through in each turn of the event loop, by turns of where they come from. Whoever has a session is served
 * in between, however many arrive.
 */
export class Turnstile {
  readonly #perTurn: number;
  readonly #waiting = new FairQueue<() => void>();
  #isTurning = false;

  constructor(perTurn: number) {
    this.#perTurn = perTurn;
  }

  get waiting(): number {
    return this.#waiting.length;
  }

  pass(from: string): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting.add(from, resolve);
      this.#turn();
    });
  }

  #turn(): void {
    if (this.#isTurning) return;
    this.#isTurning = true;
    setImmediate(() => {
      this.#isTurning = false;
      for (let i = 0; i < this.#perTurn; i += 1) this.#waiting.take()?.();
      if (this.#waiting.length > 0) this.#turn();
    });
  }
}
