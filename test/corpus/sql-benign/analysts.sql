-- What analysts, agents and applications ask of their data. Each gives what a masked copy would give.

--- star of a masked table
SELECT * FROM clinic.patients ORDER BY id;

--- masked columns by name
SELECT id, email, tax_no, born, cover FROM clinic.patients ORDER BY id;

--- domain of the masked address
SELECT split_part(email, '@', 2) AS domain, count(*) FROM clinic.patients GROUP BY 1 ORDER BY 2 DESC, 1;

--- year of the masked date
SELECT extract(year FROM born) AS y, count(*) FROM clinic.patients GROUP BY y ORDER BY y;

--- count of NULLs
SELECT count(*), count(email), count(tax_no) FROM clinic.patients;

--- filtered rows only
SELECT ward, count(*), sum(cost), avg(cost)::numeric(10,2) FROM clinic.visits GROUP BY ward ORDER BY ward;

--- a join of masked and filtered
SELECT p.name, v.ward, v.cost FROM clinic.patients p JOIN clinic.visits v ON v.patient_id = p.id ORDER BY v.id;

--- a left join and a count
SELECT p.id, count(v.id) FROM clinic.patients p LEFT JOIN clinic.visits v ON v.patient_id = p.id GROUP BY p.id ORDER BY p.id;

--- a right join
SELECT p.name, v.id FROM clinic.patients p RIGHT JOIN clinic.visits v ON v.patient_id = p.id AND v.cost > 500 ORDER BY v.id;

--- a full join by USING
SELECT id, r.label, p.name FROM clinic.rooms r FULL JOIN clinic.patients p USING (id) ORDER BY id;

--- a natural join
SELECT * FROM (SELECT id, label FROM clinic.rooms) a NATURAL JOIN (SELECT id, floor FROM clinic.rooms) b ORDER BY id;

--- a cross join
SELECT a.id, b.id FROM clinic.rooms a CROSS JOIN clinic.rooms b WHERE a.id < b.id ORDER BY 1, 2;

--- a join alias
SELECT j.id FROM (clinic.rooms a JOIN clinic.bills b USING (id)) AS j ORDER BY 1;

--- three tables
SELECT b.amount, v.ward, p.name FROM clinic.bills b JOIN clinic.visits v ON v.id = b.visit_id JOIN clinic.patients p ON p.id = v.patient_id ORDER BY b.id;

--- a lateral top-n
SELECT p.id, t.id, t.cost FROM clinic.patients p CROSS JOIN LATERAL (SELECT v.id, v.cost FROM clinic.visits v WHERE v.patient_id = p.id ORDER BY v.cost DESC, v.id LIMIT 1) t ORDER BY p.id;

--- a window sum
SELECT id, cost, sum(cost) OVER (PARTITION BY ward ORDER BY id ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) FROM clinic.visits ORDER BY id;

--- named windows
SELECT id, rank() OVER w, lag(cost) OVER w, first_value(id) OVER w FROM clinic.visits WINDOW w AS (PARTITION BY ward ORDER BY cost, id) ORDER BY id;

--- share of the total
SELECT ward, round(100.0 * sum(cost) / sum(sum(cost)) OVER (), 1) AS share FROM clinic.visits GROUP BY ward ORDER BY ward;

--- ntile and percent_rank
SELECT id, ntile(3) OVER (ORDER BY id), percent_rank() OVER (ORDER BY id) FROM clinic.rooms ORDER BY id;

--- range frame with an interval
SELECT id, count(*) OVER (ORDER BY at RANGE BETWEEN interval '30 days' PRECEDING AND CURRENT ROW) FROM clinic.visits ORDER BY id;

--- groups frame with exclusion
SELECT id, sum(floor) OVER (ORDER BY floor GROUPS BETWEEN 1 PRECEDING AND 1 FOLLOWING EXCLUDE CURRENT ROW) FROM clinic.rooms ORDER BY id;

--- CTE chain
WITH per_ward AS (SELECT ward, sum(cost) AS total FROM clinic.visits GROUP BY ward), top AS (SELECT * FROM per_ward ORDER BY total DESC, ward LIMIT 3) SELECT v.id FROM clinic.visits v JOIN top USING (ward) ORDER BY v.id;

--- a recursive series
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10) SELECT sum(i) FROM n;

