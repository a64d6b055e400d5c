-- Other doors to the same data: threat model 4.6.

--- a view's column
SELECT reach FROM clinic.v_roster;

--- a view under an alias that slides
SELECT c FROM clinic.v_roster AS v(a, b, c);

--- a view over a view
SELECT label, reach FROM clinic.v_deep;

--- a view that runs as the caller
SELECT shoe FROM clinic.v_invoker;

--- a view's whole row
SELECT v FROM clinic.v_roster v;

--- a barrier view
SELECT max(cost) FROM clinic.v_barrier;

--- a recursive view with the value in its predicate
SELECT count(*) FROM clinic.v_tree;

--- a view over a denied relation
SELECT s FROM clinic.v_vault;

--- a view over a denied relation, only counted [acts]
SELECT count(*) FROM clinic.v_vault;

--- a denied relation, no column [acts]
SELECT FROM vault.tokens;

--- a denied relation in EXISTS
SELECT g FROM generate_series(0, 9) g WHERE EXISTS (SELECT FROM vault.tokens WHERE secret LIKE 'vault-%' || g);

--- a denied relation through the search path
SET search_path = vault;
TABLE tokens;

--- a denied relation through set_config
SELECT set_config('search_path', 'vault', false);
SELECT secret FROM tokens;

--- a denied relation joined far to the right
SELECT r.id FROM clinic.rooms r LEFT JOIN (clinic.wards w JOIN vault.tokens t ON t.secret > 'vault-8') ON true ORDER BY 1;

--- a denied relation in a CTE that isn't used [acts]
WITH x AS (SELECT * FROM vault.tokens) SELECT 1;

--- a denied relation as a row type [acts]
SELECT NULL::vault.tokens;

--- a denied relation named as data
SELECT table_to_xml('vault.tokens', true, false, '');

--- a denied relation by a whole schema
SELECT schema_to_xml('vault', true, false, '');

--- a denied relation by the whole database
SELECT length(database_to_xml(true, false, '')::text), md5(database_to_xml(true, false, '')::text);

--- text as SQL in query_to_xml
SELECT query_to_xml('SELECT max(tax_no) FROM clinic.patients', true, false, '');

--- text as SQL through an argument
SELECT query_to_xml($1, true, false, '');
-- $ ["SELECT email FROM clinic.patients"]

--- text as SQL, made of pieces
SELECT xpath('//email/text()', query_to_xml('SEL' || 'ECT em' || 'ail FROM clinic.patients', true, false, ''));

--- query_to_xml_and_xmlschema
SELECT query_to_xml_and_xmlschema('TABLE staff.people', true, false, '');

--- table_to_xml_and_xmlschema
SELECT table_to_xml_and_xmlschema('clinic.patients', false, false, '');

--- a cursor's name as data
BEGIN;
DECLARE c CURSOR FOR SELECT * FROM clinic.patients;
SELECT cursor_to_xml('c', 5, true, false, '');

--- ts_stat runs text
SELECT w.word FROM ts_stat($$ SELECT array_to_tsvector(array[tax_no]) FROM clinic.patients WHERE tax_no IS NOT NULL $$) w;

--- ts_rewrite runs text
SELECT ts_rewrite('a'::tsquery, 'SELECT ''a''::tsquery, quote_literal(max(tax_no))::tsquery FROM clinic.patients');

--- a child table
SELECT wage FROM staff.temps;

--- a child under ONLY
SELECT wage FROM ONLY staff.temps;

--- a parent under ONLY
SELECT wage FROM ONLY staff.people;

--- a parent with the old star
SELECT wage FROM staff.people *;

--- a generated column
SELECT email_key FROM clinic.patients;

--- a generated column in a predicate
SELECT id FROM clinic.patients WHERE email_key < '8';

--- a generated column ordered by
SELECT id FROM clinic.patients ORDER BY email_key;

--- a generated column in RETURNING
UPDATE clinic.patients SET chart = chart WHERE id = 1 RETURNING email_key;

--- a materialized view with the column
SELECT email FROM clinic.m_contacts;

--- a materialized view, its whole row
SELECT to_json(m) FROM clinic.m_contacts m;

--- a materialized view that aggregates hidden rows
SELECT * FROM clinic.m_costs;

--- REFRESH copies [acts]
REFRESH MATERIALIZED VIEW clinic.m_costs;

--- a definer function
SELECT clinic.peek(1);

--- a definer function in FROM
SELECT * FROM clinic.peek(3) t;

--- a definer function in a predicate
SELECT id FROM clinic.rooms WHERE clinic.peek(id) LIKE '4%';

