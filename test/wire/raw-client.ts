// A client that speaks in bytes: the same conversation with the server itself and with the gateway.
import type { Socket } from "node:net";
import { decodeErrorFields } from "../../proxy/postgres/protocol/backend.ts";
import { FrameReader } from "../../proxy/postgres/protocol/frame.ts";
import { openUpstream, type UpstreamSession } from "../../proxy/postgres/upstream.ts";

export type Message = { readonly type: string; readonly body: Buffer };

export class RawClient {
  readonly session: UpstreamSession;
  readonly socket: Socket;
  readonly received: Message[] = [];
  isEnded = false;
  readonly #reader = new FrameReader({ lengthMax: () => 0x7fff_ffff, isStreamed: () => false });

  constructor(session: UpstreamSession) {
    this.session = session;
    this.socket = session.socket;
    this.#take(session.rest);
    this.socket.on("data", (chunk: Buffer) => this.#take(chunk));
    this.socket.on("end", () => {
      this.isEnded = true;
    });
    this.socket.on("close", () => {
      this.isEnded = true;
    });
    this.socket.resume();
  }

  #take(chunk: Buffer): void {
    if (chunk.length === 0) return;
    this.#reader.push(chunk);
    for (let step = this.#reader.next(); step.kind === "frame"; step = this.#reader.next()) {
      this.received.push({
        type: String.fromCharCode(step.frame.type),
        body: Buffer.from(step.frame.bytes.subarray(5)),
      });
    }
  }

  send(...parts: readonly Buffer[]): void {
    this.socket.write(Buffer.concat(parts));
  }

  /** Waits until `count` messages of the type came since the last call, and takes everything up to the last of them. */
  async until(type: string, count = 1, timeoutMs = 20_000): Promise<readonly Message[]> {
    const deadline = Date.now() + timeoutMs;
    for (;;) {
      let seen = 0;
      const at = this.received.findIndex((m) => m.type === type && ++seen === count);
      if (at !== -1) return this.received.splice(0, at + 1);
      if (this.isEnded || Date.now() > deadline) {
        const got = this.received.map(describe).join(" ");
        throw new Error(`${this.isEnded ? "the connection ended" : "no answer"} before ${count} ${type}: got ${got}`);
      }
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
  }

  /** Everything up to the end of the connection. */
  async untilEnd(timeoutMs = 20_000): Promise<readonly Message[]> {
    const deadline = Date.now() + timeoutMs;
    while (!this.isEnded) {
      if (Date.now() > deadline) throw new Error(`still open: got ${this.received.map(describe).join(" ")}`);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    return this.received.splice(0);
  }
}

export async function connectRaw(to: {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
  readonly database: string;
  readonly settings?: readonly (readonly [string, string])[];
}): Promise<RawClient> {
  const target = { ...to, password: async () => to.password, tls: { mode: "disable", ca: undefined } as const };
  const session = await openUpstream(target, to.settings ?? [], AbortSignal.timeout(30_000));
  if (!session.ok) throw new Error(`${session.error.error.sqlstate} ${session.error.error.message}`);
  return new RawClient(session.value);
}

const frameOf = (message: Message): Buffer => Buffer.concat([Buffer.alloc(5), message.body]);

/** `C:SELECT 1`, `E:42501 not for you`, `Z:I`, else the type alone. */
export function describe(message: Message): string {
  switch (message.type) {
    case "C":
      return `C:${message.body.toString("latin1", 0, message.body.length - 1)}`;
    case "Z":
      return `Z:${message.body.toString("latin1")}`;
    case "E":
    case "N": {
      const fields = new Map(decodeErrorFields(frameOf(message)));
      return `${message.type}:${fields.get("C")} ${fields.get("M")}`;
    }
    default:
      return message.type;
  }
}

export const describeAll = (messages: readonly Message[]): string => messages.map(describe).join(" | ");

const cstring = (text: string): Buffer => Buffer.from(`${text}\0`, "utf8");

export function frontend(type: string, ...parts: readonly Buffer[]): Buffer {
  const body = Buffer.concat(parts);
  const header = Buffer.alloc(5);
  header.write(type, 0, "latin1");
  header.writeInt32BE(body.length + 4, 1);
  return Buffer.concat([header, body]);
}

const int16 = (value: number): Buffer => Buffer.from([value >> 8, value & 255]);
const int32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value);
  return bytes;
};

/** Frontend messages by name, with the defaults that make tests short. */
export const say = {
  query: (text: string) => frontend("Q", cstring(text)),
  parse: (text: string, name = "", types: readonly number[] = []) =>
    frontend("P", cstring(name), cstring(text), int16(types.length), ...types.map(int32)),
  bind: (parameters: readonly (string | null)[] = [], statement = "", portal = "") =>
    frontend(
      "B",
      cstring(portal),
      cstring(statement),
      int16(0),
      int16(parameters.length),
      ...parameters.flatMap((p) => (p === null ? [int32(-1)] : [int32(Buffer.byteLength(p)), Buffer.from(p)])),
      int16(0),
    ),
  describe: (of: "S" | "P", name = "") => frontend("D", Buffer.from(of), cstring(name)),
  execute: (portal = "", rowsMax = 0) => frontend("E", cstring(portal), int32(rowsMax)),
  close: (of: "S" | "P", name = "") => frontend("C", Buffer.from(of), cstring(name)),
  /** FunctionCall: strings are values in text, buffers in binary; the result is text. */
  call: (oid: number, ...values: readonly (string | Buffer | null)[]) =>
    frontend(
      "F",
      int32(oid | 0),
      int16(values.length),
      ...values.map((v) => int16(Buffer.isBuffer(v) ? 1 : 0)),
      int16(values.length),
      ...values.flatMap((v) => (v === null ? [int32(-1)] : [int32(Buffer.byteLength(v)), Buffer.from(v)])),
      int16(0),
    ),
  flush: () => frontend("H"),
  sync: () => frontend("S"),
  terminate: () => frontend("X"),
  copyData: (data: string) => frontend("d", Buffer.from(data)),
  copyDone: () => frontend("c"),
  copyFail: (why: string) => frontend("f", cstring(why)),
} as const;
