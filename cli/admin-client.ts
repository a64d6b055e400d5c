// The admin interface as functions.
import { readFileSync } from "node:fs";
import type { ShownApproval, ShownConnection, ShownLogin } from "../proxy/admin/server.ts";
import type { PoliciesStatus } from "../proxy/bundle/operations.ts";
import { GatewayError } from "../proxy/errors.ts";
import { keptToken } from "./login/log-in.ts";

export type WhoAmI = {
  readonly sub: string;
  readonly kind: string;
  readonly groups: readonly string[];
  readonly email?: string;
  readonly mfa: boolean;
  readonly on_behalf_of?: string;
  /** Everyone behind the token, the one acted for first. */
  readonly chain?: readonly string[];
  readonly connections: readonly ShownConnection[];
};

/** The last part of the route. */
export type Verdict = "approve" | "deny" | "withdraw" | "break-glass" | "accept" | "object";
export type ShownStandIn = { readonly absent: string; readonly by: string; readonly until: string };

export type AdminClient = {
  readonly whoAmI: () => Promise<WhoAmI>;
  readonly list: (state: string) => Promise<readonly ShownApproval[]>;
  readonly show: (id: string) => Promise<ShownApproval>;
  readonly policies: () => Promise<PoliciesStatus>;
  readonly rollback: (to: string | undefined) => Promise<PoliciesStatus>;
  readonly promote: () => Promise<PoliciesStatus>;
  readonly resume: () => Promise<PoliciesStatus>;
  readonly decide: (id: string, verdict: Verdict, reason: string | undefined) => Promise<ShownApproval>;
  readonly standIns: () => Promise<readonly ShownStandIn[]>;
  /** `by` votes in your place until then; undefined ends it. */
  readonly setStandIn: (by: string | undefined, until: string | undefined) => Promise<void>;
};

/** Faults of the gateway come as GatewayError `admin-invalid` with the gateway's own words. */
export function adminClient(url: string, token: string | (() => Promise<string>)): AdminClient {
  const call = async (method: "GET" | "POST" | "PUT", path: string, body?: object): Promise<unknown> => {
    const response = await fetch(new URL(path, url), {
      method,
      headers: {
        authorization: `Bearer ${typeof token === "string" ? token : await token()}`,
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
    standIns: async () => ((await call("GET", "/v1/stand-ins")) as { standIns: ShownStandIn[] }).standIns,
    setStandIn: async (by, until) => {
      await call("PUT", "/v1/stand-ins/mine", by === undefined ? {} : { by, until });
    },
  };
}

export type AdminOptions = { readonly admin?: string; readonly tokenFile?: string };

/** The address and the token that the flags or the environment give. @throws GatewayError without a token */
export const clientOf = (options: AdminOptions): AdminClient =>
  adminClient(adminUrlOf(options), () => tokenOf(options));

export const adminUrlOf = (options: Pick<AdminOptions, "admin">): string =>
  options.admin ?? process.env.GW_ADMIN ?? "http://127.0.0.1:7070";

/** `--token-file`, else GW_TOKEN, else what `gw login` kept, refreshed. @throws GatewayError `config-invalid`, `config-unreadable` */
export async function tokenOf(options: AdminOptions): Promise<string> {
  const given = options.tokenFile === undefined ? process.env.GW_TOKEN : readToken(options.tokenFile);
  const token = given === undefined || given === "" ? await keptToken(adminUrlOf(options), process.env) : given;
  if (token === undefined) {
    throw new GatewayError(
      "config-invalid",
      "you are not logged in",
      "run `gw login`, set GW_TOKEN or pass `--token-file`",
    );
  }
  return token;
}

/** Where the gateway says to log in, if it does. @throws GatewayError `admin-invalid` when it can't be reached */
export async function loginSettingsAt(admin: string): Promise<ShownLogin | undefined> {
  const response = await fetch(new URL("/v1/login", admin)).catch(() => {
    throw new GatewayError("admin-invalid", `no gateway answers at ${admin}`, "pass `--admin`, or set GW_ADMIN");
  });
  // SAFETY: our own server's answer, of the type that it declares.
  return response.ok ? ((await response.json()) as ShownLogin) : undefined;
}

function readToken(path: string): string {
  try {
    return readFileSync(path, "utf8").trim();
  } catch {
    throw new GatewayError("config-unreadable", `the token file \`${path}\` can't be read`);
  }
}