--- a definer function as a default argument of LIMIT
SELECT 1 FROM generate_series(1, 9) LIMIT left(clinic.peek(1), 1)::int;

--- a function through the search path
SET search_path = clinic;
SELECT peek(1);

--- a function that takes the table's row
SELECT clinic.shoe(p) FROM clinic.patients p;

--- a function that takes the table's row, as an attribute
SET search_path = clinic;
SELECT (p).shoe FROM clinic.patients p;

--- a function that returns the table's rows
SELECT wage FROM clinic.earners(3000);

--- a function that runs text
SELECT clinic.run('SELECT max(email) FROM clinic.patients');

--- a function with a notice
SELECT clinic.tell(tax_no) FROM clinic.patients;

--- a user's function hides a built-in's name
SET search_path = clinic, pg_catalog;
SELECT upper(email) FROM clinic.patients;

--- an operator with a notice
SELECT count(*) FROM clinic.patients WHERE email OPERATOR(clinic.===) 'x';

--- an operator through the search path
SET search_path = clinic;
SELECT 1 FROM visits WHERE ward === 'A' AND findings === 'x';

--- an aggregate with notices
SELECT clinic.gather(findings) FROM clinic.visits;

--- an aggregate as a window function
SELECT clinic.gather(tax_no) OVER (ORDER BY id) FROM clinic.patients;

--- a user's cast
SELECT (5)::clinic.pair;

--- a user's cast by CAST
SELECT CAST(id AS clinic.pair) FROM clinic.rooms;

--- a user's cast through an argument's type
SELECT ($1::int)::clinic.pair;
-- $ ["5"]

--- a domain whose check tells
SELECT tax_no::clinic.code FROM clinic.patients;

--- a domain in a column definition list
SELECT * FROM clinic.patients p, jsonb_to_record(jsonb_build_object('c', p.tax_no)) AS r(c clinic.code);

--- a domain in JSON_VALUE [17]
SELECT json_value(cover, '$.bank' RETURNING clinic.code) FROM clinic.patients;

--- a domain in XMLTABLE
SELECT x.c FROM clinic.patients p, XMLTABLE('/a' PASSING xmlelement(name a, p.tax_no) COLUMNS c clinic.code PATH '.') x;

--- a domain as a parameter's type [acts]
PREPARE q(clinic.code) AS SELECT $1;
EXECUTE q('x');

--- a domain in a temporary table
CREATE TEMP TABLE s (c clinic.code);
INSERT INTO s SELECT tax_no FROM clinic.patients;

--- a procedure [acts]
CALL clinic.wipe();

--- a rule that answers an INSERT with a SELECT
WITH b(n) AS (VALUES (7)) INSERT INTO clinic.heartbeat TABLE b;

--- a rule that answers, by DEFAULT VALUES
INSERT INTO clinic.heartbeat DEFAULT VALUES;

--- a rule that answers a PREPAREd INSERT
PREPARE h AS INSERT INTO clinic.heartbeat VALUES (1);
EXECUTE h;

--- a trigger that tells by NOTICE
UPDATE clinic.wards SET label = 'x' WHERE code = 'A';

--- a trigger that copies to an audit table
INSERT INTO clinic.wards VALUES ('Q', 'Quince');
SELECT note FROM clinic.audit;

--- a trigger through MERGE
MERGE INTO clinic.wards w USING (VALUES ('A')) s(c) ON w.code = s.c WHEN MATCHED THEN UPDATE SET label = 'm';

--- a trigger through COPY
COPY clinic.wards FROM STDIN;
-- < V	Violet

--- a large object
SELECT lo_get(424242);

--- large object pages
SELECT data FROM pg_largeobject;

--- a large object by its descriptor
SELECT loread(lo_open(424242, 262144), 60);

--- a new large object [acts]
SELECT lo_from_bytea(0, 'x');

--- a file read by the server [acts]
SELECT length(pg_read_file('postgresql.conf')) > 0;

--- a file read in binary [acts]
SELECT length(pg_read_binary_file('PG_VERSION'));

--- a folder listing [acts]
SELECT pg_ls_dir('.') LIMIT 1;

--- a file's facts [acts]
SELECT (pg_stat_file('PG_VERSION')).size;

--- another server through an import of a file [acts]
SELECT lo_import('PG_VERSION');

--- the log file [acts]
SELECT count(*) FROM pg_ls_logdir() WHERE false UNION ALL SELECT count(*) FROM pg_ls_waldir();

--- a named restore point or WAL position of others' writes [acts]
SELECT pg_current_wal_lsn();

--- transaction ids that others used [acts]
SELECT pg_current_xact_id();

--- a snapshot exported to another session [acts]
SELECT pg_export_snapshot();

