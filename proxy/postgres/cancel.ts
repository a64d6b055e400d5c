// CancelRequest: the gateway's own keys, routed to the upstream session that runs now.
import { randomBytes, timingSafeEqual } from "node:crypto";
import type { UpstreamTarget } from "../deps.ts";
import { encodeCancelRequest } from "./protocol/encode.ts";
import { connectUpstream } from "./upstream.ts";

export type CancelKey = { readonly processId: number; readonly secret: Buffer };

/** Protocol 3.0 has room for 4 bytes, 3.2 for up to 256. */
const secretBytes = { short: 4, long: 32 } as const;

/** Sessions of one listener by the key that their client was given. */
export class CancelKeys<T> {
  readonly #sessions = new Map<number, { readonly secret: Buffer; readonly session: T }>();

  /** A key whose process id is the real backend's: clients compare it with NOTIFY's and `pg_backend_pid()`. */
  issue(processId: number, size: keyof typeof secretBytes, session: T): CancelKey {
    const secret = randomBytes(secretBytes[size]);
    this.#sessions.set(processId, { secret, session });
    return { processId, secret };
  }

  find(processId: number, secret: Buffer): T | undefined {
    const found = this.#sessions.get(processId);
    if (!found || found.secret.length !== secret.length) return undefined;
    return timingSafeEqual(found.secret, secret) ? found.session : undefined;
  }

  /** Only if the process id still stands for `session`: the server may have given it to a later one. */
  revoke(processId: number, session: T): void {
    if (this.#sessions.get(processId)?.session === session) this.#sessions.delete(processId);
  }
}

/** Delivers a cancel to the upstream and waits until the server has taken it, as it closes the connection then. */
export async function cancelUpstream(target: UpstreamTarget, key: CancelKey, timeoutMs: number): Promise<boolean> {
  const signal = AbortSignal.timeout(timeoutMs);
  const connected = await connectUpstream(target, signal);
  if (!connected.ok) return false;
  const socket = connected.value;
  return new Promise((resolve) => {
    const finish = () => {
      socket.destroy();
      resolve(!signal.aborted);
    };
    signal.addEventListener("abort", finish, { once: true });
    socket.once("close", finish);
    socket.once("end", finish);
    socket.resume();
    socket.write(encodeCancelRequest(key.processId, key.secret));
  });
}
