// What became of one client message, and the ends that a message can bring about.
import type { ErrorText } from "./protocol/encode.ts";
import { sqlstate } from "./protocol/sqlstate.ts";

/** The session must end: `end` is what the client is told, `reason` what the log and the record say. */
export type Ending = { readonly end: ErrorText; readonly reason: string };

export type Handled =
  | "done"
  /** The server must answer first; the same message comes again then. */
  | "again"
  /** People are asked; the relay is told when they have answered. */
  | "held"
  /** The database's planner is asked; the relay is told when it has answered, and the same message comes again then. */
  | "asked"
  | "terminate"
  | Ending;

const protocolViolation = (reason: string, message: string): Ending => ({
  reason,
  end: { severity: "FATAL", sqlstate: sqlstate.protocolViolation, message },
});

export const unknownType = (type: number): Ending =>
  protocolViolation("unknown-message", `invalid frontend message type ${type}`);

export const copyFault: Ending = protocolViolation(
  "message-during-copy",
  "unexpected message type during COPY from stdin",
);

export const holdFailed: Ending = {
  reason: "hold-failed",
  end: {
    severity: "FATAL",
    sqlstate: sqlstate.internalError,
    message: "the approval could not be waited for",
    hint: "Connect again; the operator finds the reason in the gateway's log.",
  },
};

export const tokenRevoked: Ending = {
  reason: "token-revoked",
  end: {
    severity: "FATAL",
    sqlstate: sqlstate.invalidAuthorization,
    message: "the token of this session was revoked",
    hint: "Talk to whoever runs the gateway, or log in anew: `gw login`.",
  },
};

export const endedByRule: Ending = {
  reason: "ended-by-rule",
  end: {
    severity: "FATAL",
    sqlstate: sqlstate.invalidAuthorization,
    message: "a rule of the policies has ended this session",
    hint: "Talk to whoever runs the gateway; the recording says which rule it was.",
  },
};

export const tokenExpired: Ending = {
  reason: "token-expired",
  end: {
    severity: "FATAL",
    sqlstate: sqlstate.invalidAuthorization,
    message: "the token of this session has expired",
    hint: "Connect again with a fresh token as the password: `gw login`, then `gw connect`.",
  },
};
