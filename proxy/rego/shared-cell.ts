// The memory that the gateway's thread and a policy's worker thread share: one request and its answer at a time.
//
//   Int32 state | Int32 input bytes | Int32 answer bytes | (4 unused) | Float64 now, ms | input … | answer …
//
// state:  starting -> idle -> asked -> answered -> idle …   The side that acts next is the only one that writes.

export const cellState = { starting: 0, idle: 1, asked: 2, answered: 3 } as const;
export type CellState = (typeof cellState)[keyof typeof cellState];

const headerBytes = 24;
const stateIndex = 0;
const inputLengthIndex = 1;
const answerLengthIndex = 2;
const nowIndex = 2;

export type CellSize = { readonly inputBytesMax: number; readonly answerBytesMax: number };

export const makeCellBuffer = (size: CellSize): SharedArrayBuffer =>
  new SharedArrayBuffer(headerBytes + size.inputBytesMax + size.answerBytesMax);

export class SharedCell {
  readonly #control: Int32Array<SharedArrayBuffer>;
  readonly #now: Float64Array<SharedArrayBuffer>;
  readonly #input: Uint8Array<SharedArrayBuffer>;
  readonly #answer: Uint8Array<SharedArrayBuffer>;

  constructor(buffer: SharedArrayBuffer, size: CellSize) {
    this.#control = new Int32Array(buffer, 0, 4);
    this.#now = new Float64Array(buffer, 0, 3);
    this.#input = new Uint8Array(buffer, headerBytes, size.inputBytesMax);
    this.#answer = new Uint8Array(buffer, headerBytes + size.inputBytesMax, size.answerBytesMax);
  }
  state(): number {
    return Atomics.load(this.#control, stateIndex);
  }
  setState(state: CellState): void {
    Atomics.store(this.#control, stateIndex, state);
    Atomics.notify(this.#control, stateIndex);
  }
  /** Sleeps until `isOver` says so of the state; false when `timeoutMs` passed first. */
  waitUntil(isOver: (state: number) => boolean, timeoutMs: number, monotonicMs: () => number): boolean {
    const until = monotonicMs() + timeoutMs;
    for (;;) {
      const state = this.state();
      if (isOver(state)) return true;
      const left = until - monotonicMs();
      if (left <= 0) return false;
      Atomics.wait(this.#control, stateIndex, state, left);
    }
  }
  /** INVARIANT: `input` fits; `encodeInput` bounds it by the same limit as the cell. */
  putInput(input: Uint8Array, nowMs: number): void {
    this.#input.set(input);
    this.#control[inputLengthIndex] = input.length;
    this.#now[nowIndex] = nowMs;
  }
  takeInput(): { readonly input: Uint8Array; readonly nowMs: number } {
    return { input: this.#input.slice(0, this.#control[inputLengthIndex]), nowMs: this.#now[nowIndex] ?? 0 };
  }
  /** False when the answer doesn't fit. */
  putAnswer(answer: Uint8Array): boolean {
    if (answer.length > this.#answer.length) return false;
    this.#answer.set(answer);
    this.#control[answerLengthIndex] = answer.length;
    return true;
  }
  /** Decoders refuse shared memory: a copy. */
  takeAnswer(): Uint8Array {
    return Uint8Array.from(this.#answer.subarray(0, this.#control[answerLengthIndex]));
  }
}
