// Which settings a client may read and change (section 4.12), and what a change does to names.

const words = (text: string): readonly string[] => text.split(/\s+/).filter((w) => w !== "");

/**
 * May be set: how results are printed, how plans are made, limits that only tighten. Nothing that changes how text is
 * read, who one is, or what row security sees.
 */
const changeable: ReadonlySet<string> = new Set(
  words(`
  application_name bytea_output datestyle default_statistics_target default_transaction_deferrable
  default_transaction_isolation default_transaction_read_only deadlock_timeout effective_cache_size enable_async_append enable_bitmapscan
  enable_distinct_reordering enable_gathermerge enable_group_by_reordering enable_hashagg enable_hashjoin enable_incremental_sort enable_indexonlyscan enable_indexscan enable_material
  enable_memoize enable_mergejoin enable_nestloop enable_parallel_append enable_parallel_hash enable_partition_pruning
  enable_partitionwise_aggregate enable_partitionwise_join enable_presorted_aggregate enable_self_join_elimination enable_seqscan enable_sort enable_tidscan escape_string_warning
  extra_float_digits from_collapse_limit geqo geqo_threshold gin_fuzzy_search_limit hash_mem_multiplier
  idle_in_transaction_session_timeout idle_session_timeout intervalstyle jit join_collapse_limit lc_messages lc_monetary lc_numeric
  lc_time lock_timeout max_parallel_workers_per_gather parallel_leader_participation parallel_setup_cost parallel_tuple_cost
  quote_all_identifiers random_page_cost search_path seq_page_cost statement_timeout
  synchronize_seqscans timezone transaction_deferrable transaction_isolation transaction_read_only transaction_timeout
  vacuum_cost_delay work_mem xmlbinary default_toast_compression cpu_tuple_cost cpu_index_tuple_cost cpu_operator_cost
  default_table_access_method default_tablespace`),
);

/** May be set, but only to the value that the gateway has pinned anyway: drivers and pg_dump send these. */
const pinned: Readonly<Record<string, readonly string[]>> = {
  standard_conforming_strings: ["on", "true", "1", "yes"],
  client_encoding: ["utf8", "utf-8", "unicode"],
  row_security: ["off", "on"],
  check_function_bodies: ["off", "false", "on", "true"],
  xmloption: ["content"],
  // Debug levels print plans and other inner matters to the client.
  client_min_messages: ["notice", "log", "warning", "error"],
  synchronize_seqscans: ["on", "off"],
  restrict_nonsystem_relation_kind: ["", "view, foreign-table", "view", "foreign-table"],
  // pg_dump switches time limits off.
  constraint_exclusion: ["on", "off", "partition"],
};

const readableOnly: ReadonlySet<string> = new Set(
  words(`
  block_size client_encoding in_hot_standby integer_datetimes is_superuser lc_collate lc_ctype max_identifier_length max_index_keys
  server_encoding server_version server_version_num session_authorization role standard_conforming_strings row_security
  max_connections segment_size wal_block_size check_function_bodies xmloption backslash_quote transform_null_equals
  default_text_search_config scram_iterations`),
);

/** Settings' names are not case sensitive. */
export const settingName = (name: string): string => name.toLowerCase();

export const isReadableSetting = (name: string): boolean =>
  changeable.has(settingName(name)) || readableOnly.has(settingName(name));

/** `value` is undefined for RESET and SET … TO DEFAULT. */
export function isSettingAllowed(name: string, value: string | undefined): boolean {
  const key = settingName(name);
  if (changeable.has(key)) return true;
  const values = pinned[key];
  return values !== undefined && (value === undefined || values.includes(value.toLowerCase()));
}

/** Whatever its value. Not `search_path`: names are read by it. */
export const isChangeableToAny = (name: string): boolean =>
  changeable.has(settingName(name)) && settingName(name) !== "search_path";

export const readableSettings: readonly string[] = [...changeable, ...readableOnly].sort();

/** Alias of the schema that holds a session's temporary tables. */
export const temporarySchema = "pg_temp";

/**
 * Elements of a search_path as the server spells it: `"$user", public`. A malformed list gives [].
 */
export function parseSearchPath(value: string): readonly string[] {
  const out: string[] = [];
  const pattern = /\s*(?:"((?:[^"]|"")*)"|([^\s,"]+))\s*(,|$)/gy;
  let end = 0;
  for (let match = pattern.exec(value); match; match = pattern.exec(value)) {
    out.push(match[1] === undefined ? (match[2] ?? "").toLowerCase() : match[1].replaceAll('""', '"'));
    end = pattern.lastIndex;
    if (match[3] === "") break;
  }
  return end === value.length ? out : [];
}

/** `"$user"` is the role's own schema; schemas that don't exist are skipped, as the server does. `pg_temp` is each session's own. */
export const effectivePath = (
  elements: readonly string[],
  user: string,
  schemas: ReadonlySet<string>,
): readonly string[] =>
  elements.map((e) => (e === "$user" ? user : e)).filter((e) => e === temporarySchema || schemas.has(e));