--- logical decoding slot [acts]
SELECT * FROM pg_replication_slots;

--- an advisory lock is seen by other sessions [acts]
SELECT pg_advisory_lock(1);

--- an advisory lock taken per hidden value [acts]
SELECT pg_try_advisory_xact_lock(wage) FROM staff.people;

--- NOTIFY with the value as a payload
LISTEN leak;
SELECT pg_notify('leak', (SELECT max(tax_no) FROM clinic.patients)::text);
COMMIT;

--- sleeping per value [acts]
SELECT pg_sleep(CASE WHEN (SELECT wage FROM staff.people WHERE id = 1) > 9000 THEN 5 ELSE 0.01 END);

--- sleeping by its other names [acts]
SELECT pg_sleep_for('10 ms'), pg_sleep_until(now());

--- ending another session [acts]
SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid = 1;

--- cancelling another session [acts]
SELECT pg_cancel_backend(1);

--- reloading the configuration [acts]
SELECT pg_reload_conf();

--- resetting statistics [acts]
SELECT pg_stat_reset();

--- a query planned as data
SELECT pg_get_expr(adbin, adrelid) FROM pg_attrdef WHERE false UNION ALL SELECT max(tax_no) FROM clinic.patients;

--- a dictionary tested [acts]
SELECT ts_debug('simple', 'x');

--- a type input function called by name
SELECT int4in(textout(tax_no)) FROM clinic.patients;

--- an output function called by name
SELECT record_out(p) FROM clinic.patients p;

--- a support function called by name
SELECT texteq(tax_no, '4') OR text_gt(tax_no, '5') FROM clinic.patients;

--- an aggregate's transition function called by name
SELECT int4larger(wage, 0) FROM staff.people;

--- a planner support argument [acts]
SELECT pg_catalog.pg_relation_filepath('clinic.patients');

--- a row estimate function of the planner
SELECT pg_mcv_list_items(stxdmcv) FROM pg_statistic_ext_data WHERE stxdmcv IS NOT NULL;

--- file size of a filtered relation [acts]
SELECT pg_relation_size('clinic.visits_24');

--- column sizes
SELECT sum(pg_column_size(cover)), sum(pg_column_size(findings)) FROM clinic.patients, clinic.visits;

--- compression method of the value
SELECT pg_column_compression(cover), md5(tax_no) FROM clinic.patients;

--- the type of the value's row
SELECT pg_typeof(p), tax_no FROM clinic.patients p;

--- a foreign table's wrapper [acts]
CREATE FOREIGN DATA WRAPPER away;

--- a temporary table of a view counts hidden rows
CREATE TEMP TABLE stash AS SELECT 1 AS one FROM clinic.v_deep;

--- a temporary table of a view
CREATE TEMP TABLE stash AS TABLE clinic.v_roster;
TABLE stash;

--- a temporary table of a recursive view
CREATE TEMP TABLE stash AS SELECT t.* FROM clinic.v_tree t;

--- a temporary table of a materialized view
CREATE TEMP TABLE stash AS TABLE clinic.m_contacts;
TABLE stash;

--- SELECT INTO a temporary table from a view
SELECT * INTO TEMP stash FROM clinic.v_wards;

--- a temporary table of a query with a view in a subquery
CREATE TEMP TABLE stash AS SELECT id FROM clinic.rooms WHERE id < (SELECT count(*) FROM clinic.v_barrier) - 33;

--- an inherited temporary table [acts]
CREATE TEMP TABLE kid () INHERITS (staff.people);

--- a temporary table LIKE with its defaults [acts]
CREATE TEMP TABLE kid (LIKE clinic.visits INCLUDING ALL);

--- a temporary table whose default calls a function
CREATE TEMP TABLE kid (a int, b text DEFAULT clinic.peek(1));
INSERT INTO kid VALUES (1) RETURNING b;

--- a temporary table whose check calls a function
CREATE TEMP TABLE kid (a text CHECK (clinic.tell(a)));
INSERT INTO kid SELECT tax_no FROM clinic.patients;

--- a temporary table whose generated column calls a function [acts]
-- accepted: built-in functions only, over the session's own rows
CREATE TEMP TABLE kid (a text, b text GENERATED ALWAYS AS (upper(a)) STORED, CHECK (a <> 'x'));

--- a temporary table that shadows a clinic table
CREATE TEMP TABLE patients (id int, tax_no text);
SELECT tax_no FROM clinic.patients;

--- a relation named by an argument's type
SELECT relname FROM pg_class WHERE oid = $1::regclass AND (SELECT count(*) FROM clinic.visits) > 33;
-- $ ["vault.tokens"]
