// What built-in functions can do, by name: a name stands for all its overloads in pg_catalog.

const words = (text: string): readonly string[] => text.split(/\s+/).filter((w) => w !== "");

/** Compute from their arguments alone (immutable or only dependent on session settings and the clock). */
const pure = words(`
  abs acos acosd acosh age any_value area array_append array_cat array_dims array_fill array_length array_lower array_ndims
  array_position array_positions array_prepend array_remove array_replace array_reverse array_sample array_shuffle array_sort
  array_to_json array_to_string array_to_tsvector array_upper ascii asin asind asinh atan atan2 atan2d atand atanh
  bit_count bit_length bound_box box broadcast btrim cardinality casefold cbrt ceil ceiling center char char_length character_length chr circle
  clock_timestamp concat concat_ws convert convert_from convert_to cos cosd cosh cot cotd crc32 crc32c
  abbrev daterange datemultirange date date_add date_bin date_part date_subtract date_trunc decode degrees diagonal diameter div
  encode enum_first enum_last enum_range erf erfc exp extract factorial family float4 float8 floor format gamma gcd gen_random_uuid
  generate_series generate_subscripts get_bit get_byte height host hostmask
  inet_merge inet_same_family initcap int2 int4 int4multirange int4range int8 int8multirange int8range interval is_normalized isclosed isempty
  isfinite isopen json_array_element json_array_element_text json_array_elements json_array_elements_text json_array_length
  json_build_array json_build_object json_each json_each_text json_extract_path json_extract_path_text json_object json_object_field
  json_object_field_text json_object_keys json_strip_nulls json_to_record json_to_recordset json_to_tsvector json_typeof
  jsonb_array_element jsonb_array_element_text jsonb_array_elements jsonb_array_elements_text jsonb_array_length
  jsonb_build_array jsonb_build_object jsonb_concat jsonb_contained jsonb_contains jsonb_delete jsonb_delete_path jsonb_each jsonb_each_text
  jsonb_exists jsonb_exists_all jsonb_exists_any jsonb_extract_path jsonb_extract_path_text jsonb_insert jsonb_object jsonb_object_field
  jsonb_object_field_text jsonb_object_keys jsonb_path_exists jsonb_path_exists_tz jsonb_path_match jsonb_path_match_tz jsonb_path_query
  jsonb_path_query_array jsonb_path_query_array_tz jsonb_path_query_first jsonb_path_query_first_tz jsonb_path_query_tz jsonb_pretty
  jsonb_set jsonb_set_lax jsonb_strip_nulls jsonb_to_record jsonb_to_recordset jsonb_to_tsvector jsonb_typeof
  justify_days justify_hours justify_interval lcm left length lgamma like like_escape line ln log log10 lower lower_inc lower_inf lpad lseg ltrim
  macaddr8_set7bit make_date make_interval make_time make_timestamp make_timestamptz masklen md5 min_scale mod money multirange
  name netmask network normalize notlike now npoints num_nonnulls num_nulls numeric numnode nummultirange numrange octet_length overlaps overlay
  parse_ident path pclose phraseto_tsquery pi plainto_tsquery point polygon popen position pow power querytree quote_ident quote_literal
  quote_nullable radians radius random random_normal range_merge regexp_count regexp_instr regexp_like regexp_match regexp_matches
  regexp_replace regexp_split_to_array regexp_split_to_table regexp_substr repeat replace reverse right round row_to_json rpad rtrim scale
  set_bit set_byte set_masklen setweight sha224 sha256 sha384 sha512 sign similar_escape similar_to_escape sin sind sinh slope split_part sqrt
  starts_with statement_timestamp string_to_array string_to_table strip strpos substr substring tan tand tanh text
  time timeofday timestamp timestamptz timetz timezone to_ascii to_bin to_char to_date to_hex to_json to_jsonb to_number to_oct to_timestamp
  to_tsquery to_tsvector transaction_timestamp translate trim_array trim_scale trunc ts_delete ts_filter ts_headline ts_rank ts_rank_cd
  tsmultirange tsquery_phrase tsrange tstzmultirange tstzrange tsvector_to_array unicode_assigned unistr unnest upper upper_inc upper_inf
  uuid_extract_timestamp uuid_extract_version uuidv4 uuidv7 varchar websearch_to_tsquery width width_bucket
  xml_is_well_formed xml_is_well_formed_content xml_is_well_formed_document xmlcomment xmlexists xmltext xpath xpath_exists
  bool bpchar bit varbit oid regclass cidr inet_send macaddr macaddr8 pg_lsn xid tsquery_and tsquery_or tsquery_not
  textlike textnlike textcat texteq pg_typeof pg_column_size pg_size_pretty pg_size_bytes pg_client_encoding pg_encoding_max_length
  is_horizontal isparallel isperp isvertical ishorizontal
  dround dtrunc numeric_abs float8abs int4abs int8abs array_agg_transfn
`);