--- a recursive walk
WITH RECURSIVE walk(id, path) AS (SELECT id, ARRAY[id] FROM clinic.rooms WHERE id = 1 UNION ALL SELECT r.id, path || r.id FROM walk w JOIN clinic.rooms r ON r.id = w.id + 1) SELECT * FROM walk ORDER BY id;

--- a materialized CTE over masked data
WITH m AS MATERIALIZED (SELECT left(email, 1) AS l FROM clinic.patients) SELECT l, count(*) FROM m GROUP BY l ORDER BY l;

--- grouping sets
SELECT ward, extract(year FROM at) AS y, sum(cost), grouping(ward) FROM clinic.visits GROUP BY GROUPING SETS ((ward), (extract(year FROM at)), ()) ORDER BY 1, 2;

--- rollup
SELECT floor, mood, count(*) FROM clinic.rooms GROUP BY ROLLUP (floor, mood) ORDER BY 1, 2;

--- cube
SELECT floor, mood, count(*) FROM clinic.rooms GROUP BY CUBE (floor, mood) ORDER BY 1, 2;

--- HAVING
SELECT ward FROM clinic.visits GROUP BY ward HAVING count(*) > 2 ORDER BY ward;

--- FILTER
SELECT count(*) FILTER (WHERE cost > 500) AS dear, count(*) AS n FROM clinic.visits;

--- DISTINCT ON
SELECT DISTINCT ON (patient_id) patient_id, id FROM clinic.visits ORDER BY patient_id, at DESC, id;

--- set operations
SELECT id FROM clinic.rooms UNION SELECT id FROM clinic.bills EXCEPT SELECT 3 ORDER BY id;

--- INTERSECT ALL
SELECT floor FROM clinic.rooms INTERSECT ALL SELECT id FROM clinic.bills ORDER BY 1;

--- VALUES as a table
SELECT v.k, r.label FROM (VALUES (1, 'x'), (2, 'y')) AS v(k, t) JOIN clinic.rooms r ON r.id = v.k ORDER BY 1;

--- bare VALUES
VALUES (1, 'a'), (2, 'b') ORDER BY 1 DESC LIMIT 1;

--- TABLE
TABLE clinic.bills;

--- subquery in the select list
SELECT p.id, (SELECT max(v.at) FROM clinic.visits v WHERE v.patient_id = p.id) AS last FROM clinic.patients p ORDER BY p.id;

--- EXISTS and NOT EXISTS
SELECT r.id FROM clinic.rooms r WHERE EXISTS (SELECT 1 FROM clinic.bills b WHERE b.id = r.id) AND NOT EXISTS (SELECT 1 FROM clinic.bills b WHERE b.id = r.id AND b.amount > 100) ORDER BY 1;

--- IN a subquery of the filtered table
SELECT id FROM clinic.patients WHERE id IN (SELECT patient_id FROM clinic.visits WHERE cost > 700) ORDER BY id;

--- ANY and ALL
SELECT id FROM clinic.rooms WHERE floor = ANY (ARRAY[1, 3]) AND rate >= ALL (SELECT amount FROM clinic.bills WHERE amount < 50) ORDER BY id;

--- row comparison
SELECT id FROM clinic.visits WHERE (at, id) > ('2025-01-01', 0) ORDER BY at, id LIMIT 5;

--- keyset pagination with arguments
SELECT id, at FROM clinic.visits WHERE (at, id) < ($1, $2) ORDER BY at DESC, id DESC LIMIT $3;
-- $ ["2025-03-01", "260000", "4"]

--- LIMIT and OFFSET
SELECT id FROM clinic.visits ORDER BY id LIMIT 5 OFFSET 3;

--- FETCH WITH TIES
SELECT floor FROM clinic.rooms ORDER BY floor FETCH FIRST 3 ROWS WITH TIES;

--- primary key look-up
SELECT * FROM clinic.patients WHERE id = $1;
-- $ ["3"]

--- IN list from arguments
SELECT id, name FROM clinic.patients WHERE id = ANY ($1::int[]) ORDER BY id;
-- $ ["{1,2,3}"]

--- search in the masked address
SELECT id FROM clinic.patients WHERE email ILIKE $1 ORDER BY id;
-- $ ["%@example.org"]

--- search in an open name
SELECT id, name FROM clinic.patients WHERE name ILIKE '%an%' OR name ~* '^b' ORDER BY id;

