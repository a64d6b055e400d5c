import type { Json } from "../lib/json.ts";
import type { Fact } from "../lib/truth.ts";

export type PrincipalKind = "human" | "agent" | "service";

/**
 * Who is asking: the `identity` root of the policy language. Field names are the language's own, so that a compiled
 * policy reads them without a translation. `Unknown` occurs only in policy tests that did not give the field.
 */
export type IdentityFacts = {
  readonly sub: Fact<string>;
  readonly kind: Fact<PrincipalKind>;
  readonly groups: Fact<ReadonlySet<string>>;
  readonly email: Fact<string | undefined>;
  /** Textual IP address of the client, v4 or v6, without a zone or port. */
  readonly ip: Fact<string>;
  readonly mfa: Fact<boolean>;
  /** `sub` of the person an agent acts for (RFC 8693 `act` chain), absent for people and services. */
  readonly on_behalf_of: Fact<string | undefined>;
  readonly claims: Fact<Readonly<Record<string, Json>>>;
  /** Known of the one in `on_behalf_of`: what an agent's rights are held against. Absent for people and services. */
  readonly owner?: { readonly groups: Fact<ReadonlySet<string>> };
  /** `sub` of everyone behind the request: the one acted for first, the one who asks last. Absent outside of the gateway. */
  readonly chain?: readonly string[];
};

/** The target as a policy sees it: the `connection` root. */
export type ConnectionFacts = {
  readonly name: string;
  readonly env: Fact<string>;
  readonly tags: Fact<ReadonlySet<string>>;
  /** How durable a record is before what it announces goes on: `sync`, `batched` or `async`. Absent outside of a gateway. */
  readonly durability?: Fact<string>;
};

export type Weekday = "mon" | "tue" | "wed" | "thu" | "fri" | "sat" | "sun";

/** The `time` root, in the bundle's time zone. `now` is milliseconds since the epoch. */
export type TimeFacts = {
  readonly now: Fact<number>;
  readonly hour: Fact<number>;
  readonly minute: Fact<number>;
  readonly weekday: Fact<Weekday>;
};

/** The `session` root. `age` is milliseconds. */
export type SessionFacts = {
  readonly id: Fact<string>;
  readonly age: Fact<number>;
  readonly purpose: Fact<string | undefined>;
};