/** Aggregates and window functions. */
const aggregates = words(`
  array_agg avg bit_and bit_or bit_xor bool_and bool_or corr count covar_pop covar_samp cume_dist dense_rank every first_value
  json_agg json_agg_strict json_object_agg json_object_agg_strict json_object_agg_unique json_object_agg_unique_strict
  jsonb_agg jsonb_agg_strict jsonb_object_agg jsonb_object_agg_strict jsonb_object_agg_unique jsonb_object_agg_unique_strict
  lag last_value lead max min mode nth_value ntile percent_rank percentile_cont percentile_disc range_agg range_intersect_agg rank
  regr_avgx regr_avgy regr_count regr_intercept regr_r2 regr_slope regr_sxx regr_sxy regr_syy row_number stddev stddev_pop stddev_samp
  string_agg sum var_pop var_samp variance xmlagg
`);

/** Read the schema, the session or the server's version: nothing of a table's content (section 4.11). */
const schema = words(`
  acldefault aclexplode col_description current_database current_schema current_schemas format_type getdatabaseencoding
  has_any_column_privilege has_column_privilege has_database_privilege has_foreign_data_wrapper_privilege has_function_privilege
  has_language_privilege has_parameter_privilege has_schema_privilege has_sequence_privilege has_server_privilege has_table_privilege
  has_tablespace_privilege has_type_privilege obj_description shobj_description pg_backend_pid pg_char_to_encoding pg_collation_for
  pg_collation_is_visible pg_conversion_is_visible pg_describe_object pg_encoding_to_char pg_function_is_visible
  pg_get_constraintdef pg_get_expr pg_get_function_arg_default pg_get_function_arguments pg_get_function_identity_arguments
  pg_get_function_result pg_get_function_sqlbody pg_get_functiondef pg_get_indexdef pg_get_keywords pg_get_partition_constraintdef
  pg_get_partkeydef pg_get_ruledef pg_get_serial_sequence pg_get_statisticsobjdef pg_get_statisticsobjdef_columns
  pg_get_statisticsobjdef_expressions pg_get_triggerdef pg_get_userbyid pg_get_viewdef pg_has_role pg_identify_object
  pg_index_column_has_property pg_index_has_property pg_indexam_has_property pg_is_in_recovery pg_is_other_temp_schema pg_my_temp_schema
  pg_opclass_is_visible pg_operator_is_visible pg_opfamily_is_visible pg_options_to_table pg_partition_ancestors pg_partition_root
  pg_partition_tree pg_postmaster_start_time pg_relation_is_publishable pg_relation_is_updatable pg_column_is_updatable
  pg_sequence_parameters pg_statistics_obj_is_visible pg_table_is_visible pg_tablespace_location pg_trigger_depth
  pg_ts_config_is_visible pg_ts_dict_is_visible pg_ts_parser_is_visible pg_ts_template_is_visible pg_type_is_visible
  row_security_active to_regclass to_regcollation to_regnamespace to_regoper to_regoperator to_regproc to_regprocedure to_regrole
  to_regtype to_regtypemod version current_user session_user getpgusername oidvectortypes array_out get_current_ts_config
  pg_get_replica_identity_index pg_basetype pg_advisory_unlock_all
`);

/** Sizes on disk tell how many hidden rows there are: they answer NULL for everybody (section 4.11). */
export const sizeFunctions: ReadonlySet<string> = new Set(
  words("pg_table_size pg_relation_size pg_total_relation_size pg_indexes_size"),
);