--- ORDER BY the masked columns
SELECT id, tax_no FROM clinic.patients ORDER BY tax_no NULLS FIRST, id;

--- NULLS LAST
SELECT id, rate FROM clinic.rooms ORDER BY rate DESC NULLS LAST, id;

--- CASE
SELECT id, CASE WHEN cost > 700 THEN 'dear' WHEN cost > 300 THEN 'middling' ELSE 'cheap' END FROM clinic.visits ORDER BY id;

--- simple CASE
SELECT CASE mood WHEN 'calm' THEN 1 ELSE 2 END FROM clinic.rooms ORDER BY id;

--- coalesce, nullif, greatest, least
SELECT coalesce(label, '-'), nullif(floor, 1), greatest(floor, 2), least(rate, 100) FROM clinic.rooms ORDER BY id;

--- string functions
SELECT upper(label), lower(label), initcap(label), length(label), left(label, 2), right(label, 2), lpad(label, 8, '.'), replace(label, 'e', '3'), trim(both 'B' from label), position('e' in label), substring(label from 2 for 2), reverse(label), repeat('-', floor), strpos(label, 'u'), concat_ws('/', label, floor), translate(label, 'ae', 'AE'), md5(label) FROM clinic.rooms ORDER BY id;

--- format
SELECT format('%s on %s: %L, %I', label, floor, label, 'x y') FROM clinic.rooms ORDER BY id;

--- string_agg with order
SELECT floor, string_agg(label, ', ' ORDER BY label) FROM clinic.rooms GROUP BY floor ORDER BY floor;

--- string_agg DISTINCT
SELECT string_agg(DISTINCT mood::text, ',') FROM clinic.rooms;

--- regular expressions
SELECT regexp_replace(label, '[aeiou]', '*', 'g'), label ~ '^B', regexp_match(label, '(.)e'), regexp_split_to_array(label, 'e') FROM clinic.rooms ORDER BY id;

--- numbers
SELECT round(rate, 1), trunc(rate), ceil(rate), floor(rate), abs(-rate), mod(id, 2), power(id, 2), sqrt(id), sign(rate), width_bucket(rate, 0, 300, 3), rate::int, id % 3, id / 2.0, -id, id # 5, id << 1 FROM clinic.rooms ORDER BY id;

--- dates
SELECT date_trunc('month', at), extract(dow FROM at), at + 7, at - date '2024-01-01', age(at, date '2020-01-01'), to_char(at, 'YYYY-MM'), at + interval '1 month', make_date(2024, 1, 2), date_part('year', at) FROM clinic.visits ORDER BY id;

--- time stamps and zones
SELECT seen AT TIME ZONE 'Europe/Berlin', date_trunc('day', seen), extract(epoch FROM seen), seen::date, seen + interval '1 day', isfinite(seen) FROM clinic.rooms ORDER BY id;

--- a series of days
SELECT d::date, count(v.id) FROM generate_series(date '2024-01-01', date '2024-03-31', interval '1 month') d LEFT JOIN clinic.visits v ON date_trunc('month', v.at) = d GROUP BY d ORDER BY d;

--- date_bin and make_interval
SELECT date_bin('15 minutes', seen, timestamptz '2000-01-01'), make_interval(days => id) FROM clinic.rooms ORDER BY id;

--- OVERLAPS and BETWEEN
SELECT id FROM clinic.visits WHERE at BETWEEN '2024-02-01' AND '2024-06-30' AND (at, interval '10 days') OVERLAPS (date '2024-01-01', date '2024-12-31') ORDER BY id;

--- arrays
SELECT tags, tags[1], array_length(tags, 1), cardinality(tags), 'south' = ANY (tags), tags || 'x'::text, tags @> ARRAY['north'], array_to_string(tags, '-'), array_position(tags, 'quiet'), array_append(tags, 'z'), tags[1:2] FROM clinic.rooms ORDER BY id;

--- unnest with ordinality
SELECT r.id, t.tag, t.n FROM clinic.rooms r CROSS JOIN LATERAL unnest(r.tags) WITH ORDINALITY AS t(tag, n) ORDER BY r.id, t.n;

--- array_agg and array subquery
SELECT floor, array_agg(id ORDER BY id DESC), ARRAY(SELECT b.id FROM clinic.bills b WHERE b.id <= floor ORDER BY 1) FROM clinic.rooms GROUP BY floor ORDER BY floor;

