// one decision -> an entry of OPA's decision log, or an event of OCSF. Ids, names and numbers; no text of statements.
import { isIP } from "node:net";
import type { Json } from "../../engine/lib/json.ts";

/** What both formats are made of, live or from the recording. */
export type DecisionRow = {
  readonly atMs: number;
  readonly decisionId: string;
  readonly session: string;
  readonly connection: string;
  readonly protocol: string;
  /** Address; left out where nobody recorded it. */
  readonly client?: string;
  readonly principal: { readonly sub: string; readonly kind: string };
  /** `select public.orders`, `GET /v1/users`. */
  readonly accesses: readonly string[];
  readonly fingerprint: string | undefined;
  readonly effect: "allow" | "deny" | "approval" | "fault";
  readonly rules: readonly string[];
  readonly policyHash: string;
  readonly revision: string;
};

type JsonObject = { readonly [key: string]: Json };

/** Parts of an entry that are left out before it goes anywhere: JSON pointers (RFC 6901) below `/input` or `/result`. */
export type Mask = readonly string[];

/** https://www.openpolicyagent.org/docs/management-decision-logs: what was masked is named in `erased`. */
export function opaEntry(row: DecisionRow, labels: Readonly<Record<string, string>>, mask: Mask = []): JsonObject {
  const entry: JsonObject = {
    decision_id: row.decisionId,
    labels: { ...labels },
    bundles: { gatewright: { revision: row.revision === "" ? row.policyHash : row.revision } },
    path: "gatewright/decision",
    input: {
      principal: { ...row.principal },
      connection: row.connection,
      protocol: row.protocol,
      session: row.session,
      accesses: [...row.accesses],
      ...(row.fingerprint === undefined ? {} : { fingerprint: row.fingerprint }),
    },
    result: { allow: row.effect === "allow", effect: row.effect, rules: [...row.rules] },
    timestamp: new Date(row.atMs).toISOString(),
  };
  let masked: JsonObject = entry;
  const erased: string[] = [];
  for (const pointer of mask) {
    const without = erase(masked, partsOf(pointer));
    if (without === undefined) continue;
    masked = without;
    erased.push(pointer);
  }
  return erased.length === 0 ? entry : { ...masked, erased };
}

const partsOf = (pointer: string): readonly string[] =>
  pointer
    .split("/")
    .slice(1)
    .map((part) => part.replaceAll("~1", "/").replaceAll("~0", "~"));

/** undefined where it isn't there. */
function erase(from: JsonObject, [first, ...rest]: readonly string[]): JsonObject | undefined {
  if (first === undefined || !Object.hasOwn(from, first)) return undefined;
  const { [first]: inner, ...others } = from;
  if (rest.length === 0) return others;
  const without = isObject(inner) ? erase(inner, rest) : undefined;
  return without === undefined ? undefined : { ...from, [first]: without };
}

const isObject = (value: Json | undefined): value is JsonObject =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/**
 * OCSF 1.3.0: Datastore Activity (6005) for SQL, API Activity (6003) for the rest. Both say in `actor.authorizations` what was
 * decided and by which policies; the profile `security_control` is one of Datastore Activity alone until 1.4.0.
 */
export function ocsfEvent(row: DecisionRow, node: string): JsonObject {
  const isSql = row.protocol === "postgres" || row.protocol === "sql";
  const classUid = isSql ? 6005 : 6003;
  const activity = isSql ? datastoreActivity(row.accesses[0]) : apiActivity(row.accesses[0]);
  const isAllowed = row.effect === "allow";
  const isHeld = row.effect === "approval";
  return {
    category_uid: 6,
    class_uid: classUid,
    activity_id: activity,
    type_uid: classUid * 100 + activity,
    time: row.atMs,
    severity_id: isAllowed ? 1 : 2,
    status_id: isAllowed ? 1 : isHeld ? 99 : 2,
    ...(isHeld ? { status: "held for approval" } : {}),
    ...(isSql ? securityControl(row.effect) : {}),
    metadata: {
      version: "1.3.0",
      uid: row.decisionId,
      correlation_uid: row.session,
      profiles: isSql ? ["security_control"] : [],
      product: { name: "Gatewright", vendor_name: "Gatewright" },
      log_provider: node,
    },
    actor: {
      user: userOf(row.principal),
      session: { uid: row.session },
      authorizations: [{ decision: row.effect, policy: policyOf(row) }],
    },
    src_endpoint: isAddress(row.client)
      ? { ip: row.client }
      : { name: row.client === undefined || row.client === "" ? "unknown" : row.client },
    ...(isSql
      ? { database: { name: row.connection === "" ? "unknown" : row.connection, type_id: 1 } }
      : {
          api: {
            operation: row.accesses[0] ?? "unknown",
            service: { name: row.connection === "" ? "unknown" : row.connection },
          },
        }),
    unmapped: { accesses: [...row.accesses], fingerprint: row.fingerprint ?? null, effect: row.effect },
  };
}

/** An action is allowed, denied or unknown; what is held is neither yet, and its disposition says so. */
const securityControl = (effect: DecisionRow["effect"]): JsonObject => {
  if (effect === "approval") return { action_id: 0, disposition_id: 99, disposition: "held for approval" };
  return effect === "allow" ? { action_id: 1, disposition_id: 1 } : { action_id: 2, disposition_id: 2 };
};

const policyOf = ({ policyHash, revision, rules }: DecisionRow): JsonObject => ({
  uid: policyHash,
  ...(revision === "" ? {} : { version: revision }),
  ...(rules.length === 0 ? {} : { name: rules.join(", ") }),
});

const isAddress = (client: string | undefined): client is string => client !== undefined && isIP(client) !== 0;

/** People are users; agents and services have no word of their own in 1.3. */
const userOf = ({ sub, kind }: DecisionRow["principal"]): JsonObject =>
  kind === "human" ? { name: sub, type_id: 1 } : { name: sub, type: kind, type_id: 99 };

/** Create 1, Read 2, Update 3, Delete 4, Other 99: an HTTP method says which, a tool or a model doesn't. */
function apiActivity(access: string | undefined): number {
  switch (access?.split(" ", 1)[0]) {
    case "POST":
      return 1;
    case "GET":
    case "HEAD":
    case "resources/read":
      return 2;
    case "PUT":
    case "PATCH":
      return 3;
    case "DELETE":
      return 4;
    default:
      return 99;
  }
}

/** Read 1, Update 2, Query 4, Write 5, Create 6, Delete 7, Other 99. */
function datastoreActivity(access: string | undefined): number {
  switch (access?.split(" ", 1)[0]) {
    case "select":
      return 1;
    case "update":
    case "merge":
      return 2;
    case "insert":
    case "copy":
      return 5;
    case "create":
      return 6;
    case "delete":
    case "truncate":
    case "drop":
      return 7;
    case undefined:
      return 4;
    default:
      return 99;
  }
}
