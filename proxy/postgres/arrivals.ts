// accepted connections -> those that may go on to log in: bounded, and nobody keeps others out by just connecting
import type { Socket } from "node:net";

/** A connection before its session. */
export type Arrival = {
  readonly address: string;
  /** What is spoken through just now: the accepted socket, or TLS on it. */
  socket: Socket;
  /** It has said what it wants, so that it can be told why not. In the middle of a handshake nobody can be told anything. */
  canHear: boolean;
};

export type Admission =
  | { readonly kind: "admitted" }
  /** It is in; this one, the oldest of whoever has most, has to go for it. */
  | { readonly kind: "instead"; readonly of: Arrival }
  | { readonly kind: "full" };

export class Arrivals {
  readonly #max: number;
  /** Oldest first. No set is empty. */
  readonly #byAddress = new Map<string, Set<Arrival>>();
  #size = 0;

  constructor(max: number) {
    this.#max = max;
  }

  get size(): number {
    return this.#size;
  }

  admit(arrival: Arrival): Admission {
    if (this.#size < this.#max) {
      this.#add(arrival);
      return { kind: "admitted" };
    }
    let most: ReadonlySet<Arrival> = new Set();
    for (const some of this.#byAddress.values()) if (some.size > most.size) most = some;
    const [oldest] = most;
    const own = this.#byAddress.get(arrival.address)?.size ?? 0;
    if (oldest === undefined || most.size <= own + 1) return { kind: "full" };
    this.leave(oldest);
    this.#add(arrival);
    return { kind: "instead", of: oldest };
  }

  leave(arrival: Arrival): void {
    const some = this.#byAddress.get(arrival.address);
    if (!some?.delete(arrival)) return;
    this.#size -= 1;
    if (some.size === 0) this.#byAddress.delete(arrival.address);
  }

  *[Symbol.iterator](): IterableIterator<Arrival> {
    for (const some of this.#byAddress.values()) yield* some;
  }

  #add(arrival: Arrival): void {
    const some = this.#byAddress.get(arrival.address);
    if (some === undefined) this.#byAddress.set(arrival.address, new Set([arrival]));
    else some.add(arrival);
    this.#size += 1;
  }
}
