-- Session state, two readings, the protocol's levers that SQL text alone can pull: threat model 4.12 to 4.15.

--- search path inside of a savepoint
BEGIN;
SET search_path = vault;
SAVEPOINT s;
SET search_path = clinic;
ROLLBACK TO s;
TABLE tokens;

--- search path local to a transaction that went on
BEGIN;
SET LOCAL search_path = vault;
SELECT secret FROM tokens;

--- search path through SET SCHEMA
SET SCHEMA 'vault';
SELECT * FROM tokens;

--- search path through set_config of a constant, local
SELECT set_config('search_path', 'staff, vault', true);
SELECT wage, secret FROM people, tokens;

--- search path through a row of settings
SELECT set_config(c, v, false) FROM (VALUES ('search_path', 'vault')) t(c, v);
SELECT * FROM tokens;

--- search path through UPDATE of pg_settings
UPDATE pg_catalog.pg_settings s SET setting = 'vault' FROM (VALUES ('search_path')) v(n) WHERE s.name = v.n;
SELECT * FROM tokens;

--- search path with a quoted odd name
SET search_path = "vault", "$user";
SELECT * FROM tokens;

--- search path reset by DISCARD
SET search_path = clinic;
RESET search_path;
SET search_path TO staff;
SELECT wage FROM people;

--- row security off by a table of names [acts]
SELECT set_config(c, v, false) FROM (VALUES ('row_security', 'off')) t(c, v);

--- a custom setting that row security may read [acts]
SET app.ward = 'Z';

--- a custom setting by function [acts]
SELECT set_config('app.ward', 'Z', false);

--- strings that read otherwise [acts]
SET standard_conforming_strings = off;

--- strings that read otherwise, then use it
SET standard_conforming_strings = off;
SELECT '\'', tax_no FROM clinic.patients --';

--- backslash quotes [acts]
SET backslash_quote = on;

--- a client encoding whose second byte may be a quote [acts]
SET client_encoding = 'SJIS';

--- a client encoding by SET NAMES [acts]
SET NAMES 'BIG5';

--- a client encoding by set_config [acts]
SELECT set_config('client_encoding', 'GBK', false);

--- role through set_config [acts]
SELECT set_config('role', 'pg_monitor', false);

--- session_authorization [acts]
SET session_authorization = DEFAULT;

--- triggers off for the session [acts]
SET session_replication_role = replica;

--- NULL comparison rewritten [acts]
SET transform_null_equals = on;

--- a statement log to the client [acts]
SET client_min_messages = debug5;

--- the parser's tree printed to the client [acts]
SET debug_print_parse = on;

--- a library preloaded for the session [acts]
SET local_preload_libraries = '';

--- a search for functions in another place [acts]
SET dynamic_library_path = '/tmp';

--- default tablespace for temporary files [acts]
SET temp_tablespaces = '';

--- the XML option changes what a cast reads [acts]
SET XML OPTION DOCUMENT;

--- a write after COMMIT in one text [acts own]
BEGIN READ ONLY; SELECT 1; COMMIT; CREATE TABLE clinic.loot (a int);

--- two statements in one text, the second denied
SELECT 1; SELECT tax_no FROM clinic.patients;

--- a semicolon in a string before the second statement
SELECT ';'; SELECT email FROM clinic.patients;

--- a comment that ends early
SELECT 1 -- \u{d}
, tax_no FROM clinic.patients;

--- a string over two lines
SELECT 'a'
'b', tax_no FROM clinic.patients;

--- an escape string with a hidden quote
SELECT E'\', tax_no FROM clinic.patients --', tax_no FROM clinic.patients;

--- an escape string with Unicode
SELECT E'\u0041', "tax_no" FROM clinic.patients;

--- dollar quotes nested
SELECT $a$ $b$ ' $b$ $a$, tax_no FROM clinic.patients;

--- an identifier longer than 63 bytes is cut
SELECT tax_no AS aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa FROM clinic.patients;

--- a CTE name longer than 63 bytes stands for a shorter one
WITH aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa AS (SELECT tax_no FROM clinic.patients) TABLE aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa;

--- a no-break space isn't white space: an identifier of its own
SELECT tax_no AS "\u{a0}" FROM clinic.patients;

--- vertical tabs and form feeds between tokens
SELECT\u{c}tax_no\u{9}FROM clinic.patients;

--- full-width letters aren't folded
SELECT tax_no AS "ｔax_no", TAX_NO FROM clinic.patients;

--- a dotted capital I
SELECT email AS "İ" FROM clinic.patients;

--- a cast spelled as a type literal
SELECT text (tax_no) FROM clinic.patients;

--- a type literal that is a function
SELECT varchar '5' < tax_no FROM clinic.patients;

--- operator spelled in full
SELECT tax_no OPERATOR(pg_catalog.||) '' FROM clinic.patients;

--- NOT, precedence and a lost parenthesis
SELECT id FROM clinic.patients WHERE NOT (tax_no < '5' OR id > 6);

--- EXCEPT with a nested INTERSECT
SELECT id FROM clinic.rooms EXCEPT (SELECT id FROM staff.people WHERE wage > 5000 INTERSECT SELECT id FROM clinic.rooms);

--- array subscript after a parenthesis
SELECT (string_to_array(email, '@'))[1] FROM clinic.patients;

--- IS JSON over the value [16]
SELECT (substr(tax_no, 1, 1) || CASE WHEN tax_no < '5' THEN '' ELSE '{' END) IS JSON FROM clinic.patients;

--- an argument of an unknown type that becomes a column's
SELECT id FROM clinic.patients WHERE born < $1;
-- $ ["1988-06-01"]

--- PREPARE under the name of an earlier one
PREPARE q AS SELECT 1;
DEALLOCATE q;
PREPARE q AS SELECT tax_no FROM clinic.patients;
EXECUTE q;

--- PREPARE before the search path moves
SET search_path = clinic;
PREPARE q AS SELECT * FROM v_roster;
SET search_path = staff, clinic;
EXECUTE q;

--- a statement prepared, then a temporary table shadows
SET search_path = clinic;
CREATE TEMP TABLE patients AS SELECT 1 AS id;
SELECT tax_no FROM clinic.patients;

--- a temporary table dropped: the name is the table's again
SET search_path = clinic;
CREATE TEMP TABLE patients AS SELECT 'x' AS tax_no;
DROP TABLE pg_temp.patients;
SELECT tax_no FROM patients;

--- a temporary table rolled back: the name is the table's again
SET search_path = clinic;
SAVEPOINT s;
CREATE TEMP TABLE patients AS SELECT 'x' AS tax_no;
ROLLBACK TO s;
SELECT tax_no FROM patients;

--- a temporary table that dies with the transaction [own]
SET search_path = clinic;
BEGIN;
CREATE TEMP TABLE patients ON COMMIT DROP AS SELECT 'x' AS tax_no;
COMMIT;
SELECT tax_no FROM patients;

--- DISCARD TEMP gives the name back [own]
SET search_path = clinic;
CREATE TEMP TABLE patients AS SELECT 'x' AS tax_no;
DISCARD TEMP;
SELECT tax_no FROM patients;

--- a read in an aborted transaction's savepoint
SAVEPOINT a;
SELECT 1 / 0;
ROLLBACK TO a;
SELECT max(tax_no) FROM clinic.patients;

--- search path through set_config below the select list
SELECT (SELECT set_config('search_path', 'vault', false)) IS NULL;
SELECT * FROM tokens;

--- search path through set_config in a prepared statement
PREPARE path AS SELECT set_config('search_path', 'vault', false);
EXECUTE path;
SELECT * FROM tokens;
