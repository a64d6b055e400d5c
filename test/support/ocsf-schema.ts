// What OCSF 1.3.0 asks of the events that we emit, and what of an event isn't so. Held against the published definitions of 1.3.0
// (github.com/ocsf/ocsf-schema, tag 1.3.0, as merged in github.com/mcm/pydantic-ocsf at e9a31dd,
// .schema_cache/ocsf-schema-v1.3.0.json): events/application/{datastore_activity,api_activity}.json, events/base_event.json,
// objects/{metadata,product,actor,authorization,user,session,database,api,service,policy,network_endpoint}.json, dictionary.json.
// profiles/security_control.json is held against a later text and what CHANGELOG.md of that repository says has changed since:
// 1.4.0 brought `policy` into it (#1178), made `action_id` recommended, and let API Activity have it at all (#1281).
// Of attributes that we never emit, those that may be there are left out: one that isn't here is a finding.

type Rule =
  | { readonly is: "text" | "number" | "texts" | "anything"; readonly required?: true }
  | { readonly is: "enum"; readonly of: readonly (number | string)[]; readonly required?: true }
  | { readonly is: "object" | "objects"; readonly as: string; readonly required?: true };
type Shape = { readonly attributes: Readonly<Record<string, Rule>>; readonly oneOf?: readonly string[] };

const text = { is: "text" } as const;
const required = { required: true } as const;
/** Numbers from 0 to `last`, and 99 for what isn't among them. */
const upTo = (last: number): readonly number[] => [...Array.from({ length: last + 1 }, (_, n) => n), 99];

const event: Readonly<Record<string, Rule>> = {
  category_uid: { is: "enum", of: [6], ...required },
  time: { is: "number", ...required },
  type_uid: { is: "number", ...required },
  severity_id: { is: "enum", of: upTo(6), ...required },
  metadata: { is: "object", as: "metadata", ...required },
  status_id: { is: "enum", of: upTo(2) },
  status: text,
  message: text,
  actor: { is: "object", as: "actor", ...required },
  src_endpoint: { is: "object", as: "network_endpoint", ...required },
  unmapped: { is: "anything" },
};

/** Profile `security_control`. Its note on `action_id`: 99 is no option. */
const securityControl: Readonly<Record<string, Rule>> = {
  action_id: { is: "enum", of: [0, 1, 2], ...required },
  action: text,
  disposition_id: { is: "enum", of: upTo(27), ...required },
  disposition: text,
};

const shapes: Readonly<Record<string, Shape>> = {
  6005: {
    attributes: {
      ...event,
      ...securityControl,
      class_uid: { is: "enum", of: [6005], ...required },
      activity_id: { is: "enum", of: upTo(10), ...required },
      database: { is: "object", as: "database" },
    },
    oneOf: ["database", "databucket", "table"],
  },
  6003: {
    attributes: {
      ...event,
      class_uid: { is: "enum", of: [6003], ...required },
      activity_id: { is: "enum", of: upTo(4), ...required },
      api: { is: "object", as: "api", ...required },
    },
  },
  metadata: {
    attributes: {
      version: { is: "enum", of: ["1.3.0"], ...required },
      product: { is: "object", as: "product", ...required },
      uid: text,
      correlation_uid: text,
      profiles: { is: "texts" },
      log_provider: text,
    },
  },
  product: {
    attributes: { name: text, vendor_name: { is: "text", ...required }, version: text, uid: text },
    oneOf: ["name", "uid"],
  },
  actor: {
    attributes: {
      user: { is: "object", as: "user" },
      session: { is: "object", as: "session" },
      authorizations: { is: "objects", as: "authorization" },
    },
    oneOf: ["process", "user", "invoked_by", "session", "app_name", "app_uid"],
  },
  authorization: { attributes: { decision: text, policy: { is: "object", as: "policy" } } },
  user: {
    attributes: { name: text, uid: text, type: text, type_id: { is: "enum", of: upTo(3) } },
    oneOf: ["account", "name", "uid"],
  },
  session: { attributes: { uid: text } },
  database: {
    attributes: { name: text, uid: text, type: text, type_id: { is: "enum", of: upTo(6), ...required } },
    oneOf: ["name", "uid"],
  },
  api: {
    attributes: { operation: { is: "text", ...required }, service: { is: "object", as: "service" }, version: text },
  },
  service: { attributes: { name: text, uid: text, version: text }, oneOf: ["name", "uid"] },
  policy: { attributes: { name: text, uid: text, version: text, group: text, desc: text }, oneOf: ["name", "uid"] },
  network_endpoint: {
    attributes: { ip: text, name: text, hostname: text, uid: text, svc_name: text, port: { is: "number" } },
    oneOf: ["ip", "uid", "name", "hostname", "svc_name", "instance_uid", "interface_uid", "interface_name"],
  },
};

/** Everything that is wrong with it, as sentences; [] for an event that fits. */
export function ocsfFaults(value: unknown): readonly string[] {
  if (!isRecord(value)) return ["it is no object"];
  const faults = faultsOf(value, String(value.class_uid), "");
  const { class_uid: uid, activity_id: activity, type_uid: type } = value;
  if (typeof type === "number" && type !== Number(uid) * 100 + Number(activity))
    faults.push("type_uid isn't class and activity");
  const { metadata } = value;
  const profiles = isRecord(metadata) && Array.isArray(metadata.profiles) ? metadata.profiles : [];
  if (profiles.includes("security_control") !== (uid === 6005)) faults.push("the profiles aren't those of its class");
  // A sibling says in words what 99 stands for: `status_id` and `status`.
  for (const name of ["status", "disposition"])
    if (value[`${name}_id`] === 99 && typeof value[name] !== "string") faults.push(`${name} says nothing of 99`);
  return faults;
}

function faultsOf(value: Readonly<Record<string, unknown>>, as: string, at: string): string[] {
  const shape = shapes[as];
  if (shape === undefined) return [`${at}: ${as} isn't emitted`];
  const faults: string[] = [];
  for (const [name, rule] of Object.entries(shape.attributes))
    if (rule.required && value[name] === undefined) faults.push(`${at}${name} is missing`);
  if (shape.oneOf && !shape.oneOf.some((name) => value[name] !== undefined)) faults.push(`${at}none of ${shape.oneOf}`);
  for (const [name, inner] of Object.entries(value)) {
    const rule = shape.attributes[name];
    if (rule === undefined) faults.push(`${at}${name} isn't known`);
    else faults.push(...faultsOfValue(inner, rule, `${at}${name}`));
  }
  return faults;
}

function faultsOfValue(value: unknown, rule: Rule, at: string): readonly string[] {
  switch (rule.is) {
    case "anything":
      return [];
    case "text":
      return typeof value === "string" && value !== "" ? [] : [`${at} is no text`];
    case "texts":
      return Array.isArray(value) && value.every((item) => typeof item === "string")
        ? []
        : [`${at} is no list of texts`];
    case "number":
      return Number.isSafeInteger(value) ? [] : [`${at} is no whole number`];
    case "enum":
      return rule.of.some((known) => known === value) ? [] : [`${at} is none of ${rule.of}`];
    case "object":
      return isRecord(value) ? faultsOf(value, rule.as, `${at}.`) : [`${at} is no object`];
    case "objects":
      if (!Array.isArray(value)) return [`${at} is no list of objects`];
      return value.flatMap((each, n) => faultsOfValue(each, { is: "object", as: rule.as }, `${at}.${n}`));
    default:
      return rule satisfies never;
  }
}

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value);
