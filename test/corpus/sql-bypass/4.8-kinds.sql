-- Statement kinds that the policy denies: threat model 4.8. Run direct, each does it.
-- flags: acts

--- DO with a notice
DO 'BEGIN RAISE INFO ''%'', (SELECT max(tax_no) FROM clinic.patients); END';

--- DO with dollar quoting and a language
DO LANGUAGE plpgsql $x$ BEGIN PERFORM 1; END $x$;

--- a temporary view
CREATE TEMP VIEW tv AS SELECT tax_no AS shoe FROM clinic.patients;

--- a view in a schema
CREATE OR REPLACE VIEW clinic.v_new AS SELECT * FROM clinic.patients;

--- a view replaced
CREATE OR REPLACE VIEW clinic.v_open AS SELECT id, (SELECT max(email) FROM clinic.patients) AS label, floor FROM clinic.rooms;

--- a recursive view
CREATE RECURSIVE VIEW clinic.v_rec (n) AS SELECT 1;

--- a materialized view
CREATE MATERIALIZED VIEW clinic.m_new AS SELECT * FROM clinic.patients;

--- a permanent table of a query
CREATE TABLE clinic.stash AS SELECT * FROM clinic.patients;

--- a permanent table by SELECT INTO
SELECT tax_no INTO clinic.stash FROM clinic.patients;

--- an unlogged table of a query
CREATE UNLOGGED TABLE clinic.stash AS TABLE clinic.patients;

--- a permanent table of EXECUTE
PREPARE q AS SELECT tax_no FROM clinic.patients;
CREATE TABLE clinic.stash AS EXECUTE q;

--- a function
CREATE FUNCTION clinic.f() RETURNS text LANGUAGE sql AS 'SELECT max(tax_no) FROM clinic.patients';

--- a function with a SQL body
CREATE FUNCTION clinic.f() RETURNS text BEGIN ATOMIC SELECT max(tax_no) FROM clinic.patients; END;

--- a temporary function
CREATE FUNCTION pg_temp.f() RETURNS text LANGUAGE sql AS 'SELECT 1::text';

--- a procedure
CREATE PROCEDURE clinic.p() LANGUAGE sql AS 'DELETE FROM clinic.rooms';

--- an index expression
CREATE INDEX ON staff.people ((1000 / (wage - 1)));

--- a partial index
CREATE UNIQUE INDEX ON clinic.patients ((1)) WHERE tax_no < '0';

--- a CHECK
ALTER TABLE clinic.patients ADD CHECK (tax_no IS NULL OR tax_no !~ '^x');

--- a CHECK as one bit
ALTER TABLE clinic.visits ADD CONSTRAINT c CHECK (cost >= 0);

--- NOT NULL as one bit
ALTER TABLE clinic.visits ALTER findings SET NOT NULL;

--- USING converts each row
ALTER TABLE clinic.patients ALTER chart TYPE text USING coalesce(tax_no, '');

--- a renamed column
ALTER TABLE clinic.patients RENAME tax_no TO shoe;

--- a renamed table
ALTER TABLE clinic.patients RENAME TO people;

--- a table moved to another schema
ALTER TABLE vault.tokens SET SCHEMA clinic;

--- a column's default
ALTER TABLE clinic.rooms ALTER label SET DEFAULT clinic.peek(1);

--- a dropped column
ALTER TABLE clinic.patients DROP COLUMN chart CASCADE;

--- row security switched off
ALTER TABLE clinic.visits DISABLE ROW LEVEL SECURITY;

--- a policy
CREATE POLICY p ON clinic.visits USING (true);

--- a rule
CREATE RULE r AS ON UPDATE TO clinic.rooms DO ALSO SELECT max(tax_no) FROM clinic.patients;

--- a trigger
CREATE TRIGGER t AFTER UPDATE ON clinic.rooms FOR EACH ROW EXECUTE FUNCTION clinic.note_ward();

--- triggers switched off
ALTER TABLE clinic.wards DISABLE TRIGGER ALL;

--- a cast
CREATE CAST (text AS clinic.pair) WITH INOUT;

--- an operator
CREATE OPERATOR clinic.<<< (LEFTARG = text, RIGHTARG = text, FUNCTION = clinic.same);

--- an aggregate
CREATE AGGREGATE clinic.agg (text) (SFUNC = clinic.gather_step, STYPE = text);

--- a domain
CREATE DOMAIN clinic.d AS text CHECK (clinic.tell(VALUE));

