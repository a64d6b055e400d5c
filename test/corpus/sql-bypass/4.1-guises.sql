-- The value under another guise: threat model 4.1.

--- an alias that is another column's name
SELECT tax_no AS chart FROM clinic.patients;

--- overlay of nothing
SELECT overlay(tax_no PLACING '' FROM 1 FOR 0) FROM clinic.patients;

--- a set-returning function in the select list
SELECT regexp_split_to_table(email, '@') FROM clinic.patients;

--- column aliases of a subquery of one column
SELECT (SELECT q.t FROM (SELECT p.tax_no) AS q(t)) FROM clinic.patients p;

--- column aliases that slide the names by one
SELECT k FROM clinic.patients AS k(a, b, c, d, e);

--- column aliases that name the masked column as the open one
SELECT name FROM clinic.patients AS p(id, chart, email, name);

--- whole row to jsonb, nulls stripped
SELECT jsonb_strip_nulls(to_jsonb(p.*)) FROM clinic.patients p;

--- whole row cast to text by its pg_catalog name
SELECT p::pg_catalog.text FROM clinic.patients AS p;

--- whole row as a bare alias
SELECT p FROM clinic.patients p;

--- attribute as a function
SELECT tax_no(p) FROM clinic.patients p;

--- attribute of a parenthesised row
SELECT (p).email FROM clinic.patients p;

--- star of a parenthesised row
SELECT (p).* FROM clinic.patients p;

--- row constructor in an array subquery, subscripted
SELECT (ARRAY(SELECT ROW(s.wage) FROM staff.people s))[1];

--- a CTE with the table's own name
WITH patients AS (SELECT born AS chart FROM clinic.patients) TABLE patients;

--- TABLE command
TABLE clinic.patients;

--- lateral jsonb_each over a masked document
SELECT z.* FROM clinic.patients p, LATERAL jsonb_each(p.cover) z;

--- key of the whole row as json
SELECT j ->> 'wage' FROM staff.people w, to_jsonb(w) j;

--- row_to_json with pretty print
SELECT row_to_json(p, true) FROM clinic.patients p;

--- json_build_object with a whole row
SELECT json_build_object('x', p) FROM clinic.patients p;

--- json_agg of rows
SELECT json_agg(p) FROM clinic.patients p;

--- jsonb_object_agg with the value as a key
SELECT jsonb_object_agg(coalesce(tax_no, '-'), id) FROM clinic.patients;

--- array_agg of whole rows, one field taken
SELECT (array_agg(p ORDER BY id))[1].email FROM clinic.patients p;

--- string_agg
SELECT string_agg(email, '|' ORDER BY id) FROM clinic.patients;

--- hstore-like pairs by array_agg over unnest
SELECT array_agg(ARRAY[name, email] ORDER BY id) FROM clinic.patients;

--- hex of the bytes
SELECT encode(convert_to(tax_no, 'UTF8'), 'hex') FROM clinic.patients;

--- reversed
SELECT reverse(email) FROM clinic.patients;

--- one character per row
SELECT id, i, substr(tax_no, i, 1) FROM clinic.patients, generate_series(1, 11) i;

--- code points
SELECT id, ascii(substr(tax_no, 1, 1)) FROM clinic.patients;

--- digest
SELECT md5(tax_no) FROM clinic.patients;

--- hash support function
SELECT hashtext(email) FROM clinic.patients;

--- sha256 of the bytes
SELECT sha256(tax_no::bytea) FROM clinic.patients;

--- length
SELECT sum(cast(tax_no AS numeric)) FROM clinic.patients;

--- concatenation with a constant
SELECT 'x' || email || 'x' FROM clinic.patients;

--- concat of a whole row
SELECT concat(p.*) FROM clinic.patients p;

--- format
SELECT format('%s', tax_no) FROM clinic.patients;

--- format with a whole row
SELECT format('%s', p) FROM clinic.patients p;

--- quote_nullable of a date
SELECT quote_nullable(born) FROM clinic.patients;

--- to_char of a date with day and month
SELECT to_char(born, 'DDD') FROM clinic.patients;