/** Allowed with constant arguments that are checked by the binder. */
export const checkedFunctions: ReadonlySet<string> = new Set(
  words("set_config current_setting nextval setval pg_input_is_valid pg_input_error_info"),
);

export const builtinFunctions: ReadonlySet<string> = new Set([...pure, ...aggregates, ...schema]);

/**
 * What libpq's interface to large objects calls. Their content is under no rule's columns: a connection has them only where
 * its `allowed_functions` name them, `pg_catalog.lo_open`. `lo_import` and `lo_export` read and write the server's files.
 */
export const largeObjectFunctions: ReadonlySet<string> = new Set(
  words(`
  lo_close lo_creat lo_create lo_from_bytea lo_get lo_lseek lo_lseek64 lo_open lo_put lo_tell lo_tell64 lo_truncate lo_truncate64
  lo_unlink loread lowrite
`),
);

/** information_schema's helpers that drivers call. */
export const informationSchemaFunctions: ReadonlySet<string> = new Set(
  words("_pg_expandarray _pg_truetypid _pg_truetypmod _pg_char_max_length _pg_numeric_precision _pg_numeric_scale"),
);

/** Names of the columns of functions that give composite rows. Others give one column named like the function. */
export const functionColumns: ReadonlyMap<string, readonly string[]> = new Map(
  Object.entries({
    aclexplode: ["grantor", "grantee", "privilege_type", "is_grantable"],
    json_array_elements: ["value"],
    json_array_elements_text: ["value"],
    jsonb_array_elements: ["value"],
    jsonb_array_elements_text: ["value"],
    json_each: ["key", "value"],
    json_each_text: ["key", "value"],
    jsonb_each: ["key", "value"],
    jsonb_each_text: ["key", "value"],
    pg_get_keywords: ["word", "catcode", "barelabel", "catdesc", "baredesc"],
    pg_input_error_info: ["message", "detail", "hint", "sql_error_code"],
    pg_identify_object: ["type", "schema", "name", "identity"],
    pg_options_to_table: ["option_name", "option_value"],
    pg_partition_ancestors: ["relid"],
    pg_partition_tree: ["relid", "parentrelid", "isleaf", "level"],
    pg_sequence_parameters: [
      "start_value",
      "minimum_value",
      "maximum_value",
      "increment",
      "cycle_option",
      "cache_size",
      "data_type",
    ],
    _pg_expandarray: ["x", "n"],
  }),
);

/** Composite result whose columns the call alone doesn't tell. */
export const openFunctions: ReadonlySet<string> = new Set(
  words("json_to_record json_to_recordset jsonb_to_record jsonb_to_recordset unnest"),
);

/** Symbols that pg_catalog has an operator for (PostgreSQL 18; test/sql/own-operators.test.ts compares). */
export const builtinOperators: ReadonlySet<string> = new Set(
  words(`
  !! !~ !~* !~~ !~~* # ## #- #> #>> % & && &< &<| &> * *< *<= *<> *= *> *>= + - -> ->> -|- / < <-> << <<= <<| <= <> <@ <^ = > >= >> >>=
  >^ ? ?# ?& ?- ?-| ?| ?|| @ @-@ @> @? @@ @@@ ^ ^@ | |&> |/ |>> || ||/ ~ ~* ~<=~ ~<~ ~= ~>=~ ~>~ ~~ ~~*
`),
);

/** Types of pg_catalog that a cast may name. `reg*` casts only print names or OIDs; no allowed function reads through one. */
export const builtinTypes: ReadonlySet<string> = new Set(
  words(`
  aclitem bit bool box bpchar bytea char cid cidr circle date datemultirange daterange float4 float8 inet int2 int2vector int4 int4multirange
  int4range int8 int8multirange int8range interval json jsonb jsonpath line lseg macaddr macaddr8 money name numeric nummultirange numrange oid
  oidvector path pg_lsn pg_node_tree pg_snapshot point polygon record regclass regcollation regconfig regdictionary regnamespace regoper
  regoperator regproc regprocedure regrole regtype text tid time timestamp timestamptz timetz tsmultirange tsquery tsrange tstzmultirange
  tstzrange tsvector unknown uuid varbit varchar void xid xid8 xml cstring anyarray
`),
);
