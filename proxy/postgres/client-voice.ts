// what the server and the gateway say -> the client's socket, with nothing of ours inside of a long message of the server's
import type { Outbox } from "./outbox.ts";

export class ClientVoice {
  readonly outbox: Outbox;
  /** A piece of a long server message was the last that the client got. */
  #isMidMessage = false;
  /** For the client, as soon as it is between two messages. */
  #waiting: Buffer[] = [];

  constructor(outbox: Outbox) {
    this.outbox = outbox;
  }

  get isMidMessage(): boolean {
    return this.#isMidMessage;
  }

  /** Words of the gateway's own: now, or as soon as the server has finished its message. */
  say(bytes: Buffer): void {
    if (this.#isMidMessage) this.#waiting.push(bytes);
    else this.outbox.add(bytes);
  }

  /** A piece of a long message has been passed on. */
  passedPiece(isLast: boolean): void {
    this.#isMidMessage = !isLast;
    if (!isLast || this.#waiting.length === 0) return;
    for (const bytes of this.#waiting) this.outbox.add(bytes);
    this.#waiting = [];
  }
}