--- extract of a part below the bucket
SELECT extract(doy FROM born) FROM clinic.patients;

--- arithmetic on the masked number
SELECT wage + 0 FROM staff.people;

--- coalesce
SELECT coalesce(NULL, wage) FROM staff.people;

--- nullif
SELECT nullif(wage, 0) FROM staff.people;

--- greatest with a floor
SELECT greatest(wage, 0) FROM staff.people;

--- CASE on its own
SELECT CASE WHEN true THEN tax_no END FROM clinic.patients;

--- simple CASE with the value as its test
SELECT CASE substr(tax_no, 1, 1) WHEN '4' THEN 'four' ELSE 'no' END FROM clinic.patients;

--- scalar subquery in the select list
SELECT (SELECT max(tax_no) FROM clinic.patients);

--- subquery in FROM two deep
SELECT x FROM (SELECT y AS x FROM (SELECT tax_no AS y FROM clinic.patients) a) b;

--- union below an innocent first branch
SELECT name FROM clinic.patients UNION ALL SELECT email FROM clinic.patients;

--- union that puts the masked column second in line
SELECT 'label' UNION SELECT tax_no::text FROM clinic.patients;

--- intersect with itself
SELECT tax_no FROM clinic.patients INTERSECT SELECT tax_no FROM clinic.patients;

--- VALUES with a subquery
VALUES ((SELECT min(email) FROM clinic.patients));

--- UNNEST of an array of values
SELECT u FROM clinic.patients p, unnest(ARRAY[p.name, p.email]) u;

--- UNNEST with ordinality of several arrays
SELECT * FROM clinic.patients p, ROWS FROM (unnest(ARRAY[p.tax_no]), generate_series(1, 1)) WITH ORDINALITY;

--- lateral VALUES
SELECT v.x FROM clinic.patients p CROSS JOIN LATERAL (VALUES (p.tax_no)) v(x);

--- lateral subquery that gives the row back
SELECT q.* FROM clinic.patients p, LATERAL (SELECT p.*) q;

--- a CTE referenced twice
WITH c AS (SELECT id, email FROM clinic.patients) SELECT a.id, b.email FROM c a JOIN c b ON a.id = b.id;

--- a materialized CTE
WITH c AS MATERIALIZED (SELECT tax_no FROM clinic.patients) SELECT * FROM c;

--- a CTE that isn't materialized
WITH c AS NOT MATERIALIZED (SELECT tax_no FROM clinic.patients) SELECT * FROM c;

--- a recursive CTE that starts from the value
WITH RECURSIVE r(s) AS (SELECT max(tax_no)::text FROM clinic.patients UNION SELECT substr(s, 2) FROM r WHERE length(s) > 1) SELECT * FROM r;

--- a recursive CTE whose step reads the table
WITH RECURSIVE r(i, s) AS (SELECT 0, '' UNION ALL SELECT i + 1, (SELECT p.tax_no::text FROM clinic.patients p WHERE p.id = i + 1) FROM r WHERE i < 5) SELECT * FROM r;

--- SEARCH clause collects rows
WITH RECURSIVE r(i, s) AS (SELECT 1, (SELECT tax_no::text FROM clinic.patients WHERE id = 1) UNION ALL SELECT i + 1, s FROM r WHERE i < 3) SEARCH DEPTH FIRST BY s SET o SELECT o FROM r;

--- CYCLE clause collects rows
WITH RECURSIVE r(i, s) AS (SELECT 1, (SELECT tax_no::text FROM clinic.patients WHERE id = 1) UNION ALL SELECT i % 2 + 1, s FROM r) CYCLE i SET c USING path SELECT s, path FROM r;

--- a nested WITH shadows the table in the inner level only
WITH patients AS (SELECT 1) SELECT (SELECT max(tax_no) FROM clinic.patients) FROM patients;

--- a WITH inside a subquery doesn't reach the outer level
SELECT (WITH patients AS (SELECT 'x' AS tax_no) SELECT max(tax_no) FROM patients), max(tax_no) FROM clinic.patients;

