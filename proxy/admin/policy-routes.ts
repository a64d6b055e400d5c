// What operators ask of the policies in force.
import { isKnown } from "../../engine/lib/truth.ts";
import type { IdentityFacts } from "../../engine/model/principal.ts";
import type { PoliciesStatus, PolicyOperations } from "../bundle/operations.ts";
import { GatewayError } from "../errors.ts";

/** A route for people with a good token; what is thrown becomes the answer's code. */
export type AdminRoute = {
  readonly method: "GET" | "POST";
  readonly url: string;
  readonly handle: (who: IdentityFacts, body: unknown) => Promise<object>;
};

/** `operators`: groups whose people may change what is in force. Everybody with a token may look. */
export function policyRoutes(operations: PolicyOperations, operators: readonly string[]): readonly AdminRoute[] {
  const asOperator =
    (change: (body: unknown) => Promise<PoliciesStatus>): AdminRoute["handle"] =>
    (who, body) => {
      if (!isOperator(who, operators)) {
        throw new GatewayError(
          "admin-forbidden",
          "only people in a group of `policies.operators` may change the policies in force",
        );
      }
      return change(body);
    };
  return [
    { method: "GET", url: "/v1/policies", handle: () => operations.status() },
    {
      method: "POST",
      url: "/v1/policies/rollback",
      handle: asOperator((body) => operations.rollback(targetIn(body))),
    },
    { method: "POST", url: "/v1/policies/promote", handle: asOperator(() => operations.promote()) },
    { method: "POST", url: "/v1/policies/resume", handle: asOperator(() => operations.resume()) },
  ];
}

const isOperator = ({ kind, groups }: IdentityFacts, operators: readonly string[]): boolean =>
  kind === "human" && isKnown(groups) && operators.some((group) => groups.has(group));

function targetIn(body: unknown): string | undefined {
  const to: unknown = typeof body === "object" && body !== null && "to" in body ? body.to : undefined;
  if (to === undefined) return undefined;
  if (typeof to !== "string" || !/^(?:sha256:)?[0-9a-f]{6,64}$/.test(to)) {
    throw new GatewayError("admin-invalid", "`to` is the beginning of a digest or a hash: at least 6 hex digits");
  }
  return to;
}
