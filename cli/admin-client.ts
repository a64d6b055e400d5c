// The admin interface as functions.
import type { ShownApproval } from "../proxy/admin/server.ts";
import { GatewayError } from "../proxy/errors.ts";

export type AdminClient = {
  readonly list: (state: string) => Promise<readonly ShownApproval[]>;
  readonly show: (id: string) => Promise<ShownApproval>;
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
    list: async (state) =>
      ((await call("GET", `/v1/approvals?state=${encodeURIComponent(state)}`)) as { approvals: ShownApproval[] })
        .approvals,
    show: async (id) => (await call("GET", `/v1/approvals/${idOf(id)}`)) as ShownApproval,
    decide: async (id, verdict, reason) =>
      (await call(
        "POST",
        `/v1/approvals/${idOf(id)}/${verdict}`,
        reason === undefined ? {} : { reason },
      )) as ShownApproval,
  };
}