--- a CTE that isn't recursive reads the table of its own name through the search path
SET search_path = clinic;
WITH patients AS (SELECT tax_no FROM patients) SELECT * FROM patients;

--- a CTE can't see a later one: the name is the table's
SET search_path = clinic;
WITH a AS (SELECT tax_no FROM patients), patients AS (SELECT 1) SELECT * FROM a;

--- natural join with a copy
SELECT a.tax_no FROM clinic.patients a NATURAL JOIN clinic.patients b;

--- join alias
SELECT j.tax_no FROM (clinic.patients p JOIN clinic.rooms r ON r.id = p.id) AS j(a1, a2, a3, a4, tax_no);

--- alias of a USING join
SELECT (j).id, a.email FROM clinic.patients a JOIN clinic.v_roster b USING (id) AS j;

--- the right operand of a RIGHT JOIN
SELECT p.tax_no FROM clinic.rooms r RIGHT JOIN clinic.patients p ON p.id = r.id;

--- both operands of a FULL JOIN
SELECT a.email, b.wage FROM clinic.patients a FULL JOIN staff.people b ON a.id = b.id;

--- a join in parentheses, three deep
SELECT p.born FROM ((clinic.rooms a CROSS JOIN (clinic.rooms b LEFT JOIN (clinic.patients p JOIN staff.people w ON w.id = p.id) ON true)));

--- aggregate with FILTER
SELECT max(tax_no) FILTER (WHERE id = 1) FROM clinic.patients;

--- ordered-set aggregate
SELECT mode() WITHIN GROUP (ORDER BY tax_no) FROM clinic.patients;

--- window function
SELECT first_value(tax_no) OVER (PARTITION BY id) FROM clinic.patients;

--- lag over the masked column
SELECT lag(wage, 1, 0) OVER w FROM staff.people WINDOW w AS (ORDER BY id);

--- DISTINCT ON
SELECT DISTINCT ON (born) born, id FROM clinic.patients ORDER BY born, id;

--- XML element
SELECT xmlelement(name x, xmlforest(email, tax_no)) FROM clinic.patients;

--- XMLTABLE over a document made of the row
SELECT x.* FROM clinic.patients p, XMLTABLE('/a' PASSING xmlelement(name a, p.tax_no) COLUMNS t text PATH '.') x;

--- JSON_TABLE over the masked document [17]
SELECT t.* FROM clinic.patients p, JSON_TABLE(p.cover, '$' COLUMNS (b text PATH '$.bank', n text PATH '$.policy_no')) t;

--- JSON_VALUE [17]
SELECT json_value(cover, '$.bank') FROM clinic.patients;

--- JSON_QUERY with wrapper [17]
SELECT json_query(cover, '$.*' WITH WRAPPER) FROM clinic.patients;

--- JSON_OBJECT constructor [16]
SELECT json_object('k' : tax_no) FROM clinic.patients;

--- JSON_ARRAYAGG constructor [16]
SELECT json_arrayagg(email ORDER BY id) FROM clinic.patients;

--- JSON_ARRAY over a query [17]
SELECT json_array(SELECT tax_no FROM clinic.patients ORDER BY id);

--- subscript of the masked document
SELECT cover['bank'] FROM clinic.patients;

--- path operator
SELECT cover #>> '{policy_no}' FROM clinic.patients;

--- jsonpath with the value in a filter
SELECT jsonb_path_query(cover, '$.bank') FROM clinic.patients;

--- jsonb_populate_record into the table's own row type
SELECT (jsonb_populate_record(NULL::clinic.patients, to_jsonb(p))).tax_no FROM clinic.patients p;

--- jsonb_to_record with a column list
SELECT r.* FROM clinic.patients p, jsonb_to_record(p.cover) AS r(bank text, policy_no text);

--- whole row compared gives the row back through a CASE
SELECT CASE WHEN p IS NOT NULL THEN p END FROM clinic.patients p;

--- composite cast to the table's row type
SELECT (p::clinic.patients).email FROM clinic.patients p;