--- json operators
SELECT info -> 'kit', info ->> 'beds', info #> '{deep,a}', info #>> '{deep,a,1}', info ? 'sun', info @> '{"beds": 2}', info - 'kit', info['beds'], jsonb_typeof(info), info || '{"x": 1}' FROM clinic.rooms ORDER BY id;

--- json functions
SELECT jsonb_array_length(info -> 'kit'), jsonb_pretty(info), jsonb_set(info, '{beds}', '9'), jsonb_strip_nulls(info), jsonb_path_query_array(info, '$.kit[*]'), jsonb_path_exists(info, '$.beds ? (@ > 2)'), jsonb_extract_path_text(info, 'beds') FROM clinic.rooms ORDER BY id;

--- json set-returning functions
SELECT r.id, e.key, e.value FROM clinic.rooms r, jsonb_each(r.info) e ORDER BY 1, 2;

--- json array elements
SELECT r.id, k FROM clinic.rooms r, jsonb_array_elements_text(r.info -> 'kit') k ORDER BY 1, 2;

--- json aggregation of rows
SELECT json_agg(json_build_object('id', p.id, 'visits', (SELECT coalesce(json_agg(v.id ORDER BY v.id), '[]') FROM clinic.visits v WHERE v.patient_id = p.id)) ORDER BY p.id) FROM clinic.patients p;

--- Prisma's relation join
SELECT t1.id, aggr.__prisma_data__ FROM clinic.patients AS t1 LEFT JOIN LATERAL (SELECT COALESCE(JSONB_AGG(__prisma_data__), '[]') AS __prisma_data__ FROM (SELECT t3.__prisma_data__ FROM (SELECT JSONB_BUILD_OBJECT('id', t2.id, 'cost', t2.cost) AS __prisma_data__ FROM (SELECT v.* FROM clinic.visits AS v WHERE t1.id = v.patient_id ORDER BY v.id /* root select */) AS t2 /* inner select */) AS t3 /* middle select */) AS t4 /* outer select */) AS aggr ON true ORDER BY t1.id LIMIT 3;

--- row_to_json of a masked row
SELECT row_to_json(p) FROM clinic.patients p ORDER BY p.id;

--- to_jsonb minus keys
SELECT to_jsonb(p) - 'cover' - 'email_key' FROM clinic.patients p ORDER BY p.id;

--- jsonb_to_recordset
SELECT * FROM jsonb_to_recordset('[{"a": 1, "b": "x"}, {"a": 2}]') AS t(a int, b text);

--- jsonb_object_agg
SELECT jsonb_object_agg(id, label) FROM clinic.rooms;

--- JSON_TABLE over open data [17]
SELECT r.id, t.* FROM clinic.rooms r, JSON_TABLE(r.info, '$' COLUMNS (beds int PATH '$.beds', sun bool PATH '$.sun')) t ORDER BY r.id;

--- SQL/JSON functions [17]
SELECT json_value(info, '$.beds' RETURNING int), json_exists(info, '$.sun'), json_query(info, '$.kit') FROM clinic.rooms ORDER BY id;

--- SQL/JSON constructors
SELECT json_object('a': 1, 'b': label), json_array(1, label, NULL NULL ON NULL), label IS JSON FROM clinic.rooms ORDER BY id;

--- composite fields
SELECT (size).a, (size).b, size FROM clinic.rooms ORDER BY id;

--- row constructor
SELECT ROW(id, label), (id, floor) = (1, 1) FROM clinic.rooms ORDER BY id;

--- enum comparison
SELECT id FROM clinic.rooms WHERE mood >= 'busy' ORDER BY mood, id;

--- enum functions
SELECT enum_range(NULL::clinic.mood), enum_first(NULL::clinic.mood);

--- casts
SELECT id::text, '5'::int, CAST('2024-01-01' AS date), 'calm'::clinic.mood, label::varchar(3), rate::float8, floor::bool, '{1,2}'::int[], '10.5'::numeric(5,1), id::bigint, 'a'::char(3), '1 day'::interval FROM clinic.rooms ORDER BY rooms.id;

--- typed literals [16]
SELECT date '2024-02-29', timestamp '2024-01-01 00:00', interval '2 hours', numeric '1.5', bool 'yes', B'101', X'1F', 1e3, 0x1F, 1_000;

