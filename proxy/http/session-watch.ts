// an exchange that lasts -> cut off when its token is revoked or ends, its session is over, or its approval is taken back
import { limits } from "../../engine/limits.ts";
import type { Refusal, SessionEnd, TrafficGate, TrafficSession, Withdrawal } from "../gate/traffic.ts";

/** `unbounded`: a stream without an end of its own, such as a WebSocket. `bounded`: an answer that is sent piece by piece. */
export type StreamKind = "bounded" | "unbounded";

export type SessionWatch = Withdrawal & {
  /** It is a stream from now on: what ends its session ends it, and an unbounded one ends with its token as well. */
  readonly isStream: (kind: StreamKind) => void;
  readonly stop: () => void;
};

/** INVARIANT: called in the turn in which the exchange's decision was recorded, and `stop` when the exchange is over. */
export function watchSession(
  gate: Pick<TrafficGate, "whyEnded">,
  session: TrafficSession,
  decisionId: string,
  withdrawal: Withdrawal | undefined,
): SessionWatch {
  const abort = new AbortController();
  // An alert with `@ends(session)` lets its own request run: an answer that ends by itself isn't cut because of it.
  const isLast = gate.whyEnded(session) === "session-ended";
  const ends: Record<SessionEnd, (stream: StreamKind | undefined) => boolean> = {
    "token-revoked": () => true,
    "token-expired": (stream) => stream === "unbounded",
    "session-ended": (stream) => stream === "unbounded" || (stream === "bounded" && !isLast),
  };
  let stream: StreamKind | undefined;
  let refusal: Refusal | undefined;
  const cut = (why: Refusal): void => {
    refusal ??= why;
    abort.abort();
  };
  const look = (): void => {
    const why = gate.whyEnded(session);
    if (why !== undefined && ends[why](stream)) cut(refusalOf(why, decisionId));
  };
  const timer = setInterval(look, limits.httpSessionLookMs);
  timer.unref();
  const onWithdrawn = (): void => withdrawal && cut(withdrawal.refusal);
  withdrawal?.signal.addEventListener("abort", onWithdrawn);
  if (withdrawal?.signal.aborted) onWithdrawn();
  return {
    signal: abort.signal,
    /** Asked once the signal has told. */
    get refusal() {
      return refusal ?? refusalOf("token-expired", decisionId);
    },
    isStream: (kind) => {
      stream = kind;
      look();
    },
    stop: () => {
      clearInterval(timer);
      withdrawal?.signal.removeEventListener("abort", onWithdrawn);
    },
  };
}

const wording: Record<SessionEnd, { readonly what: string; readonly help: string }> = {
  "token-expired": { what: "the token ended", help: "get a fresh token and repeat the request" },
  "token-revoked": { what: "the token was revoked", help: "talk to whoever runs the gateway" },
  "session-ended": {
    what: "a rule of the policies has ended this session",
    help: "talk to whoever runs the gateway; the recording says which rule it was",
  },
};

const refusalOf = (code: SessionEnd, decisionId: string): Refusal => ({
  decisionId,
  code,
  reason: `${wording[code].what} while this request ran, so it was cut off: how much of it took effect isn't known`,
  rules: [],
  help: wording[code].help,
  approvalId: undefined,
  retry: "never",
});
