// One event of each type with every field that it may have. The compiler lists what is missing here.
import type { SessionEvent } from "../../engine/model/session-event.ts";

type Type = SessionEvent["type"];
type Of<T extends Type> = Extract<SessionEvent, { readonly type: T }>;

/** As `Required`, and `undefined` where a field may be undefined is no way out either. */
type Whole<T extends Type> = { readonly [F in keyof Of<T>]-?: Exclude<Of<T>[F], undefined> };

const atMs = Date.UTC(2026, 10, 22, 9, 30, 0, 123);
const at = { atMs, session: "ses_1" };
const sha256 = `sha256:${"1".repeat(64)}`;

export const examples: { readonly [T in Type]: Whole<T> } = {
  recorder: { ...at, session: "", type: "recorder", state: "recovered", node: "gw-1", bytes: 12, kept: "x.torn-12" },
  worker: {
    ...at,
    session: "",
    type: "worker",
    worker: "worker-1",
    generation: 1,
    state: "ended",
    head: `7:${"a".repeat(64)}`,
  },
  policy: {
    ...at,
    session: "",
    type: "policy",
    policy: sha256,
    state: "rejected",
    message: "E0101 `orderz` is unknown",
  },
  "session-start": {
    ...at,
    type: "session-start",
    connection: "shop",
    protocol: "postgres",
    principal: {
      sub: "agent/nora",
      kind: "agent",
      groups: ["agents"],
      onBehalfOf: "kim@larch.test",
      chain: ["kim@larch.test", "agent/nora"],
    },
    client: "127.0.0.1",
    application: "agent/run-1",
  },
  statement: {
    ...at,
    type: "statement",
    id: "dec_1",
    statement: 'select id, "Nåme"\tfrom orders where id = $1 -- \u{1f333} \u2028',
    fingerprint: "50fde20626009aba",
    isCut: true,
    statementSha256: "2".repeat(64),
    parameters: 1,
    accesses: ["select public.orders (id, Nåme)"],
    factsDigest: `sha256:${"3".repeat(64)}`,
    effect: "deny",
    rules: ["larch.shop.no_names"],
    causes: [{ kind: "rule", rule: "larch.shop.no_names", message: "names stay here", severity: null }],
    masks: ["public.orders.iban partial"],
    filters: ["public.orders: tenant = 'a'"],
    policy: sha256,
    revision: "r1",
    refs: { trace: "4bf92f3577b34da6a3ce929d0e0e4736" },
    values: ["Kim", null, { hex: "00ff" }, { text: "aaa", isCut: true, bytes: 3_000 }, { isCut: true, more: 2 }],
    sealed: { values: "eyJ.." },
  },
  completion: {
    ...at,
    type: "completion",
    id: "dec_1",
    outcome: "error",
    tag: "SELECT 1",
    sqlstate: "57014",
    rows: 1,
    bytes: 120,
    durationUs: 850,
    tokens: 12,
    usd: 0.25,
    refs: { message: "msg_1" },
  },
  approval: {
    ...at,
    type: "approval",
    id: "apr_1",
    statementId: "dec_1",
    state: "granted",
    by: "sam@larch.test",
    reason: "agreed in the stand-up",
  },
  alert: {
    ...at,
    type: "alert",
    id: "dec_1",
    rule: "larch.shop.watch",
    channel: "security",
    severity: "high",
    message: "names were asked for",
  },
  "alert-dropped": {
    ...at,
    type: "alert-dropped",
    id: "dec_1",
    rule: "larch.shop.watch",
    channel: "security",
    sink: "pager",
    why: "queue-full",
    total: 3,
  },
  shadow: {
    ...at,
    type: "shadow",
    id: "dec_1",
    policy: sha256,
    live: "deny",
    effect: "allow",
    rules: ["larch.shop.new_rule"],
    causes: [],
    obligations: ["limit rows 10"],
  },
  "content-key": {
    ...at,
    session: "",
    type: "content-key",
    id: "key_1",
    recipient: "0123456789abcdef",
    wrapped: "eyJ...",
  },
  "session-end": { ...at, type: "session-end", reason: "client left" },
};
