// A plain TCP socket -> the same connection, read into one buffer that all sessions share.
import { Socket, type SocketConstructorOpts } from "node:net";
import { TLSSocket } from "node:tls";

/**
 * As much as one read takes. Callbacks run to their end before the next read, so one buffer serves all sockets:
 * INVARIANT: who wants to keep bytes beyond its callback copies them.
 */
const shared = Buffer.allocUnsafeSlow(65_536);

/**
 * Node gives each read of a socket 64 KB of fresh memory and cuts it to size afterwards: a quarter of a small round
 * trip. `onread` avoids that, but can be asked for only where a socket is made: so the handle moves to a new Socket, and
 * the one before is spent. TLS sockets are read in Node's usual way; so is everything, should Node hide the handle.
 *
 * The socket must be paused at first. Use what is returned from here on; for that, a later call names a new reader.
 */
export function readShared(socket: Socket, onBytes: OnBytes): Socket {
  const known = readers.get(socket);
  if (known !== undefined) {
    known.onBytes = onBytes;
    return socket;
  }
  const reader = { onBytes };
  const handle = handleOf(socket);
  if (handle === undefined || socket.writableLength > 0 || socket.destroyed) {
    socket.on("data", (chunk: Buffer) => reader.onBytes(chunk));
    readers.set(socket, reader);
    return socket;
  }
  const early: unknown = socket.read();
  handle.readStop();
  Object.assign(socket, { _handle: null });
  const callback = (bytes: number): boolean => {
    reader.onBytes(shared.subarray(0, bytes));
    return true;
  };
  const renewed = socketOf(handle, { allowHalfOpen: socket.allowHalfOpen, onread: { buffer: shared, callback } });
  renewed.pause();
  renewed.on("error", () => renewed.destroy());
  readers.set(renewed, reader);
  socket.destroy();
  if (early instanceof Buffer) process.nextTick(onBytes, early);
  return renewed;
}

type OnBytes = (view: Buffer) => void;
/** Who reads a socket now. */
const readers = new WeakMap<Socket, { onBytes: OnBytes }>();

/** Node's types know this option for handles of one kind only. */
const socketOf = (handle: Handle, options: SocketConstructorOpts): Socket =>
  new Socket(Object.assign(options, { handle: handle as never }));

/** A copy of bytes that may lie in the buffer of the latest read. What is longer than it doesn't. */
export const kept = (bytes: Buffer): Buffer => (bytes.length > shared.length ? bytes : Buffer.from(bytes));

type Handle = { readonly readStop: () => void };

function handleOf(socket: Socket): Handle | undefined {
  if (socket instanceof TLSSocket || !("_handle" in socket)) return undefined;
  const handle = socket._handle;
  return isHandle(handle) ? handle : undefined;
}

const isHandle = (handle: unknown): handle is Handle =>
  typeof handle === "object" &&
  handle !== null &&
  "readStop" in handle &&
  typeof handle.readStop === "function" &&
  "useUserBuffer" in handle;
