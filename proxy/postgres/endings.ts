// Why sessions end, and what the client is told then.
import type { Ending } from "./handled.ts";
import type { ErrorText } from "./protocol/encode.ts";
import type { FrameFault } from "./protocol/frame.ts";
import { sqlstate } from "./protocol/sqlstate.ts";

/** Ends that are nobody's fault. */
export const quietReasons: ReadonlySet<string> = new Set([
  "client-done",
  "client-closed",
  "client-reset",
  "shutdown",
  "idle-timeout",
]);

const fatal = (code: string, message: string): ErrorText => ({ severity: "FATAL", sqlstate: code, message });

export const endings = {
  goingDown: {
    reason: "shutdown",
    end: fatal(sqlstate.adminShutdown, "terminating connection due to administrator command"),
  },
  idleTimeout: {
    reason: "idle-timeout",
    end: fatal(sqlstate.idleSessionTimeout, "terminating connection due to idle-session timeout"),
  },
  internalError: {
    reason: "internal-error",
    end: fatal(sqlstate.internalError, "the gateway met an internal error and ended the session"),
  },
  notRecorded: {
    reason: "record-failed",
    end: fatal(sqlstate.insufficientResources, "the decision could not be recorded, so nothing was run"),
  },
  upstreamLost: {
    reason: "upstream-closed",
    end: fatal(sqlstate.connectionFailure, "the connection to the database behind the gateway was lost"),
  },
} as const satisfies Record<string, Ending>;

/** The server said something that nothing sent explains. */
export const surprised = (reason: string): Ending => ({
  reason,
  end: fatal(sqlstate.internalError, "the gateway ended the session: the database's answer was not as expected"),
});

export function frameFault({ code, declared }: FrameFault): Ending {
  const reason = `frame-${code}`;
  if (code === "length-too-small") return { reason, end: fatal(sqlstate.protocolViolation, "invalid message length") };
  return {
    reason,
    end: {
      ...fatal(sqlstate.programLimitExceeded, `a message of ${declared} bytes is more than the gateway accepts`),
      hint: "Send large values as parameters, in several rows, or with COPY.",
    },
  };
}

/** An end that the client is told nothing of: it left, or has heard the server's own words. */
export type Quietly = { readonly reason: string; readonly end: undefined };
export const quietly = (reason: string): Quietly => ({ reason, end: undefined });
