// A network that misbehaves on purpose: between client and gateway, or gateway and server.
import { connect, createServer, type Server, type Socket } from "node:net";

export type Fault = "none" | "delay" | "cut" | "half-close" | "slow-reader";

export type FaultProxy = {
  readonly port: number;
  /** Connections that are open now. */
  readonly open: () => number;
  /** Cuts every connection: what a restart of the other side looks like. */
  readonly cutAll: () => void;
  readonly close: () => Promise<void>;
};

/** `faultOf` is asked once per connection. Times are short: a soak has many. */
export function startFaultProxy(
  to: { readonly host: string; readonly port: number },
  faultOf: () => { readonly fault: Fault; readonly afterMs: number },
): Promise<FaultProxy> {
  const sockets = new Set<Socket>();
  const server: Server = createServer({ allowHalfOpen: true, noDelay: true }, (near) => {
    const { fault, afterMs } = faultOf();
    const far = connect({ ...to, allowHalfOpen: true, noDelay: true });
    for (const [socket, other] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(socket);
      socket.on("error", () => other.destroy());
      socket.on("close", () => {
        sockets.delete(socket);
        other.destroy();
      });
      socket.on("end", () => other.end());
      socket.on("data", (chunk: Buffer) => {
        const pass = (): void => {
          if (other.destroyed || other.writableEnded) return;
          if (!other.write(chunk)) {
            socket.pause();
            other.once("drain", () => socket.resume());
          }
        };
        if (fault === "delay") setTimeout(pass, 5);
        else pass();
      });
    }
    if (fault === "slow-reader") {
      const crawl = setInterval(() => (far.isPaused() ? far.resume() : far.pause()), 20);
      near.on("close", () => clearInterval(crawl));
    }
    if (fault === "cut") setTimeout(() => near.destroy(), afterMs).unref();
    if (fault === "half-close") setTimeout(() => far.end(), afterMs).unref();
  });
  return new Promise((resolve) => {
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      const cutAll = (): void => {
        for (const socket of sockets) socket.destroy();
      };
      resolve({
        port: typeof address === "object" && address ? address.port : 0,
        open: () => sockets.size / 2,
        cutAll,
        close: async () => {
          cutAll();
          await new Promise((closed) => server.close(closed));
        },
      });
    });
  });
}
