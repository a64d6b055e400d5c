// The admin interface as functions.
import { readFileSync } from "node:fs";
import type { ShownApproval, ShownConnection } from "../proxy/admin/server.ts";
import type { PoliciesStatus } from "../proxy/bundle/operations.ts";
import { GatewayError } from "../proxy/errors.ts";

export type WhoAmI = {
  readonly sub: string;
  readonly kind: string;
  readonly groups: readonly string[];
  readonly email?: string;
  readonly mfa: boolean;
  readonly on_behalf_of?: string;
  readonly connections: readonly ShownConnection[];
};

export type AdminClient = {
  readonly whoAmI: () => Promise<WhoAmI>;
  readonly list: (state: string) => Promise<readonly ShownApproval[]>;
  readonly show: (id: string) => Promise<ShownApproval>;
  readonly policies: () => Promise<PoliciesStatus>;
  readonly rollback: (to: string | undefined) => Promise<PoliciesStatus>;
  readonly promote: () => Promise<PoliciesStatus>;
  readonly resume: () => Promise<PoliciesStatus>;
  readonly decide: (id: string, verdict: "approve" | "deny", reason: string | undefined) => Promise<ShownApproval>;
};

/** Faults of the gateway come as GatewayError `admin-invalid` with the gateway's own words. */
export function adminClient(url: string, token: string): AdminClient {
  const call = async (method: "GET" | "POST", path: string, body?: object): Promise<unknown> => {
    const response = await fetch(new URL(path, url), {
      method,
      headers: {
        authorization: `Bearer ${token}`,
        ...(body === undefined ? {} : { "content-type": "application/json" }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    }).catch(() => {
      throw new GatewayError("admin-invalid", `no gateway answers at ${url}`, "pass `--admin`, or set GW_ADMIN");
    });
    const answer: unknown = await response.json().catch(() => undefined);
    if (response.ok) return answer;
    const said: unknown =
      typeof answer === "object" && answer !== null && "message" in answer ? answer.message : undefined;
    throw new GatewayError(
      "admin-invalid",
      typeof said === "string" ? said : `the gateway answered ${response.status}`,
    );
  };
  const idOf = (id: string): string => encodeURIComponent(id);
  return {
    // SAFETY: our own server's answers, of the type that it declares.
    whoAmI: async () => (await call("GET", "/v1/whoami")) as WhoAmI,
    list: async (state) =>
      ((await call("GET", `/v1/approvals?state=${encodeURIComponent(state)}`)) as { approvals: ShownApproval[] })
        .approvals,
    show: async (id) => (await call("GET", `/v1/approvals/${idOf(id)}`)) as ShownApproval,
    policies: async () => (await call("GET", "/v1/policies")) as PoliciesStatus,
    rollback: async (to) =>
      (await call("POST", "/v1/policies/rollback", to === undefined ? {} : { to })) as PoliciesStatus,
    promote: async () => (await call("POST", "/v1/policies/promote", {})) as PoliciesStatus,
    resume: async () => (await call("POST", "/v1/policies/resume", {})) as PoliciesStatus,
    decide: async (id, verdict, reason) =>
      (await call(
        "POST",
        `/v1/approvals/${idOf(id)}/${verdict}`,
        reason === undefined ? {} : { reason },
      )) as ShownApproval,
  };
}

export type AdminOptions = { readonly admin?: string; readonly tokenFile?: string };

/** The address and the token that the flags or the environment give. @throws GatewayError without a token */
export const clientOf = (options: AdminOptions): AdminClient =>
  adminClient(options.admin ?? process.env.GW_ADMIN ?? "http://127.0.0.1:7070", tokenOf(options));

/** @throws GatewayError `config-invalid`, `config-unreadable` */
export function tokenOf(options: AdminOptions): string {
  const token = options.tokenFile === undefined ? process.env.GW_TOKEN : readToken(options.tokenFile);
  if (token === undefined || token === "") {
    throw new GatewayError("config-invalid", "no token was given", "set GW_TOKEN or pass `--token-file`");
  }
  return token;
}

function readToken(path: string): string {
  try {
    return readFileSync(path, "utf8").trim();
  } catch {
    throw new GatewayError("config-unreadable", `the token file \`${path}\` can't be read`);
  }
}