--- ranges
SELECT int4range(1, 5) @> 3, daterange('2024-01-01', '2024-02-01') && daterange('2024-01-15', NULL), lower(int4range(1, 5)), upper(int4range(1, 5)), numrange(1, 2) * numrange(1.5, 3);

--- statistics
SELECT stddev(cost)::numeric(10,3), variance(cost)::numeric(14,3), corr(cost, id)::numeric(6,4), regr_slope(cost, id)::numeric(12,8), percentile_cont(0.5) WITHIN GROUP (ORDER BY cost), percentile_disc(ARRAY[0.25, 0.75]) WITHIN GROUP (ORDER BY cost), mode() WITHIN GROUP (ORDER BY ward) FROM clinic.visits;

--- boolean aggregates
SELECT bool_and(floor > 0), bool_or(mood = 'wild'), every(id > 0), bit_or(id), bit_and(id) FROM clinic.rooms;

--- text search
SELECT id FROM clinic.rooms WHERE to_tsvector('english', coalesce(label, '')) @@ plainto_tsquery('english', 'blue');

--- text search ranking
SELECT id, ts_rank(to_tsvector('simple', label), to_tsquery('simple', 'red | sun')), ts_headline('simple', label, to_tsquery('simple', 'red')) FROM clinic.rooms ORDER BY id;

--- IS DISTINCT FROM, IS UNKNOWN
SELECT id, label IS DISTINCT FROM 'Blue', (rate > 50) IS UNKNOWN, (rate > 50) IS NOT TRUE, label IS NULL FROM clinic.rooms ORDER BY id;

--- SIMILAR TO and ESCAPE
SELECT label SIMILAR TO '(B|R)%', label LIKE 'B!_%' ESCAPE '!' FROM clinic.rooms ORDER BY id;

--- COLLATE
SELECT label COLLATE "C" FROM clinic.rooms ORDER BY label COLLATE "C";

--- generate_series of numbers
SELECT i, i * i FROM generate_series(1, 5) AS g(i) ORDER BY i;

--- ROWS FROM
SELECT * FROM ROWS FROM (generate_series(1, 3), unnest(ARRAY['a', 'b'])) AS t(n, s);

--- a table function with ordinality
SELECT * FROM string_to_table('a,b,c', ',') WITH ORDINALITY AS t(v, n);

--- random but fixed by nothing: only shape
SELECT count(*) FROM (SELECT random() FROM clinic.rooms) x;

--- time now, only shape
SELECT count(now()), count(current_date), count(localtimestamp), count(clock_timestamp()) FROM clinic.rooms;

--- who am I
SELECT current_user IS NOT NULL, session_user IS NOT NULL, current_database() IS NOT NULL, current_schema() IS NULL;

--- UUIDs, only shape
SELECT length(gen_random_uuid()::text);

--- bytea
SELECT encode('abc'::bytea, 'hex'), decode('616263', 'hex'), length('abc'::bytea), sha256('abc'), get_byte('abc', 1);

--- XML
SELECT xmlelement(name r, xmlattributes(id AS i), label) FROM clinic.rooms ORDER BY id;

--- inet
SELECT inet '10.0.0.1' << inet '10.0.0.0/8', host(inet '10.0.0.1/24'), masklen('10.0.0.0/8');

--- geometry
SELECT point(1, 2) <-> point(4, 6), box '((0,0),(1,1))' @> point '(0.5,0.5)';

--- a view
SELECT * FROM clinic.v_roster ORDER BY id;

--- a view over views
SELECT label, count(*) FROM clinic.v_deep GROUP BY label ORDER BY label;

--- an aggregating view
SELECT * FROM clinic.v_wards ORDER BY ward;

--- an open view
SELECT * FROM clinic.v_open ORDER BY id;

--- a security_invoker view
SELECT count(*), max(shoe) FROM clinic.v_invoker;

--- a barrier view
SELECT ward, max(cost) FROM clinic.v_barrier GROUP BY ward ORDER BY 1;

--- a recursive view
SELECT * FROM clinic.v_tree;

--- a materialized view
SELECT * FROM clinic.m_contacts ORDER BY id;

--- a partition
SELECT count(*), min(id) FROM clinic.visits_24;

--- ONLY a parent
SELECT id, name, wage FROM ONLY staff.people ORDER BY id;

