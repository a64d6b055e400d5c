// startup parameters -> what goes into the upstream's startup packet, or a FATAL.
import { err, ok, type Result } from "../../engine/lib/result.ts";
import { isReadableSetting, isSettingAllowed } from "../../engine/sql/settings.ts";
import type { ErrorText } from "./protocol/encode.ts";
import { sqlstate } from "./protocol/sqlstate.ts";

/** What a client asked for when it connected. */
export type StartupRequest = {
  readonly user: string;
  readonly database: string | undefined;
  readonly application: string | undefined;
  /** Settings for the upstream's startup packet: RESET and DISCARD ALL come back to them there. */
  readonly settings: readonly (readonly [name: string, value: string])[];
  /** `_pq_.` options, none of which is understood: named in NegotiateProtocolVersion. */
  readonly protocolOptions: readonly string[];
};

/** Exist at the server and are not for a client here; any other name that isn't known gets PostgreSQL's 42704. */
const refused: ReadonlySet<string> = new Set([
  "allow_system_table_mods",
  "dynamic_library_path",
  "ignore_system_indexes",
  "local_preload_libraries",
  "log_min_duration_statement",
  "log_min_messages",
  "log_statement",
  "maintenance_work_mem",
  "post_auth_delay",
  "session_preload_libraries",
  "session_replication_role",
  "temp_tablespaces",
  "track_activities",
  "zero_damaged_pages",
]);

/** Client encodings that UTF-8 bytes satisfy. SQL_ASCII (psql under LANG=C) takes bytes as they come. */
const utf8Names: ReadonlySet<string> = new Set(["utf8", "unicode", "sqlascii"]);

/** Reads a startup packet's parameters. A fault is what PostgreSQL would say, FATAL. */
export function readStartupSettings(
  parameters: readonly (readonly [string, string])[],
): Result<StartupRequest, ErrorText> {
  const settings = new Map<string, string>();
  const protocolOptions: string[] = [];
  let user = "";
  let database: string | undefined;
  const pairs: (readonly [string, string])[] = [];
  let options: readonly (readonly [string, string])[] = [];
  for (const [name, value] of parameters) {
    if (name === "user") user = value;
    else if (name === "database") database = value;
    else if (name === "replication") {
      if (isReplication(value)) return err(replicationRefused);
    } else if (name === "options") {
      const parsed = parseOptions(value);
      if (!parsed.ok) return parsed;
      options = parsed.value;
    } else if (name.startsWith("_pq_.")) protocolOptions.push(name);
    else pairs.push([name, value]);
  }
  if (user === "") {
    return err(fatal(sqlstate.invalidAuthorization, "no PostgreSQL user name specified in startup packet"));
  }
  // PostgreSQL applies `options` first and the packet's own settings after it.
  for (const [name, value] of [...options, ...pairs]) {
    const checked = checkSetting(name, value);
    if (!checked.ok) return checked;
    if (checked.value) settings.set(checked.value[0], checked.value[1]);
  }
  return ok({
    user,
    database: database === "" ? undefined : database,
    application: settings.get("application_name"),
    settings: [...settings],
    protocolOptions,
  });
}

function checkSetting(given: string, value: string): Result<readonly [string, string] | undefined, ErrorText> {
  const name = given.toLowerCase();
  if (name === "client_encoding") {
    const encoding = value.toLowerCase().replaceAll(/[^a-z0-9]/g, "");
    if (utf8Names.has(encoding)) return ok(undefined);
    return err({
      ...fatal(sqlstate.featureNotSupported, `client encoding \`${value.slice(0, 63)}\` is not available here`),
      hint: "Connect with client_encoding UTF8.",
    });
  }
  if (isSettingAllowed(name, value)) return ok([name, value]);
  if (isReadableSetting(name) || refused.has(name) || name.includes(".")) {
    return err(notHere(given, "Leave it out of the connection's parameters."));
  }
  return err(fatal(sqlstate.undefinedObject, `unrecognized configuration parameter "${given.slice(0, 200)}"`));
}

const notHere = (name: string, hint: string): ErrorText => ({
  ...fatal(sqlstate.insufficientPrivilege, `permission denied to set parameter "${name.slice(0, 200)}"`),
  hint,
});

const fatal = (code: string, message: string): ErrorText => ({ severity: "FATAL", sqlstate: code, message });

const replicationRefused: ErrorText = {
  ...fatal(sqlstate.featureNotSupported, "replication connections are not available through the gateway"),
  hint: "Leave out the `replication` parameter, or replicate from the server directly.",
};

/** PostgreSQL takes booleans and `database`. */
const isReplication = (value: string): boolean =>
  !["", "false", "off", "no", "0", "f", "n"].includes(value.toLowerCase());

/**
 * The `options` parameter: words split at white space, a backslash takes the next character as it is. Only `-c name=value`,
 * `-cname=value` and `--name=value` are understood.
 */
export function parseOptions(text: string): Result<readonly (readonly [string, string])[], ErrorText> {
  const words = splitWords(text);
  const settings: (readonly [string, string])[] = [];
  for (let i = 0; i < words.length; i++) {
    const word = words[i] ?? "";
    const assignment = word === "-c" ? words[++i] : (/^(?:--|-c)(.+)$/s.exec(word)?.[1] ?? undefined);
    const match = assignment === undefined ? undefined : /^([^=]+)=(.*)$/s.exec(assignment);
    if (!match) {
      return err({
        ...fatal(sqlstate.syntaxError, "invalid command-line argument in startup parameter `options`"),
        hint: "Write settings as `-c name=value`.",
      });
    }
    settings.push([(match[1] ?? "").replaceAll("-", "_"), match[2] ?? ""]);
  }
  return ok(settings);
}

function splitWords(text: string): readonly string[] {
  const words: string[] = [];
  let word: string | undefined;
  for (let i = 0; i < text.length; i++) {
    let character = text.charAt(i);
    if (/\s/.test(character)) {
      if (word !== undefined) words.push(word);
      word = undefined;
      continue;
    }
    if (character === "\\" && i + 1 < text.length) character = text.charAt(++i);
    word = (word ?? "") + character;
  }
  return word === undefined ? words : [...words, word];
}
