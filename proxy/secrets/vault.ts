// HashiCorp Vault (and OpenBao): KV version 2 and the database engine, with leases. API: developer.hashicorp.com/vault/api-docs
import { limits } from "../../engine/limits.ts";
import { z } from "../schema.ts";
import type { Fetched } from "./credential.ts";

export type VaultConfig = {
  /** `https://vault.internal:8200`. */
  readonly address: string;
  readonly namespace: string | undefined;
  readonly login:
    | { readonly kind: "token"; readonly token: () => Promise<string> }
    | {
        readonly kind: "approle";
        readonly mount: string;
        readonly roleId: string;
        readonly secretId: () => Promise<string>;
      };
};

export type Vault = {
  /** One field of a secret. */
  readonly kv: (mount: string, path: string, field: string) => Promise<Fetched>;
  /** User and password that Vault makes for us, and keeps until the lease ends. */
  readonly database: (mount: string, role: string) => Promise<Fetched>;
};

/** A secret of KV has no lease: it is read again after this. */
const kvTtlMs = 60_000;

const kvAnswer = z.object({ data: z.object({ data: z.record(z.string(), z.unknown()) }) });
const databaseAnswer = z.object({
  lease_id: z.string().min(1),
  lease_duration: z.number().nonnegative(),
  renewable: z.boolean().default(false),
  data: z.object({ username: z.string().min(1), password: z.string().min(1) }),
});
const renewAnswer = z.object({ lease_duration: z.number().nonnegative() });
const loginAnswer = z.object({ auth: z.object({ client_token: z.string().min(1) }) });

/** A status that Vault answered with; its body may hold what must not be shown. */
class VaultStatus extends Error {
  override readonly name = "VaultStatus";
  readonly code: string;
  constructor(status: number) {
    super(`vault answered ${status}`);
    this.code = `vault-${status}`;
  }
}

/** Functions reject with an Error without content: a status, a timeout, an answer of another shape. */
export function openVault(config: VaultConfig): Vault {
  let token: Promise<string> | undefined;
  const logIn = async (): Promise<string> => {
    const { login } = config;
    if (login.kind === "token") return login.token();
    const body = { role_id: login.roleId, secret_id: await login.secretId() };
    const answer = await call(config, "POST", `auth/${login.mount}/login`, undefined, body);
    return decode(loginAnswer, answer).auth.client_token;
  };
  const authorized = async (method: "GET" | "PUT", path: string, body?: object): Promise<unknown> => {
    const known = token;
    token ??= logIn();
    try {
      return await call(config, method, path, await token, body);
    } catch (error) {
      token = undefined;
      // The token may have ended, or been rotated: once more with a fresh one.
      if (known === undefined || !(error instanceof VaultStatus) || error.code !== "vault-403") throw error;
      token = logIn();
      return call(config, method, path, await token, body);
    }
  };
  return {
    kv: async (mount, path, field) => {
      const { data } = decode(kvAnswer, await authorized("GET", `${mount}/data/${path}`)).data;
      const password = data[field];
      if (typeof password !== "string" || password === "") throw new Error("the secret has no such field");
      return { credential: { password }, ttlMs: kvTtlMs };
    },
    database: async (mount, role) => {
      const answer = decode(databaseAnswer, await authorized("GET", `${mount}/creds/${role}`));
      const { username: user, password } = answer.data;
      const wantedS = answer.lease_duration;
      const renew = async (): Promise<number | undefined> => {
        const renewed = decode(
          renewAnswer,
          await authorized("PUT", "sys/leases/renew", { lease_id: answer.lease_id, increment: wantedS }),
        );
        // Near its maximal life Vault grants less and less: then a new one is due.
        return renewed.lease_duration < wantedS / 2 ? undefined : renewed.lease_duration * 1_000;
      };
      return { credential: { user, password }, ttlMs: wantedS * 1_000, ...(answer.renewable ? { renew } : {}) };
    },
  };
}

function decode<T>(schema: z.ZodType<T>, answer: unknown): T {
  const parsed = schema.safeParse(answer);
  if (!parsed.success) throw new Error("vault's answer has another shape");
  return parsed.data;
}

async function call(
  { address, namespace }: VaultConfig,
  method: "GET" | "PUT" | "POST",
  path: string,
  token: string | undefined,
  body?: object,
): Promise<unknown> {
  const url = `${address.replace(/\/$/, "")}/v1/${path.split("/").map(encodeURIComponent).join("/")}`;
  const response = await fetch(url, {
    method,
    redirect: "error",
    signal: AbortSignal.timeout(limits.secretTimeoutMs),
    headers: {
      "x-vault-request": "true",
      ...(token === undefined ? {} : { "x-vault-token": token }),
      ...(namespace === undefined ? {} : { "x-vault-namespace": namespace }),
      ...(body === undefined ? {} : { "content-type": "application/json" }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of response.body ?? []) {
    size += chunk.length;
    if (size > limits.secretBytesMax) throw new Error("vault's answer is too long");
    chunks.push(chunk);
  }
  if (!response.ok) throw new VaultStatus(response.status);
  return JSON.parse(Buffer.concat(chunks).toString("utf8"));
}
