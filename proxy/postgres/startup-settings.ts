// startup parameters -> what goes into the upstream's startup packet, or a FATAL.
import { err, ok, type Result } from "../../engine/lib/result.ts";
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

/** Settings that change how a session looks or how long it may take, not what it may see or how text is read. */
const free: ReadonlySet<string> = new Set([
  "application_name",
  "backend_flush_after",
  "bytea_output",
  "client_connection_check_interval",
  "client_min_messages",
  "cursor_tuple_fraction",
  "datestyle",
  "deadlock_timeout",
  "debug_print_plan",
  "default_statistics_target",
  "default_transaction_deferrable",
  "default_transaction_isolation",
  "default_transaction_read_only",
  "effective_cache_size",
  "enable_hashjoin",
  "enable_indexonlyscan",
  "enable_indexscan",
  "enable_mergejoin",
  "enable_nestloop",
  "enable_seqscan",
  "enable_sort",
  "extra_float_digits",
  "from_collapse_limit",
  "geqo",
  "idle_in_transaction_session_timeout",
  "idle_session_timeout",
  "intervalstyle",
  "jit",
  "join_collapse_limit",
  "lc_messages",
  "lc_monetary",
  "lc_numeric",
  "lc_time",
  "lock_timeout",
  "maintenance_work_mem",
  "max_parallel_workers_per_gather",
  "plan_cache_mode",
  "random_page_cost",
  "search_path",
  "seq_page_cost",
  "statement_timeout",
  "synchronous_commit",
  "tcp_keepalives_count",
  "tcp_keepalives_idle",
  "tcp_keepalives_interval",
  "tcp_user_timeout",
  "timezone",
  "transaction_timeout",
  "work_mem",
  "xmlbinary",
]);

/** Settings that change what text or names mean, who one is or what row security sees: only this value passes. */
const pinned: ReadonlyMap<string, readonly string[]> = new Map([
  ["standard_conforming_strings", ["on", "true", "yes", "1"]],
  ["escape_string_warning", ["on", "true", "yes", "1"]],
  ["row_security", ["on", "true", "yes", "1"]],
  ["transform_null_equals", ["off", "false", "no", "0"]],
  ["backslash_quote", ["safe_encoding", "off"]],
  ["session_replication_role", ["origin"]],
  ["xmloption", ["content"]],
]);

/** Exist at the server and are not for a client here. */
const refused: ReadonlySet<string> = new Set([
  "role",
  "session_authorization",
  "session_preload_libraries",
  "local_preload_libraries",
  "dynamic_library_path",
  "default_tablespace",
  "temp_tablespaces",
  "default_table_access_method",
  "log_statement",
  "log_min_messages",
  "log_min_duration_statement",
  "track_activities",
  "array_nulls",
  "allow_system_table_mods",
  "zero_damaged_pages",
  "ignore_system_indexes",
  "post_auth_delay",
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
  if (free.has(name)) return ok([name, value]);
  const allowed = pinned.get(name);
  if (allowed) {
    if (allowed.includes(value.toLowerCase())) return ok(undefined);
    return err(notHere(given, `It is fixed to \`${allowed[0]}\` for sessions through the gateway.`));
  }
  if (refused.has(name) || name.includes(".")) {
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