--- a child
SELECT * FROM staff.temps ORDER BY id;

--- a parent with children
SELECT * FROM staff.people ORDER BY id;

--- the partition of a row
SELECT tableoid::regclass, count(*) FROM clinic.visits GROUP BY 1 ORDER BY 1;

--- a correlated update count
SELECT (SELECT count(*) FROM clinic.visits v WHERE v.ward = r.ward) FROM (SELECT DISTINCT ward FROM clinic.visits) r ORDER BY 1;

--- a self-join
SELECT a.id, b.id FROM clinic.visits a JOIN clinic.visits b ON a.ward = b.ward AND a.id < b.id ORDER BY 1, 2;

--- a pivot by FILTER
SELECT ward, sum(cost) FILTER (WHERE extract(year FROM at) = 2024) AS y24, sum(cost) FILTER (WHERE extract(year FROM at) = 2025) AS y25 FROM clinic.visits GROUP BY ward ORDER BY ward;

--- cohorts
WITH firsts AS (SELECT patient_id, min(at) AS f FROM clinic.visits GROUP BY 1) SELECT date_trunc('quarter', f)::date AS cohort, count(*) FROM firsts GROUP BY 1 ORDER BY 1;

--- running difference
SELECT id, at - lag(at) OVER (PARTITION BY patient_id ORDER BY at, id) AS gap FROM clinic.visits ORDER BY id;

--- deduplication
SELECT * FROM (SELECT v.*, row_number() OVER (PARTITION BY ward ORDER BY at DESC, id) AS rn FROM clinic.visits v) t WHERE rn = 1 ORDER BY ward;

--- quoted names and odd aliases
SELECT "r"."label" AS "The Label", r."floor" AS "select" FROM "clinic"."rooms" AS "r" ORDER BY "r"."id";

--- an alias list
SELECT a, b FROM clinic.rooms AS t(a, b) ORDER BY a;

--- comments everywhere
SELECT /* one */ id -- two
FROM clinic.rooms /* three /* nested */ */ ORDER BY id;

--- a search path and unqualified names
SET search_path TO clinic, public;
SELECT count(*) FROM rooms JOIN visits ON visits.id > rooms.id;
SELECT name FROM patients WHERE id = 2;

--- a search path set in a transaction and rolled back
BEGIN;
SAVEPOINT a;
SET LOCAL search_path = staff;
SELECT count(*) FROM people;
ROLLBACK TO a;

--- transactions
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT count(*) FROM clinic.visits;
SAVEPOINT s1;
RELEASE SAVEPOINT s1;
SELECT 1;

--- SHOW
SHOW server_version;
SHOW timezone;
SHOW client_encoding;

--- SET of harmless settings
SET statement_timeout = '10s';
SET application_name = 'reports';
SET TIME ZONE 'UTC';
SET DateStyle = 'ISO, MDY';
RESET statement_timeout;
SET LOCAL work_mem = '8MB';

--- current_setting
SELECT current_setting('server_version_num')::int > 0, current_setting('search_path');

--- set_config of a harmless constant
SELECT set_config('application_name', 'x', false);

--- PREPARE and EXECUTE
PREPARE one(int) AS SELECT id, label FROM clinic.rooms WHERE id = $1;
EXECUTE one(2);
EXECUTE one(3);
DEALLOCATE one;

--- PREPARE over masked data
PREPARE m AS SELECT id, email FROM clinic.patients ORDER BY id;
EXECUTE m;

--- cursors
BEGIN;
DECLARE c SCROLL CURSOR FOR SELECT id, ward FROM clinic.visits ORDER BY id;
FETCH 3 FROM c;
MOVE 2 FROM c;
FETCH NEXT FROM c;
FETCH BACKWARD 1 FROM c;
CLOSE c;

--- COPY of an open table
COPY clinic.rooms (id, label) TO STDOUT;

--- COPY of a masked table
COPY clinic.patients (id, name, email, tax_no, born, cover) TO STDOUT WITH (FORMAT csv, HEADER);

--- COPY of a filtered query
COPY (SELECT id, ward FROM clinic.visits ORDER BY id) TO STDOUT (FORMAT csv, FORCE_QUOTE (ward), DELIMITER ';');

