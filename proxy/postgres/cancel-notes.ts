// CancelRequests that cancel nothing -> notes for the recording: each is counted, a flood is a few lines
import { limits } from "../../engine/limits.ts";

/** `idle`: the session is known and had nothing under way. `count`: how many like it, since the last note. */
export type CancelNote = {
  readonly client: string;
  /** "" where no session has the key. */
  readonly session: string;
  readonly count: number;
};

/** Anybody who reaches the port may send them: the first from an address is noted at once, what follows within a while as a number. */
export class CancelNotes {
  readonly #write: (note: CancelNote) => void;
  readonly #quiet = new Map<string, { count: number; session: string; readonly until: NodeJS.Timeout }>();

  constructor(write: (note: CancelNote) => void) {
    this.#write = write;
  }

  add(from: string, session: string): void {
    const client = this.#quiet.has(from) || this.#quiet.size < limits.cancelNotesMax ? from : elsewhere;
    const quiet = this.#quiet.get(client);
    if (quiet !== undefined) {
      quiet.count += 1;
      quiet.session = session;
      return;
    }
    const until = setTimeout(() => this.#end(client), limits.cancelNoteMs).unref();
    this.#quiet.set(client, { count: 0, session, until });
    this.#write({ client, session, count: 1 });
  }

  /** Writes what is still to be told. */
  close(): void {
    for (const client of [...this.#quiet.keys()]) this.#end(client);
  }

  #end(client: string): void {
    const quiet = this.#quiet.get(client);
    if (quiet === undefined) return;
    clearTimeout(quiet.until);
    this.#quiet.delete(client);
    if (quiet.count > 0) this.#write({ client, session: quiet.session, count: quiet.count });
  }
}

/** All addresses beyond the number that is told apart. */
const elsewhere = "elsewhere";
