// A recording HTTP server that speaks the parts of Vault's API that the gateway uses: KV 2, the database engine, leases, AppRole.
import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { after } from "node:test";

export type FakeVault = {
  readonly address: string;
  /** `GET secret/data/app/db`, in order. */
  readonly requests: readonly string[];
  readonly kv: Map<string, Record<string, string>>;
  /** Makes the user and password of a role's next lease. */
  makeLogin: (role: string, serial: number) => Promise<{ username: string; password: string }>;
  leaseS: number;
  /** Seconds that a renewal grants. */
  renewS: number;
  /** Tokens that are good now. */
  readonly tokens: Set<string>;
  isDown: boolean;
};

export async function startFakeVault(): Promise<FakeVault> {
  const requests: string[] = [];
  let serial = 0;
  const server = createServer((request, response) => {
    void answer(request).then(([status, body]) => {
      response.writeHead(status, { "content-type": "application/json" });
      response.end(JSON.stringify(body));
    });
  });
  const answer = async (request: IncomingMessage): Promise<readonly [number, unknown]> => {
    const path = (request.url ?? "").replace(/^\/v1\//, "");
    requests.push(`${request.method} ${path}`);
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const body = chunks.length === 0 ? {} : JSON.parse(Buffer.concat(chunks).toString("utf8"));
    if (vault.isDown) return [503, { errors: ["Vault is sealed"] }];
    if (path === "auth/approle/login") {
      if (body.role_id !== "gw" || body.secret_id !== "approle-secret") return [400, { errors: ["invalid secret id"] }];
      const token = `hvs.${vault.tokens.size}`;
      vault.tokens.add(token);
      return [200, { auth: { client_token: token } }];
    }
    if (!vault.tokens.has(String(request.headers["x-vault-token"]))) return [403, { errors: ["permission denied"] }];
    if (path === "sys/leases/renew") return [200, { lease_id: body.lease_id, lease_duration: vault.renewS }];
    const role = /^database\/creds\/(.+)$/.exec(path)?.[1];
    if (role !== undefined) {
      serial += 1;
      const data = await vault.makeLogin(role, serial);
      return [
        200,
        { lease_id: `database/creds/${role}/${serial}`, lease_duration: vault.leaseS, renewable: true, data },
      ];
    }
    const secret = vault.kv.get(path.replace("/data/", "/"));
    return secret === undefined ? [404, { errors: [] }] : [200, { data: { data: secret, metadata: { version: 1 } } }];
  };
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  after(() => {
    server.close();
    server.closeAllConnections();
  });
  const vault: FakeVault = {
    address: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    kv: new Map(),
    makeLogin: async (role, n) => ({ username: `v-${role}-${n}`, password: `pw-${n}` }),
    leaseS: 3_600,
    renewS: 3_600,
    tokens: new Set(["root"]),
    isDown: false,
  };
  return vault;
}
