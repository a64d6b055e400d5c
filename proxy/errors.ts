// Faults of the shell: stable codes, one table, tested equal to docs/error-codes.md.

/** Code → what it means to the operator. What the client is told is written where the fault arises. */
export const faultCodes = {
  // start-up
  "config-unreadable": "the configuration file, or a file it names, can't be read",
  "config-invalid": "the configuration has an unknown key, a missing key or a value of the wrong kind",
  "policy-rejected":
    "the policy folder doesn't compile; at start this stops the gateway, on reload the old policies stay",
  "bundle-unreachable": "the source of a bundle doesn't answer, and none that was in force is on disk",
  "bundle-refused": "a bundle is damaged, not signed as the configuration asks, or older than one that was in force",
  "bundle-store-damaged": "the folder of the bundles that were in force can't be used",
  "bundle-not-found": "no bundle that was in force, and no shadow, is meant by this",
  "listen-failed": "an address to listen on is taken or not ours",
  "catalog-unavailable": "the catalog of an upstream can't be read",
  "mcp-server-failed": "the command of `gw mcp run` can't be started",
  "mcp-sessions-unavailable": "the file of MCP clients' sessions, which several workers share, can't be used",
  "pins-unavailable": "the file of an MCP connection's tool pins can't be read or written",
  "worker-failed": "a worker process could not be started, or differs from the others",
  "counters-unavailable": "the file of the counters that workers share can't be opened",
  // login
  "token-malformed": "the password is not a JWT, or is longer than `passwordBytesMax`",
  "token-issuer-unknown": "no configured issuer has the token's `iss`",
  "token-algorithm-refused": "the token's algorithm is not in the issuer's list (`none` never is)",
  "token-signature-invalid": "no key of the issuer verifies the token's signature",
  "token-expired": "the token's `exp` is past, or its `nbf` is ahead, beyond the allowed clock skew",
  "token-audience-wrong": "the token is meant for another audience",
  "token-claims-invalid": "a claim that the gateway needs is missing or of the wrong type",
  "token-revoked": "the token's `jti` or `sub` is in the deny list of the configuration",
  "session-ended": "a rule with `@ends(session)`, or a finding of the monitor, has ended this session",
  "issuer-unreachable": "the issuer's keys can't be fetched and no cached ones are young enough",
  "secret-unavailable": "a secret can't be fetched and no fetched one is good any more",
  "session-role-missing": "no row of `principals` fits who logs in, so the database gives them no role",
  // statements
  "internal-error": "an invariant of the gateway broke: the statement was refused and the cause recorded",
  "record-failed": "the recording can't be written: nothing runs until it can",
  // approvals
  "approval-pending": "nobody decided within the hold limit; an identical repeat passes once after approval",
  "approval-denied": "an approver refused the statement",
  "approval-overtaken": "the statement was approved, but the policies in force now decide otherwise",
  "approval-withdrawn": "the approval was taken back while the request that it let through ran, which was cut off",
  "approval-unavailable": "the approval store can't be used, or too many requests wait",
  "approval-not-found": "there is no approval request with this id",
  "approval-not-eligible": "this person may not decide this request: requester, owner of the agent, or not an approver",
  "approval-closed": "the request was decided, withdrawn, used or has expired",
  // recording
  "recording-locked": "another gateway writes to this recording directory",
  "recording-damaged": "the recording does not verify",
  // admin interface
  "admin-unauthorized": "the request has no valid bearer token",
  "admin-forbidden": "the token's owner may not do this: the configuration names who may",
  "admin-invalid": "the request's body is not what the route takes",
} as const satisfies Readonly<Record<string, string>>;

export type FaultCode = keyof typeof faultCodes;

/** An operator's fault with a stable code. `message` is one lower-case sentence; `help` is the way out. */
export class GatewayError extends Error {
  override readonly name = "GatewayError";
  readonly code: FaultCode;
  readonly help: string | undefined;
  constructor(code: FaultCode, message: string, help?: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
    this.help = help;
  }
}

/** The system's short name for what went wrong (`ENOSPC`), else the error's class: safe to log. */
export function causeCode(error: unknown): string {
  if (error instanceof GatewayError) return error.code;
  if (error instanceof Error) {
    const code: unknown = "code" in error ? error.code : undefined;
    return typeof code === "string" ? code : error.name;
  }
  return "unknown";
}
