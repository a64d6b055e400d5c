// `gw doctor` tells how long certificates of upstreams are good for, whoever speaks TLS there.
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { createServer as createHttps } from "node:https";
import { type AddressInfo, createServer, type Server } from "node:net";
import { join } from "node:path";
import { after, test } from "node:test";
import { TLSSocket } from "node:tls";
import { main } from "../../cli/main.ts";
import { type Certificate, makeSelfSigned } from "../../proxy/tls/self-signed.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";
import { captured } from "../support/terminal.ts";

const dayMs = 86_400_000;
/** Made for 30 days; half a day of room, so that no day passes while the test runs. */
const goodFor = (days: number): Certificate =>
  makeSelfSigned(["localhost", "127.0.0.1"], Date.now() + (days - 30 + 0.5) * dayMs);

async function listen(server: Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  after(() => server.close());
  // SAFETY: it listens on a TCP port.
  return (server.address() as AddressInfo).port;
}

const httpsWith = ({ cert, key }: Certificate) =>
  listen(createHttps({ cert, key }, (_request, response) => void response.end("{}")));

/** As far as a PostgreSQL server goes before the login: `S` to an SSLRequest, and the handshake. */
const databaseWith = ({ cert, key }: Certificate) =>
  listen(
    createServer((socket) => {
      socket.on("error", () => undefined);
      socket.once("data", () => {
        socket.write("S");
        const secure = new TLSSocket(socket, { isServer: true, cert, key }).on("error", () => undefined);
        secure.once("data", () => socket.destroy());
      });
    }),
  );

const folder = temporaryFolder();
const [fresh, soon, expired] = [goodFor(29), goodFor(5), goodFor(-2)];
writeFileSync(join(folder, "fresh.pem"), fresh.cert);
writeFileSync(join(folder, "password"), "secret");
const ports = {
  api: await httpsWith(fresh),
  crm: await httpsWith(soon),
  model: await httpsWith(expired),
  clear: await listen(createServer((socket) => socket.destroy())),
  pg: await databaseWith(soon),
  checked: await databaseWith(expired),
  unchecked: await databaseWith(expired),
};
const traffic = (name: string, kind: string, url: string): string =>
  `  - { name: ${name}, kind: ${kind}, listen: 127.0.0.1:0, tls: off, upstream: { url: "${url}" } }\n`;
const database = (name: "pg" | "checked" | "unchecked", mode: string): string =>
  `  - { name: ${name}, kind: postgres, listen: 127.0.0.1:0, upstream: { host: 127.0.0.1, port: ${ports[name]}, database: d, user: u, password: { file: password }, ${mode} } }\n`;
writeFileSync(
  join(folder, "gw.yaml"),
  `
policies: { path: policies }
recording: { directory: recording }
identity: { issuers: [{ issuer: "http://127.0.0.1:1", audience: gatewright, jwks_url: "http://127.0.0.1:1/keys", algorithms: [EdDSA] }] }
connections:
${traffic("api", "http", `https://127.0.0.1:${ports.api}`)}${traffic("crm", "mcp", `https://localhost:${ports.crm}`)}${traffic("model", "llm", `https://127.0.0.1:${ports.model}`)}${traffic("clear", "http", `http://127.0.0.1:${ports.clear}`)}${database("pg", "sslmode: require")}${database("checked", "sslmode: verify-full, ca: fresh.pem")}${database("unchecked", "sslmode: require")}`,
);

test("days until the certificate of each upstream expires, warned about under 14", async () => {
  const terminal = captured();
  assert.equal(await main(["doctor", "--config", join(folder, "gw.yaml")], terminal), 1);
  const lines = terminal.text().split("\n");
  assert.deepEqual(
    lines.filter((line) => line.includes("'s upstream: ")),
    [
      "warn  certificate of pg's upstream: it is good for 5 more days",
      "fail  certificate of checked's upstream: it has expired",
      "warn  certificate of unchecked's upstream: it has expired",
      "ok    certificate of api's upstream: it is good for 29 more days",
      "warn  certificate of crm's upstream: it is good for 5 more days",
      "fail  certificate of model's upstream: it has expired",
    ],
    terminal.text(),
  );
});
