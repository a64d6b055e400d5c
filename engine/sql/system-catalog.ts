// The built-in policy over pg_catalog and information_schema: which relations may be read, which columns are masked for
// everybody. What isn't named is refused (section 4.11 of the threat model).
import type { Relation } from "../model/catalog.ts";
import type { RowPredicate } from "../model/row-predicate.ts";
import { readableSettings } from "./settings.ts";

const words = (text: string): readonly string[] => text.split(/\s+/).filter((w) => w !== "");

const readable: Readonly<Record<string, ReadonlySet<string>>> = {
  pg_catalog: new Set(
    words(`
    pg_aggregate pg_am pg_amop pg_amproc pg_attrdef pg_attribute pg_auth_members pg_available_extensions pg_available_extension_versions
    pg_cast pg_class pg_collation pg_constraint pg_conversion pg_database pg_default_acl pg_depend pg_description pg_enum pg_event_trigger
    pg_extension pg_foreign_data_wrapper pg_foreign_server pg_foreign_table pg_group pg_index pg_indexes pg_inherits pg_init_privs
    pg_language pg_matviews pg_namespace pg_opclass pg_operator pg_opfamily pg_parameter_acl pg_partitioned_table
    pg_policies pg_policy pg_proc pg_publication pg_publication_namespace pg_publication_rel pg_publication_tables pg_range pg_rewrite
    pg_roles pg_rules pg_seclabel pg_seclabels pg_sequence pg_sequences pg_settings pg_shdepend pg_shdescription pg_shseclabel
    pg_statistic_ext pg_tables pg_tablespace pg_timezone_abbrevs pg_timezone_names pg_transform pg_trigger pg_ts_config pg_ts_config_map
    pg_ts_dict pg_ts_parser pg_ts_template pg_type pg_user pg_views pg_statio_all_tables pg_stat_all_tables pg_stat_user_tables
    pg_largeobject_metadata`),
  ),
  information_schema: new Set(
    words(`
    administrable_role_authorizations applicable_roles attributes character_sets check_constraint_routine_usage check_constraints
    collation_character_set_applicability collations column_column_usage column_domain_usage column_options column_privileges
    column_udt_usage columns constraint_column_usage constraint_table_usage data_type_privileges domain_constraints domain_udt_usage
    domains element_types enabled_roles foreign_tables information_schema_catalog_name key_column_usage parameters
    referential_constraints role_column_grants role_routine_grants role_table_grants role_udt_grants role_usage_grants
    routine_column_usage routine_privileges routine_routine_usage routine_sequence_usage routine_table_usage routines schemata sequences
    sql_features sql_implementation_info sql_parts sql_sizing table_constraints table_privileges tables transforms triggered_update_columns
    triggers udt_privileges usage_privileges user_defined_types view_column_usage view_routine_usage view_table_usage views`),
  ),
};

/** Relation → column → the constant that stands in its place, as SQL of the column's type. */
const masked: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  pg_class: {
    reltuples: "CAST((-1) AS pg_catalog.float4)",
    relpages: "CAST(0 AS pg_catalog.int4)",
    relallvisible: "CAST(0 AS pg_catalog.int4)",
    relallfrozen: "CAST(0 AS pg_catalog.int4)",
    relfrozenxid: "CAST('0' AS pg_catalog.xid)",
    relminmxid: "CAST('0' AS pg_catalog.xid)",
  },
  pg_sequences: { last_value: "CAST(NULL AS pg_catalog.int8)" },
  pg_roles: { rolconfig: "CAST(NULL AS pg_catalog.text[])" },
  pg_user: { useconfig: "CAST(NULL AS pg_catalog.text[])" },
  pg_foreign_server: { srvoptions: "CAST(NULL AS pg_catalog.text[])" },
  pg_database: { datfrozenxid: "CAST(NULL AS pg_catalog.xid)", datminmxid: "CAST(NULL AS pg_catalog.xid)" },
};

/** Counters of these tell of hidden rows: only names and OIDs are shown. */
const namesOnly: ReadonlySet<string> = new Set(["pg_statio_all_tables", "pg_stat_all_tables", "pg_stat_user_tables"]);
const nameColumns: ReadonlySet<string> = new Set(["relid", "schemaname", "relname"]);

/** Rows that are shown of a system relation. */
export const systemFilter = (relation: Relation): RowPredicate | undefined =>
  relation.schema === "pg_catalog" ? systemFilters.get(relation.name) : undefined;

const readableSettingsFilter: RowPredicate = {
  kind: "in",
  column: "name",
  values: readableSettings.flatMap((name) => spellingsOf(name).map((value) => ({ type: "string" as const, value }))),
};

/** Which large objects there are, and whose, is nobody's: they can't be read either. */
const systemFilters: ReadonlyMap<string, RowPredicate> = new Map<string, RowPredicate>([
  ["pg_settings", readableSettingsFilter],
  ["pg_largeobject_metadata", { kind: "constant", value: false }],
]);

/** The view spells three settings in mixed case. */
function spellingsOf(name: string): readonly string[] {
  const mixed: Readonly<Record<string, string>> = {
    datestyle: "DateStyle",
    intervalstyle: "IntervalStyle",
    timezone: "TimeZone",
  };
  return [mixed[name] ?? name];
}

export const isSystemSchema = (schema: string): boolean =>
  schema === "pg_catalog" || schema === "information_schema" || schema.startsWith("pg_toast");

/** Whether the built-in policy lets a system relation be read at all. */
export const isReadableSystemRelation = (relation: Relation): boolean =>
  readable[relation.schema]?.has(relation.name) === true;

export function systemMasks(relation: Relation): Readonly<Record<string, string>> | undefined {
  if (relation.schema !== "pg_catalog") return undefined;
  if (!namesOnly.has(relation.name)) return masked[relation.name];
  const hidden = relation.columns.filter((c) => !nameColumns.has(c.name));
  return Object.fromEntries(hidden.map((c) => [c.name, `CAST(NULL AS ${c.type.sql})`]));
}

/** System columns of every table (section 4.5). */
export const systemColumns: ReadonlySet<string> = new Set(["tableoid", "ctid", "xmin", "xmax", "cmin", "cmax"]);
