-- EXPLAIN: threat model 4.10. Catalogs and statistics: 4.11.

--- estimates over hidden rows
EXPLAIN SELECT * FROM clinic.visits;

--- estimate of a guess on a masked column
EXPLAIN SELECT FROM staff.people WHERE wage > 5500;

--- actual rows
EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF, BUFFERS OFF) SELECT FROM clinic.patients WHERE tax_no LIKE '4%';

--- rows removed by filter, as JSON
EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF, BUFFERS OFF, FORMAT json) SELECT FROM clinic.visits WHERE ward IN ('A','B');

--- a join's size
EXPLAIN SELECT FROM clinic.visits v JOIN clinic.patients p ON p.id = v.patient_id;

--- EXPLAIN of a prepared statement
PREPARE q AS SELECT * FROM clinic.visits;
EXPLAIN EXECUTE q;

--- EXPLAIN of a view
EXPLAIN SELECT * FROM clinic.v_wards;

--- EXPLAIN of a partition
EXPLAIN SELECT FROM clinic.visits_24 WHERE ward > 'W';

--- EXPLAIN of an UPDATE
EXPLAIN UPDATE clinic.visits SET cost = 1 WHERE ward > 'W';

--- EXPLAIN runs a write
EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF, BUFFERS OFF) DELETE FROM staff.temps WHERE wage > 3200;

--- EXPLAIN of a declared cursor
EXPLAIN DECLARE c CURSOR FOR SELECT * FROM clinic.visits;

--- EXPLAIN of CREATE TABLE AS
EXPLAIN CREATE TEMP TABLE x AS SELECT * FROM clinic.visits;

--- settings and verbose output of a masked table
EXPLAIN (VERBOSE, SETTINGS, COSTS) SELECT tax_no FROM clinic.patients WHERE born < '1988-06-01';

--- most common values
SELECT most_common_vals::text, histogram_bounds::text FROM pg_stats WHERE schemaname IN ('clinic', 'staff');

--- raw statistics
SELECT stavalues1::text FROM pg_statistic WHERE starelid IN ('clinic.patients'::regclass, 'staff.people'::regclass);

--- statistics as a whole row
SELECT s FROM pg_catalog.pg_stats s WHERE s.tablename = 'people';

--- distinct counts
SELECT attname, n_distinct, correlation FROM pg_stats WHERE schemaname = 'staff' ORDER BY 1, 2, 3;

--- extended statistics
SELECT most_common_vals FROM pg_stats_ext;

--- expression statistics
SELECT * FROM pg_stats_ext_exprs WHERE false UNION ALL SELECT e.* FROM pg_stats_ext_exprs e LIMIT 0;
SELECT histogram_bounds::text FROM pg_stats WHERE tablename = 'people_wage_half';

--- extended statistics data
SELECT stxdmcv::text FROM pg_statistic_ext_data;

--- row counts of a filtered relation
SELECT relname, reltuples FROM pg_class WHERE relname LIKE 'visits_2%' ORDER BY 1;

--- row counts as the whole catalog row
SELECT to_jsonb(c) ->> 'reltuples' FROM pg_class c WHERE relname = 'visits_24';

--- row counts in a predicate
SELECT relname FROM pg_class WHERE relname LIKE 'visits_2%' AND reltuples > 17;

--- row counts through the catalog's search path
SET search_path = pg_catalog;
SELECT sum(reltuples) FROM pg_class c WHERE relkind = 'r' AND relname LIKE 'visits%';

--- live tuples
SELECT relname, n_live_tup, n_tup_ins FROM pg_stat_user_tables WHERE relname LIKE 'visits%' ORDER BY 1;

--- inserted tuples in this transaction [acts]
SELECT pg_stat_get_xact_tuples_inserted('clinic.visits_24'::regclass);

--- live tuples by function
SELECT pg_stat_get_live_tuples('clinic.visits_24'::regclass), (SELECT count(*) FROM clinic.visits);

--- index scans [acts]
SELECT idx_scan, idx_tup_read FROM pg_stat_user_indexes LIMIT 1;

--- block statistics [acts]
SELECT heap_blks_read FROM pg_statio_user_tables LIMIT 1;

--- table size [acts]
SELECT pg_total_relation_size('clinic.visits');

--- other sessions' statements [acts]
SELECT query FROM pg_stat_activity;

--- other sessions' statements by function [acts]
SELECT query FROM pg_stat_get_activity(NULL);

--- locks of other sessions [acts]
SELECT relation::regclass FROM pg_locks LIMIT 1;

--- passwords [acts]
SELECT rolpassword FROM pg_authid;

--- passwords by another view [acts]
SELECT passwd FROM pg_shadow;

--- settings of roles and databases [acts]
SELECT setconfig FROM pg_db_role_setting;

--- settings files [acts]
SELECT count(*) FROM pg_file_settings;

--- host rules [acts]
SELECT count(*) FROM pg_hba_file_rules;

--- all settings [acts]
SHOW ALL;

--- a setting that holds paths [acts]
SHOW data_directory;

--- a setting by function [acts]
SELECT current_setting('config_file');

--- a setting named as data [acts]
SELECT current_setting($1);
-- $ ["hba_file"]

--- settings as a table [acts]
SELECT setting FROM pg_settings WHERE name = 'data_directory';

--- subscriptions with their passwords [acts]
SELECT subconninfo FROM pg_subscription;

--- user mappings [acts]
SELECT umoptions FROM pg_user_mappings;

--- memory contexts [acts]
SELECT count(*) FROM pg_backend_memory_contexts;

--- sequence values of the filtered table by the view
SELECT last_value FROM pg_catalog.pg_sequences WHERE schemaname = 'clinic';

--- sequence as a relation
SELECT * FROM clinic.visits_id_seq;

--- sequence's whole row
SELECT to_jsonb(ROW(s.last_value, s.log_cnt)) FROM clinic.visits_id_seq s;

--- sequence data by function [18]
SELECT (pg_get_sequence_data('clinic.visits_id_seq')).last_value;

--- lastval of the session [own]
INSERT INTO clinic.visits (patient_id, ward, at) VALUES (1, 'A', '2025-01-01');
SELECT lastval();