--- COPY FROM STDIN into an open table
COPY clinic.rooms (id, label) FROM STDIN;
-- < 50	Fifty
-- < 51	\N
SELECT id, label FROM clinic.rooms WHERE id >= 50 ORDER BY id;

--- EXPLAIN of an open table
EXPLAIN (COSTS OFF) SELECT * FROM clinic.rooms WHERE id = 1;

--- EXPLAIN in JSON
EXPLAIN (FORMAT json, COSTS OFF) SELECT floor, count(*) FROM clinic.rooms GROUP BY floor;

--- INSERT
INSERT INTO clinic.rooms (id, label, floor) VALUES (10, 'New', 4);
SELECT id, label FROM clinic.rooms WHERE id = 10;

--- INSERT RETURNING
INSERT INTO clinic.rooms (id, label) VALUES (11, 'a'), (12, DEFAULT) RETURNING id, label, floor;

--- INSERT SELECT
INSERT INTO clinic.rooms (id, label) SELECT id + 20, name FROM clinic.patients WHERE id < 4 RETURNING id, label;

--- INSERT ON CONFLICT
INSERT INTO clinic.rooms (id, label) VALUES (1, 'Navy') ON CONFLICT (id) DO UPDATE SET label = excluded.label, floor = rooms.floor + 1 RETURNING id, label, floor;

--- INSERT ON CONFLICT DO NOTHING
INSERT INTO clinic.rooms (id, label) VALUES (1, 'x'), (30, 'y') ON CONFLICT DO NOTHING;

--- UPDATE
UPDATE clinic.rooms SET label = upper(label), floor = floor + 1 WHERE id IN (1, 2) RETURNING id, label, floor;

--- UPDATE FROM
UPDATE clinic.rooms r SET rate = b.amount FROM clinic.bills b WHERE b.id = r.id RETURNING r.id, r.rate;

--- UPDATE of several columns by a row
UPDATE clinic.rooms SET (label, floor) = ('q', 9) WHERE id = 3 RETURNING *;

--- UPDATE of a document, an array and a composite
UPDATE clinic.rooms SET info = jsonb_set(info, '{beds}', '7'), tags = array_append(tags, 'x'), size.b = 4 WHERE id = 1 RETURNING info, tags, size;

--- UPDATE of an open column of a masked table
UPDATE clinic.patients SET chart = 'C-1' WHERE id = 4;
SELECT id, chart FROM clinic.patients WHERE id = 4;

--- UPDATE of visible rows of a filtered table
UPDATE clinic.visits SET findings = 'seen' WHERE cost > 500;
SELECT count(*) FROM clinic.visits WHERE findings = 'seen';

--- UPDATE of a filtered table by key, RETURNING
UPDATE clinic.visits SET findings = 'seen' WHERE id = 240002 RETURNING id, ward, findings;

--- DELETE
DELETE FROM clinic.bills WHERE id = 4;
SELECT count(*) FROM clinic.bills;

--- DELETE USING
DELETE FROM clinic.bills b USING clinic.rooms r WHERE r.id = b.id AND r.floor = 2 RETURNING b.id;

--- MERGE
MERGE INTO clinic.rooms r USING (VALUES (1, 'one'), (99, 'new')) AS s(id, label) ON r.id = s.id WHEN MATCHED THEN UPDATE SET label = s.label WHEN NOT MATCHED THEN INSERT (id, label) VALUES (s.id, s.label);
SELECT id, label FROM clinic.rooms ORDER BY id;

--- MERGE RETURNING [17]
MERGE INTO clinic.bills b USING clinic.rooms r ON r.id = b.id WHEN MATCHED AND r.floor = 2 THEN DELETE WHEN MATCHED THEN UPDATE SET amount = 0 RETURNING merge_action(), b.id;

--- a data-modifying CTE
WITH gone AS (DELETE FROM clinic.bills WHERE amount > 100 RETURNING id) SELECT count(*) FROM gone;

--- a temporary table
CREATE TEMP TABLE work (id int PRIMARY KEY, note text DEFAULT 'x');
INSERT INTO work (id) SELECT id FROM clinic.rooms;
UPDATE work SET note = 'y' WHERE id = 1;
SELECT * FROM work ORDER BY id;
DROP TABLE work;

--- a temporary table of masked rows
CREATE TEMP TABLE snap AS SELECT id, email, tax_no FROM clinic.patients;
SELECT * FROM snap ORDER BY id;

