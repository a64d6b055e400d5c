// What OCSF asks of the events that we emit, and what of an event isn't so. Transcribed from the definitions that
// https://schema.ocsf.io/1.3.0 is made of: events/application/{datastore_activity,api_activity}.json, includes/{classification,
// occurrence}.json, profiles/security_control.json, objects/{metadata,product,actor,user,session,database,api,service,policy,
// network_endpoint}.json and dictionary.json. Attributes that we never emit are left out: one that isn't here is a finding.

type Rule =
  | { readonly is: "text" | "number" | "texts" | "anything"; readonly required?: true }
  | { readonly is: "enum"; readonly of: readonly (number | string)[]; readonly required?: true }
  | { readonly is: "object"; readonly as: string; readonly required?: true };
type Shape = { readonly attributes: Readonly<Record<string, Rule>>; readonly oneOf?: readonly string[] };

const text = { is: "text" } as const;
const required = { required: true } as const;

const event: Readonly<Record<string, Rule>> = {
  category_uid: { is: "enum", of: [6], ...required },
  time: { is: "number", ...required },
  type_uid: { is: "number", ...required },
  severity_id: { is: "enum", of: [0, 1, 2, 3, 4, 5, 6, 99], ...required },
  metadata: { is: "object", as: "metadata", ...required },
  status_id: { is: "enum", of: [0, 1, 2, 99] },
  status: text,
  message: text,
  actor: { is: "object", as: "actor", ...required },
  src_endpoint: { is: "object", as: "network_endpoint", ...required },
  unmapped: { is: "anything" },
  // Profile `security_control`.
  action_id: { is: "enum", of: [0, 1, 2] },
  disposition_id: { is: "enum", of: [0, 1, 2, 15, 99] },
  disposition: text,
  policy: { is: "object", as: "policy" },
};

const shapes: Readonly<Record<string, Shape>> = {
  6005: {
    attributes: {
      ...event,
      class_uid: { is: "enum", of: [6005], ...required },
      activity_id: { is: "enum", of: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 99], ...required },
      database: { is: "object", as: "database" },
    },
    oneOf: ["database", "databucket", "table"],
  },
  6003: {
    attributes: {
      ...event,
      class_uid: { is: "enum", of: [6003], ...required },
      activity_id: { is: "enum", of: [0, 1, 2, 3, 4, 99], ...required },
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
  product: { attributes: { name: text, vendor_name: { is: "text", ...required }, version: text, uid: text } },
  actor: {
    attributes: { user: { is: "object", as: "user" }, session: { is: "object", as: "session" } },
    oneOf: ["process", "user", "invoked_by", "session", "app_name", "app_uid"],
  },
  user: {
    attributes: { name: text, uid: text, type: text, type_id: { is: "enum", of: [0, 1, 2, 3, 99] } },
    oneOf: ["account", "name", "uid"],
  },
  session: { attributes: { uid: text } },
  database: {
    attributes: { name: text, uid: text, type_id: { is: "enum", of: [0, 1, 2, 3, 4, 5, 99], ...required } },
    oneOf: ["name", "uid"],
  },
  api: { attributes: { operation: { is: "text", ...required }, service: { is: "object", as: "service" } } },
  service: { attributes: { name: text, uid: text }, oneOf: ["name", "uid"] },
  policy: { attributes: { name: text, uid: text, version: text }, oneOf: ["name", "uid"] },
  network_endpoint: { attributes: { ip: text, name: text }, oneOf: ["ip", "uid", "name", "hostname", "svc_name"] },
};

/** Everything that is wrong with it, as sentences; [] for an event that fits. */
export function ocsfFaults(value: unknown): readonly string[] {
  if (!isRecord(value)) return ["it is no object"];
  const faults = faultsOf(value, String(value.class_uid), "");
  const { class_uid: uid, activity_id: activity, type_uid: type } = value;
  if (typeof type === "number" && type !== Number(uid) * 100 + Number(activity))
    faults.push("type_uid isn't class and activity");
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
    default:
      return rule satisfies never;
  }
}

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value);