--- a type
CREATE TYPE clinic.t AS (x int);

--- an enum value
ALTER TYPE clinic.mood ADD VALUE 'odd';

--- a sequence
CREATE SEQUENCE clinic.s;

--- a sequence restarted
ALTER SEQUENCE clinic.visits_id_seq RESTART;

--- a schema
CREATE SCHEMA loot CREATE TABLE x (a int);

--- a dropped table
DROP TABLE clinic.bills;

--- a dropped schema
DROP SCHEMA vault CASCADE;

--- a dropped function
DROP FUNCTION clinic.peek(int);

--- a comment
COMMENT ON COLUMN clinic.patients.tax_no IS 'not personal';

--- a grant
GRANT SELECT ON vault.tokens TO PUBLIC;

--- a revoke
REVOKE ALL ON clinic.rooms FROM PUBLIC;

--- default privileges
ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO PUBLIC;

--- an owner
ALTER TABLE vault.tokens OWNER TO CURRENT_USER;

--- a role
CREATE ROLE adv_corpus_role;

--- a role's setting
ALTER ROLE CURRENT_USER SET work_mem = '4MB';

--- a database's setting
DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET work_mem = ''4MB''', current_database()); END $$;

--- LOCK
LOCK TABLE clinic.visits IN ACCESS EXCLUSIVE MODE;

--- LOCK of a denied relation
LOCK vault.tokens IN SHARE MODE;

--- TRUNCATE of an open table
TRUNCATE clinic.bills;

--- LISTEN
LISTEN clinic;

--- NOTIFY
NOTIFY clinic, 'x';

--- UNLISTEN
UNLISTEN *;

--- COPY to a program
COPY (SELECT tax_no FROM clinic.patients) TO PROGRAM 'cat > /dev/null';

--- COPY from a program
COPY clinic.rooms (id) FROM PROGRAM 'echo 55';

--- COPY to a file
COPY clinic.patients TO '/dev/null';

--- COPY from a file
COPY clinic.rooms (id) FROM '/dev/null';

--- ANALYZE
ANALYZE clinic.visits;

--- ANALYZE VERBOSE tells of hidden rows
ANALYZE (VERBOSE) clinic.visits;

--- VACUUM [own]
VACUUM clinic.rooms;

--- VACUUM VERBOSE [own]
VACUUM (VERBOSE) clinic.visits_24;

--- CLUSTER
CLUSTER clinic.patients USING patients_pkey;

--- REINDEX
REINDEX TABLE clinic.patients;

--- extended statistics
CREATE STATISTICS clinic.more ON cost, ward FROM clinic.visits_24;

--- a publication
CREATE PUBLICATION p FOR TABLE clinic.rooms;

--- an event trigger's function and a server
CREATE FOREIGN DATA WRAPPER w;

--- a text search configuration
CREATE TEXT SEARCH CONFIGURATION clinic.cfg (COPY = simple);

--- a collation
CREATE COLLATION clinic.col (provider = libc, locale = 'C');

--- a conversion
CREATE CONVERSION clinic.conv FOR 'UTF8' TO 'LATIN1' FROM utf8_to_iso8859_1;

--- an access method
CREATE ACCESS METHOD heap2 TYPE TABLE HANDLER heap_tableam_handler;

--- a security label's absence: an extension
CREATE EXTENSION IF NOT EXISTS plpgsql;

--- CHECKPOINT
CHECKPOINT;

--- LOAD
LOAD 'plpgsql';

--- ALTER SYSTEM [own]
ALTER SYSTEM SET work_mem = '4MB';

--- a constraint deferred
-- accepted: it moves an error to the end of the transaction, where it is reduced in the same way
SET CONSTRAINTS ALL DEFERRED;

--- EXPLAIN of a creating statement
EXPLAIN ANALYZE CREATE TABLE clinic.stash AS SELECT 1;

--- EXPLAIN EXECUTE of a write
PREPARE d AS DELETE FROM clinic.bills;
EXPLAIN ANALYZE EXECUTE d;

--- a declared cursor over a function that writes
BEGIN;
DECLARE c CURSOR FOR SELECT clinic.run('DELETE FROM clinic.bills RETURNING 1');
FETCH c;

--- role
SET ROLE pg_read_all_data;

--- session authorization
SET SESSION AUTHORIZATION DEFAULT;

--- PREPARE TRANSACTION's cousin: a two-phase name asked for
SELECT * FROM pg_prepared_xacts;