--- RETURNING old and new of an open table [18]
UPDATE clinic.rooms SET floor = floor + 1 WHERE id = 1 RETURNING old.floor, new.floor;

--- an ordinary error: division by zero
SELECT id / (SELECT count(*) FROM clinic.rooms WHERE id > 3) FROM clinic.rooms ORDER BY id;

--- nested function calls and casts
SELECT to_char(sum(amount), 'FM999G999D00'), round(avg(amount)::numeric, 2)::text || ' EUR' FROM clinic.bills;

--- IN with many constants
SELECT id FROM clinic.visits WHERE ward IN ('A', 'B', 'C') AND id NOT IN (240000, 240002) ORDER BY id;

--- FOR UPDATE of an open table
SELECT id FROM clinic.rooms WHERE id = 1 FOR UPDATE;

--- FOR SHARE SKIP LOCKED
SELECT id FROM clinic.rooms ORDER BY id FOR SHARE SKIP LOCKED;

--- TABLESAMPLE of an open table
SELECT count(*) FROM clinic.rooms TABLESAMPLE SYSTEM (100);

--- an empty select list
SELECT FROM clinic.rooms;

--- an empty statement
;

--- a comment within NOT IN
SELECT id FROM clinic.rooms WHERE id NOT /* these */ IN (1, 2) ORDER BY id;

--- a comment within NULLS LAST
SELECT id, rate FROM clinic.rooms ORDER BY rate NULLS -- at the end
LAST, id;

--- a comment within WITH TIME ZONE
SELECT count(seen::timestamp WITH /* zone */ TIME ZONE) FROM clinic.rooms;

--- renamed columns of a filtered table in a condition that goes below the fence
SELECT v.b, v.d FROM clinic.visits AS v (a, b, c, d, e, f) WHERE v.c = 'A' AND v.a > 240000 ORDER BY v.a;

--- columns of a filtered table that swap their names
SELECT v.cost, v.patient_id FROM clinic.visits AS v (id, cost, ward, patient_id) WHERE v.cost = 3 ORDER BY v.id;

--- RETURNING a cast of a masked column keeps its name
UPDATE clinic.patients AS w SET chart = 'a' WHERE w.id = 1 RETURNING w.born::text, left(w.tax_no, 3), w.email;

--- INTERSECT of a masked column of a limited length with a text
SELECT t1.tax_no AS x FROM clinic.patients t1 INTERSECT SELECT t4::text FROM clinic.patients t4;

--- UNION of a masked column of a limited length with a literal
SELECT tax_no FROM clinic.patients UNION SELECT 'none' ORDER BY 1;

--- unnest of several arrays side by side
SELECT i, v FROM unnest(ARRAY[1, 2], ARRAY['a', 'b']) AS u (i, v) ORDER BY i;

--- an upsert into a masked table
INSERT INTO clinic.patients (id, chart, name) VALUES (1, 'c1', 'Ana'), (901, 'c901', 'Neu') ON CONFLICT (id) DO UPDATE SET chart = excluded.chart, name = excluded.name RETURNING id, chart, name;

--- an upsert into a masked table that shows a masked column
INSERT INTO staff.people (id, name) VALUES (1, 'Uma') ON CONFLICT (id) DO UPDATE SET name = excluded.name RETURNING id, name;
SELECT id, name, wage FROM staff.people WHERE id = 1;

--- an insert that steps aside in a masked table
INSERT INTO clinic.patients (id, chart, name) VALUES (1, 'x', 'y'), (902, 'c902', 'New') ON CONFLICT (id) DO NOTHING;

--- MERGE into a masked table
MERGE INTO clinic.patients p USING (VALUES (1, 'c1'), (903, 'c903')) AS s(id, chart) ON p.id = s.id WHEN MATCHED THEN UPDATE SET chart = s.chart WHEN NOT MATCHED THEN INSERT (id, chart, name) VALUES (s.id, s.chart, 'new');
SELECT id, chart, name FROM clinic.patients WHERE id IN (1, 903) ORDER BY id;

--- MERGE from a masked table into a free one
MERGE INTO clinic.rooms r USING clinic.patients p ON r.id = p.id WHEN MATCHED THEN UPDATE SET label = p.name WHEN NOT MATCHED THEN DO NOTHING;
SELECT id, label FROM clinic.rooms ORDER BY id;
