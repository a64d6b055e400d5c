-- Side channels and odd doors: locks, messages between sessions, long and foreign names, files, large objects, sequences.

--- an advisory lock on each masked value
SELECT pg_try_advisory_lock(wage), wage > 4000 FROM staff.people ORDER BY id;

--- an advisory lock of the transaction [acts]
SELECT pg_advisory_xact_lock(7);

--- a shared advisory lock with two keys [acts]
SELECT pg_try_advisory_lock_shared(1, 2);

--- a payload for other sessions [acts]
SELECT pg_notify('c', 'x');

--- a payload with a masked value, by statement [acts]
NOTIFY c, 'tax';

--- listening to what triggers send [acts]
LISTEN clinic;

--- which channels this session hears [acts]
SELECT count(*) FROM pg_listening_channels();

--- a message in the WAL [acts]
SELECT pg_logical_emit_message(false, 'a', 'b') IS NOT NULL;

--- a snapshot for another session [acts]
SELECT pg_export_snapshot() IS NOT NULL;

--- ending another session [acts]
SELECT pg_terminate_backend(0);

--- cancelling another session [acts]
SELECT pg_cancel_backend(0);

--- the configuration is read again [acts]
SELECT pg_reload_conf();

--- a restore point [acts]
SELECT pg_create_restore_point('x') IS NOT NULL;

--- a file of the server [acts]
SELECT length(pg_read_file('PG_VERSION')) > 0;

--- a folder of the server [acts]
SELECT count(*) > 0 FROM pg_ls_dir('.');

--- a file's size [acts]
SELECT (pg_stat_file('PG_VERSION')).size;

--- where the server keeps its data [acts]
SELECT length(current_setting('data_directory')) > 0;

--- where the server keeps its data, by SHOW [acts]
SHOW data_directory;

--- all settings by function [acts]
SELECT count(*) > 0 FROM pg_show_all_settings();

--- who may log in from where [acts]
SELECT count(*) >= 0 FROM pg_hba_file_rules;

--- a large object opened and read
SELECT loread(lo_open(424242, 262144), 100);

--- a large object opened, sought and told
SELECT lo_lseek(lo_open(424242, 262144), 0, 2), convert_from(lo_get(424242), 'UTF8');

--- the sequence of a filtered table, drawn
SELECT nextval('clinic.visits_id_seq');

--- the sequence of a filtered table, read
SELECT last_value FROM clinic.visits_id_seq;

--- the sequence of a filtered table, by function
SELECT pg_sequence_last_value('clinic.visits_id_seq');

--- the sequence of a filtered table, set [own]
SELECT setval('clinic.visits_id_seq', nextval('clinic.visits_id_seq') + 1);

--- the sequence's last value after a default [own]
INSERT INTO clinic.visits (patient_id, ward, at) VALUES (1, 'A', '2025-01-01');
SELECT currval('clinic.visits_id_seq'), lastval();

--- an alias of more than 63 bytes, named by its first 63
SELECT nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn FROM (SELECT tax_no AS nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn FROM clinic.patients) q;

--- an alias that is cut in the middle of a character
SELECT * FROM (SELECT tax_no AS "ééééééééééééééééééééééééééééééééé" FROM clinic.patients) q WHERE "éééééééééééééééééééééééééééééééé" < '5';

--- a CTE with the table's name in another alphabet's letters
WITH "раtients" AS (SELECT 1 AS tax_no) SELECT tax_no FROM clinic.patients;

--- composed and decomposed names side by side
SELECT q."\u{e9}", q."e\u{301}" FROM (SELECT 1 AS "\u{e9}", tax_no AS "e\u{301}" FROM clinic.patients) q;

--- full-width letters are other letters
WITH "ｐatients" AS (SELECT 'x' AS tax_no) SELECT p.tax_no FROM clinic.patients p, "ｐatients";

--- a value read between two savepoints
SAVEPOINT a;
SELECT tax_no FROM clinic.patients ORDER BY id;
ROLLBACK TO a;
SELECT max(tax_no) FROM clinic.patients;

--- an error inside of a savepoint that speaks
SAVEPOINT a;
SELECT 1 / (wage - 4100) FROM staff.people;
ROLLBACK TO a;
SELECT 1;

--- a cursor read backwards and from its end
DECLARE c SCROLL CURSOR FOR SELECT tax_no FROM clinic.patients ORDER BY id;
FETCH LAST FROM c;
FETCH BACKWARD 2 FROM c;
FETCH ABSOLUTE 3 FROM c;

--- a binary cursor
DECLARE c BINARY CURSOR FOR SELECT wage FROM staff.people ORDER BY id;
FETCH ALL FROM c;

--- a cursor that is ordered by what is masked
DECLARE c CURSOR FOR SELECT id FROM staff.people ORDER BY wage;
FETCH 2 FROM c;

--- whether a masked character is a truth value [16]
SELECT pg_input_is_valid(substr(email, 2, 1), 'bool') FROM clinic.patients ORDER BY id;

--- what is wrong with a masked value [16]
SELECT message FROM clinic.patients, pg_input_error_info(tax_no || '!', 'int');

--- a rule on a view that answers with a read [acts own]
CREATE RULE r AS ON UPDATE TO clinic.v_open DO INSTEAD SELECT max(tax_no) FROM clinic.patients;
UPDATE clinic.v_open SET label = 'x';

--- an event trigger [acts own]
CREATE FUNCTION clinic.ev() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN RAISE NOTICE ''%'', (SELECT max(tax_no) FROM clinic.patients); END';
CREATE EVENT TRIGGER e ON ddl_command_end EXECUTE FUNCTION clinic.ev();

--- a partition of the client's own [acts own]
CREATE TABLE clinic.visits_26 PARTITION OF clinic.visits FOR VALUES FROM (260000) TO (270000);

--- an implicit cast of the client's own [acts own]
CREATE FUNCTION clinic.mood_text(clinic.mood) RETURNS text LANGUAGE sql AS 'SELECT max(tax_no) FROM clinic.patients';
CREATE CAST (clinic.mood AS text) WITH FUNCTION clinic.mood_text(clinic.mood) AS IMPLICIT;

--- an operator class of the client's own [acts own]
CREATE OPERATOR FAMILY clinic.f USING btree;

--- how often a filtered table was read
SELECT pg_stat_get_tuples_inserted('clinic.visits_24'::regclass);

--- the size of what is masked
SELECT sum(pg_column_size(findings)) FROM clinic.visits;

--- the size of a filtered table's file
SELECT pg_relation_size('clinic.visits_24') > 0, (SELECT count(*) FROM clinic.visits);