--- a row function of one's own type
SELECT clinic.shoe(p) FROM clinic.patients p;

--- collation clause
SELECT email COLLATE "C" FROM clinic.patients;

--- AT TIME ZONE of the date
SELECT (born::timestamp AT TIME ZONE 'UTC')::text FROM clinic.patients;

--- range constructor
SELECT daterange(born, NULL) FROM clinic.patients;

--- text search vector
SELECT to_tsvector('simple', email) FROM clinic.patients;

--- regexp_match groups
SELECT (regexp_match(email, '^(.*)@'))[1] FROM clinic.patients;

--- translate and split
SELECT split_part(translate(email, '@', '/'), '/', 1) FROM clinic.patients;

--- quoted identifier in the table's exact case
SELECT "tax_no" FROM "clinic"."patients";

--- Unicode escapes in an identifier
SELECT U&"\0074ax_no" FROM clinic.U&"p\0061tients";

--- Unicode escapes with another escape character
SELECT U&"!0074ax_no" UESCAPE '!' FROM clinic.patients;

--- upper case and comments inside of the name
SELECT TAX_NO/* */FROM/**/CLINIC./*-- */PATIENTS;

--- nested comments
SELECT /* /* */ 1, */ tax_no FROM clinic.patients;

--- the database's name as a third part
SELECT patients.email FROM clinic.patients;

--- a column named through schema and table
SELECT clinic.patients.tax_no FROM clinic.patients;

--- an empty target list, the column in RETURNING of nothing: ORDER BY a select alias
SELECT tax_no AS t FROM clinic.patients ORDER BY t;

--- GROUPING SETS
SELECT tax_no, count(*) FROM clinic.patients GROUP BY GROUPING SETS ((tax_no), ()) ORDER BY 1;

--- CUBE with a position
SELECT email, name, count(*) FROM clinic.patients GROUP BY CUBE (1, 2);

--- FETCH WITH TIES
SELECT born FROM clinic.patients ORDER BY born FETCH FIRST 1 ROW WITH TIES;

--- INTO a temporary table, then read
SELECT tax_no AS t INTO TEMP stash FROM clinic.patients;
TABLE stash;

--- CREATE TEMP TABLE AS, then read
CREATE TEMP TABLE stash AS SELECT * FROM clinic.patients;
SELECT email FROM stash;

--- insert into a temporary table, then read
CREATE TEMP TABLE stash (t text);
INSERT INTO stash SELECT tax_no FROM clinic.patients;
TABLE stash;

--- a cursor
BEGIN;
DECLARE c CURSOR FOR SELECT email FROM clinic.patients;
FETCH ALL FROM c;

--- a holdable scroll cursor read backwards
BEGIN;
DECLARE c SCROLL CURSOR WITH HOLD FOR SELECT wage FROM staff.people ORDER BY id;
MOVE LAST IN c;
FETCH BACKWARD 3 FROM c;

--- PREPARE and EXECUTE
PREPARE q AS SELECT tax_no FROM clinic.patients;
EXECUTE q;

--- EXECUTE with an argument that chooses the column
PREPARE q(text) AS SELECT to_jsonb(p) ->> $1 FROM clinic.patients p;
EXECUTE q('tax_no');

--- CREATE TEMP TABLE AS EXECUTE
PREPARE q AS SELECT tax_no AS t FROM clinic.patients;
CREATE TEMP TABLE stash AS EXECUTE q;
TABLE stash;

--- COPY of the table
COPY clinic.patients TO STDOUT;

--- COPY of one column
COPY clinic.patients (tax_no) TO STDOUT;

--- COPY of a query
COPY (SELECT email FROM clinic.patients) TO STDOUT WITH (FORMAT csv, HEADER);

--- COPY in binary
COPY staff.people TO STDOUT (FORMAT binary);

--- an extended query whose argument names the key
SELECT to_jsonb(p) ->> $1 FROM clinic.patients p;
-- $ ["tax_no"]

--- an extended query that chooses by CASE
SELECT CASE $1::int WHEN 1 THEN email ELSE name END FROM clinic.patients;
-- $ ["1"]
