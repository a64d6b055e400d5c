// two sockets that have left HTTP behind, joined until both are closed
import { type Duplex, Transform } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { UpgradedSocket } from "./exchange.ts";

const handshake = /^sec-websocket-(?:accept|protocol|extensions)$/;

/** `head`: what the client sent behind its request. Half-closed sides are kept open, as TCP does. */
export async function joinSockets(
  client: Duplex,
  head: Buffer,
  upstream: UpgradedSocket,
  signal: AbortSignal,
): Promise<{ readonly sent: number; readonly received: number }> {
  const lines = upstream.headers
    .filter(([name]) => handshake.test(name))
    .map(([name, value]) => `${name}: ${value}\r\n`);
  client.write(
    `HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\n${lines.join("")}\r\n`,
    "latin1",
  );
  if (head.byteLength > 0) client.unshift(head);
  const sent = { bytes: 0 };
  const received = { bytes: 0 };
  const end = (): void => {
    client.destroy();
    upstream.socket.destroy();
  };
  signal.addEventListener("abort", end, { once: true });
  if (signal.aborted) end();
  await Promise.allSettled([
    pipeline(client, counting(received), upstream.socket).catch(end),
    pipeline(upstream.socket, counting(sent), client).catch(end),
  ]);
  end();
  signal.removeEventListener("abort", end);
  return { sent: sent.bytes, received: received.bytes };
}

const counting = (into: { bytes: number }): Transform =>
  new Transform({
    transform: (chunk: Buffer, _encoding, done) => {
      into.bytes += chunk.byteLength;
      done(null, chunk);
    },
  });
