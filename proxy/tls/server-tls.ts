// an accepted socket -> TLS on it, with certificates that can be replaced while it runs
import { randomBytes } from "node:crypto";
import type { Socket } from "node:net";
import {
  createSecureContext,
  createServer,
  type PeerCertificate,
  type SecureContext,
  type Server,
  TLSSocket,
} from "node:tls";

/** PEM texts. */
export type TlsMaterial = {
  readonly key: string;
  readonly cert: string;
  /** Certificates of clients are asked for, and must come from these authorities. */
  readonly clients?: { readonly ca: string; readonly isRequired: boolean };
};

export type Secured = {
  readonly socket: TLSSocket;
  /** The client's, checked against the authorities; undefined when it gave none. */
  readonly certificate: PeerCertificate | undefined;
};

const minVersion = "TLSv1.2";

export class ServerTls {
  #context: SecureContext;
  /** Never listens: node:tls checks clients' certificates for servers only. */
  #server: Server | undefined;
  readonly #arriving = new Map<string, (socket: TLSSocket) => void>();
  readonly #protocols: readonly string[];

  /** @throws what node:tls says when the key or a certificate can't be used */
  constructor(material: TlsMaterial, protocols: readonly string[]) {
    this.#protocols = protocols;
    this.#context = contextOf(material);
    this.#server = this.#serverOf(material);
  }

  /** From the next handshake on; what is encrypted already stays so. @throws as the constructor, and keeps the old */
  replace(material: TlsMaterial): void {
    const context = contextOf(material);
    this.#server = this.#serverOf(material);
    this.#context = context;
  }

  /** Undefined when the handshake fails, also for the client's certificate. */
  secure(socket: Socket): Promise<Secured | undefined> {
    return this.#server === undefined ? this.#secureSimply(socket) : this.#secureWithClient(this.#server, socket);
  }

  #secureSimply(socket: Socket): Promise<Secured | undefined> {
    const secure = new TLSSocket(socket, {
      isServer: true,
      secureContext: this.#context,
      ALPNProtocols: [...this.#protocols],
    });
    secure.on("error", () => undefined);
    // Whoever leaves in the middle of the handshake is seen only by reading; what comes behind it stays for later.
    const look = (): void => void secure.read(0);
    secure.on("readable", look);
    return new Promise((resolve) => {
      secure.once("secure", () => {
        secure.removeListener("readable", look);
        resolve({ socket: secure, certificate: undefined });
      });
      secure.once("end", () => secure.destroy());
      secure.once("error", () => resolve(undefined));
      secure.once("close", () => resolve(undefined));
      socket.once("close", () => resolve(undefined));
    });
  }

  #secureWithClient(server: Server, socket: Socket): Promise<Secured | undefined> {
    const peer = peerOf(socket);
    return new Promise((resolve) => {
      const finish = (secured: Secured | undefined): void => {
        this.#arriving.delete(peer);
        resolve(secured);
      };
      this.#arriving.set(peer, (secure) => {
        secure.on("error", () => undefined);
        const certificate = secure.getPeerCertificate();
        const hasGiven = Object.keys(certificate ?? {}).length > 0;
        // A certificate that doesn't hold is no reason to go on without one.
        if (hasGiven && !secure.authorized) {
          secure.destroy();
          finish(undefined);
        } else finish({ socket: secure, certificate: hasGiven ? certificate : undefined });
      });
      socket.once("close", () => finish(undefined));
      server.emit("connection", socket);
    });
  }

  #serverOf({ key, cert, clients }: TlsMaterial): Server | undefined {
    if (clients === undefined) return undefined;
    const server = createServer({
      key,
      cert,
      ca: clients.ca,
      requestCert: true,
      rejectUnauthorized: clients.isRequired,
      minVersion,
      ALPNProtocols: [...this.#protocols],
      // A resumed session would bring yesterday's certificate along, and past a change of the authorities.
      sessionIdContext: randomBytes(16).toString("hex"),
    });
    server.on("secureConnection", (secure) => this.#arriving.get(peerOf(secure))?.(secure));
    server.on("tlsClientError", (_error, secure) => secure.destroy());
    return server;
  }
}

const contextOf = ({ key, cert, clients }: TlsMaterial): SecureContext =>
  createSecureContext({ key, cert, minVersion, ...(clients === undefined ? {} : { ca: clients.ca }) });

/** One of many connections at a time has this: the peer's address and port. */
const peerOf = (socket: Socket): string => `${socket.remoteAddress} ${socket.remotePort} ${socket.localPort}`;
