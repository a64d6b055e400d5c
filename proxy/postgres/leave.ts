// The end of a session, towards both sides.
import type { Socket } from "node:net";
import type { UpstreamTarget } from "../deps.ts";
import { type CancelKey, cancelUpstream } from "./cancel.ts";
import type { Outbox } from "./outbox.ts";
import { type ErrorText, encodeError, encodeParameterStatus, encodeTerminate } from "./protocol/encode.ts";

/** How long a client that must go is still read, so that it sees why: unread bytes would turn our FIN into a reset. */
const lingerMs = 1_000;
export const cancelTimeoutMs = 2_000;
/** While a half-closed client waits for an answer: is anybody there? A dead process answers with a reset. */
const probeIntervalMs = 250;

/** The server hears a goodbye where it is idle, and is cancelled where it works: nobody waits for its answer. */
export function leaveUpstream(socket: Socket, target: UpstreamTarget, key: CancelKey, isBusy: boolean): void {
  const isThere = !socket.destroyed && !socket.readableEnded;
  if (isBusy && isThere) void cancelUpstream(target, key, cancelTimeoutMs).catch(() => undefined);
  if (!isBusy && socket.writable) socket.end(encodeTerminate());
  else socket.destroy();
  // A server that doesn't take the goodbye gets no say in when the socket goes.
  setTimeout(() => socket.destroy(), lingerMs).unref();
  socket.resume();
}

/** Says why, where there is something to say; what is gathered in `toClient` goes first. */
export function leaveClient(socket: Socket, toClient: Outbox, error: ErrorText | undefined): void {
  if (error) toClient.add(encodeError(error));
  toClient.flush();
  socket.end();
  socket.resume();
  setTimeout(() => socket.destroy(), lingerMs).unref();
}

/** Writes to a client that has half-closed, so that one that is gone is noticed. `isBetween`: no message is half sent. */
export function probeClient(socket: Socket, isBetween: () => boolean): NodeJS.Timeout {
  return setInterval(() => {
    if (isBetween()) socket.write(probe);
  }, probeIntervalMs);
}

/** A setting that has not changed: every client takes note of it, none is bothered. */
const probe = encodeParameterStatus("client_encoding", "UTF8");
