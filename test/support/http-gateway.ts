// issuer + HTTP upstream + gateway, as `gw serve` would run them: for end-to-end tests of HTTP traffic
import { mkdirSync, writeFileSync } from "node:fs";
import { createServer, request as httpRequest, type IncomingMessage, type ServerResponse } from "node:http";
import { connect } from "node:net";
import { join } from "node:path";
import { after } from "node:test";
import { type Gateway, startGateway } from "../../cli/compose.ts";
import { startTokenIssuer, type TokenIssuer } from "../../cli/demo/token-issuer.ts";
import { readConfig } from "../../proxy/config.ts";
import type { Log } from "../../proxy/deps.ts";
import { type RecordedEvent, readEvents } from "../../proxy/recording/read.ts";
import { eventually } from "./eventually.ts";
import { temporaryFolder } from "./temporary-folder.ts";

export type Seen = {
  readonly method: string;
  readonly url: string;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: string;
};

export type TestUpstream = { readonly origin: string; readonly port: number; readonly seen: readonly Seen[] };
export type Respond = (request: IncomingMessage & { readonly text: string }, response: ServerResponse) => void;

/** A real HTTP server on loopback that remembers what reached it. */
export async function startUpstream(respond: Respond): Promise<TestUpstream> {
  const seen: Seen[] = [];
  const server = createServer((request, response) => {
    const parts: Buffer[] = [];
    request.on("data", (part: Buffer) => parts.push(part));
    request.on("error", () => undefined);
    request.on("end", () => {
      const text = Buffer.concat(parts).toString("utf8");
      seen.push({ method: request.method ?? "", url: request.url ?? "", headers: request.headers, body: text });
      respond(Object.assign(request, { text }), response);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  after(() => {
    server.closeAllConnections();
    server.close();
  });
  const address = server.address();
  const port = typeof address === "object" && address ? address.port : 0;
  return { origin: `http://127.0.0.1:${port}`, port, seen };
}

export type Answer = {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: string;
};

export type HttpTestGateway = {
  readonly gateway: Gateway;
  readonly issuer: TokenIssuer;
  readonly folder: string;
  readonly port: number;
  readonly adminUrl: string;
  readonly token: string;
  readonly writePolicy: (text: string) => void;
  readonly events: () => Promise<readonly RecordedEvent[]>;
  readonly send: (method: string, path: string, options?: SendOptions) => Promise<Answer>;
  /** Bytes as they are, the token in `{token}`; what came back until the gateway closed or `until` matched. */
  readonly raw: (bytes: string, until?: RegExp) => Promise<string>;
};

export type SendOptions = {
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array;
  readonly token?: string;
  readonly port?: number;
};

export type HttpTestOptions = {
  readonly policy: string;
  readonly upstream: string;
  /** Lines of the connection `test-api`, indented by four. */
  readonly connection?: string;
  readonly upstreamLines?: string;
  /** More connections, and keys at the top of gw.yaml. */
  readonly connections?: string;
  readonly config?: string;
  /** Lines of `identity`, indented by two. */
  readonly identity?: string;
  /** Keys of `recording` besides its directory. */
  readonly recordingKeys?: string;
  readonly files?: Readonly<Record<string, string>>;
  readonly claims?: Readonly<Record<string, unknown>>;
  readonly log?: Log;
  readonly tls?: string;
};

/** The connection is called `test-api`, the caller `bot`, an agent. */
export async function startHttpGateway(options: HttpTestOptions): Promise<HttpTestGateway> {
  const folder = temporaryFolder();
  const issuer = await startTokenIssuer({ audience: "gatewright" });
  after(() => issuer.stop());
  mkdirSync(join(folder, "policies"));
  const writePolicy = (text: string): void => writeFileSync(join(folder, "policies", "test.policy"), text);
  writePolicy(options.policy);
  for (const [name, text] of Object.entries(options.files ?? {})) writeFileSync(join(folder, name), text);
  const configPath = join(folder, "gw.yaml");
  writeFileSync(
    configPath,
    `
policies: { path: policies }
recording: { directory: recording${options.recordingKeys === undefined ? "" : `, ${options.recordingKeys}`} }
admin: { listen: 127.0.0.1:0 }
${options.config ?? ""}
identity:
${options.identity ?? ""}
  issuers:
    - { issuer: "${issuer.issuer}", audience: gatewright, jwks_url: "${issuer.jwksUrl}", algorithms: [EdDSA] }
connections:
  - name: test-api
    kind: http
    listen: 127.0.0.1:0
    tls: ${options.tls ?? "off"}
${options.connection ?? ""}
    upstream:
      url: ${options.upstream}
${options.upstreamLines ?? ""}
${options.connections ?? ""}
`,
  );
  const config = await readConfig(configPath, {});
  const gateway = await startGateway(config, options.log === undefined ? {} : { log: options.log });
  after(() => gateway.stop(0));
  const port = gateway.connections.find((c) => c.name === "test-api")?.port ?? 0;
  const token = await issuer.issue({ sub: "bot", kind: "agent", groups: [], ...options.claims });
  return {
    gateway,
    issuer,
    folder,
    port,
    adminUrl: `http://127.0.0.1:${gateway.admin?.port}`,
    token,
    writePolicy,
    events: async () => {
      const events: RecordedEvent[] = [];
      for await (const event of readEvents(join(folder, "recording"))) events.push(event);
      return events;
    },
    send: (method, path, send = {}) => sendTo(send.port ?? port, send.token ?? token, method, path, send),
    raw: (bytes, until) => sendRaw(port, bytes.replaceAll("{token}", token), until),
  };
}

/** node's own client, which sends a path as it is given. */
export function sendTo(
  port: number,
  token: string,
  method: string,
  path: string,
  options: SendOptions,
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const authorization = token === "" ? {} : { authorization: `Bearer ${token}` };
    const headers = { ...authorization, ...options.headers };
    const request = httpRequest({ host: "127.0.0.1", port, method, path, headers, agent: false }, (response) => {
      const parts: Buffer[] = [];
      response.on("data", (part: Buffer) => parts.push(part));
      response.on("error", reject);
      response.on("end", () =>
        resolve({
          status: response.statusCode ?? 0,
          headers: response.headers,
          body: Buffer.concat(parts).toString("utf8"),
        }),
      );
    });
    request.on("error", reject);
    request.end(options.body);
  });
}

/** What comes back on a socket of its own until it is closed, or until `until` is found. */
export function sendRaw(port: number, bytes: string, until?: RegExp): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, "127.0.0.1");
    let text = "";
    socket.on("error", reject);
    socket.on("data", (part) => {
      text += part.toString("latin1");
      if (until?.test(text)) socket.destroy();
    });
    socket.on("close", () => resolve(text));
    socket.write(Buffer.from(bytes, "latin1"));
  });
}

/** The first event of the type that fits, once it is written. */
export async function eventOf<T extends RecordedEvent["type"]>(
  gateway: HttpTestGateway,
  type: T,
  fits: (event: RecordedEvent & { readonly type: T }) => boolean = () => true,
): Promise<RecordedEvent & { readonly type: T }> {
  return eventually(async () =>
    (await gateway.events()).find(
      (event): event is RecordedEvent & { readonly type: T } =>
        event.type === type && fits(event as RecordedEvent & { readonly type: T }),
    ),
  );
}
