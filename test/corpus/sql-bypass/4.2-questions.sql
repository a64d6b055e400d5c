-- Questions about the value: threat model 4.2. The value never appears, the answer tells it.

--- count with a prefix operator
SELECT count(*) FROM clinic.patients WHERE email ^@ 'an';

--- LIKE
SELECT name FROM clinic.patients WHERE tax_no LIKE '4%';

--- SIMILAR TO
SELECT name FROM clinic.patients WHERE tax_no SIMILAR TO '4[0-9]+';

--- POSIX regular expression
SELECT id FROM clinic.patients WHERE email ~ '^.n';

--- ORDER BY the hidden column
SELECT id FROM clinic.patients ORDER BY tax_no DESC;

--- ORDER BY an expression over it
SELECT id FROM clinic.patients ORDER BY substr(email, 2, 1), id;

--- ORDER BY ... USING an operator
SELECT id FROM staff.people ORDER BY wage USING >;

--- rank over the hidden column
SELECT id, dense_rank() OVER (ORDER BY wage) FROM staff.people;

--- ntile over the hidden column
SELECT id, ntile(4) OVER (ORDER BY tax_no) FROM clinic.patients;

--- window frame in values
SELECT id, count(*) OVER (ORDER BY wage RANGE BETWEEN 500 PRECEDING AND 500 FOLLOWING) FROM staff.people;

--- self-join by USING
SELECT a.id FROM clinic.patients a JOIN staff.people b ON b.wage > a.id * 1000;

--- join with a guess list
SELECT p.id FROM clinic.patients p JOIN generate_series(1, 12) g(m) ON g.m = extract(month FROM p.born) WHERE g.m < 7;

--- binary search over a series
SELECT w FROM generate_series(3000, 9000, 500) w WHERE EXISTS (SELECT FROM staff.people WHERE wage BETWEEN w AND w + 499);

--- HAVING
SELECT 'x' FROM clinic.patients GROUP BY substr(tax_no, 2, 1) HAVING count(*) > 1;

--- GROUP BY an expression, only counts shown
SELECT count(*) FROM clinic.patients WHERE id < 10 GROUP BY substr(tax_no, 1, 1) ORDER BY substr(tax_no, 1, 1);

--- LIMIT from the hidden column
SELECT id FROM clinic.patients ORDER BY id FETCH FIRST (SELECT wage / 1000 FROM staff.people WHERE id = 1) ROWS ONLY;

--- OFFSET from the hidden column
SELECT id FROM clinic.patients ORDER BY id OFFSET (SELECT wage / 1000 FROM staff.people WHERE id = 1);

--- EXCEPT removes what matches
SELECT chart FROM clinic.patients EXCEPT SELECT chart FROM clinic.patients WHERE tax_no > '5';

--- percentile
SELECT percentile_cont(0.9) WITHIN GROUP (ORDER BY wage) FROM staff.people;

--- number of rows from the first character
SELECT count(*) FROM clinic.patients p, generate_series(1, ascii(tax_no));

--- NULL or not of a nulled column
SELECT id FROM staff.people WHERE wage IS NULL;

--- count of a nulled column
SELECT bank, count(wage) FROM staff.people GROUP BY bank ORDER BY 1;

--- num_nonnulls
SELECT id, num_nonnulls(wage) FROM staff.people;

--- sum
SELECT sum(wage) FROM staff.people;

--- average by an open column
SELECT bank, avg(wage)::int FROM staff.people GROUP BY bank;

--- bool_or
SELECT bool_or(wage > 9000) FROM staff.people;

--- every over a comparison
SELECT every(wage > 2800) FROM staff.people;

--- correlation
SELECT corr(id, wage) FROM staff.people;

--- bit_xor
SELECT bit_xor(wage) FROM staff.people;

--- IN with a list of guesses
SELECT id FROM staff.people WHERE wage IN (4100, 5200);

--- row comparison
SELECT id FROM staff.people WHERE (wage, id) > (5000, 0);

--- IS DISTINCT FROM
SELECT id FROM staff.people WHERE wage IS DISTINCT FROM 4100;

--- ANY of an array
SELECT id FROM staff.people WHERE wage = ANY ('{4100,3250}');

--- ALL of a subquery
SELECT id FROM staff.people WHERE wage >= ALL (SELECT wage FROM staff.people WHERE wage IS NOT NULL);

--- whole-row comparison with a guess
SELECT id FROM staff.people p WHERE p = ROW(1, 'Ada Falk'::text, 4100, 'Bank 1'::text);

--- whole row IS NULL
SELECT id FROM staff.people p WHERE p IS NOT NULL;

--- whole-row IN
SELECT count(*) FROM staff.people p WHERE id < 5 AND p::text LIKE '%,4100,%';

--- correlated EXISTS
SELECT r.id FROM clinic.rooms r WHERE EXISTS (SELECT FROM staff.people s WHERE s.id = r.id AND s.wage > 5000);

--- scalar comparison in the select list
SELECT id, wage > 5000 FROM staff.people;

--- containment of the document
SELECT id FROM clinic.patients WHERE cover @> '{"level": 3}';

--- key path comparison
SELECT id FROM clinic.patients WHERE (cover -> 'level')::int > 8;

--- jsonpath predicate
SELECT id FROM clinic.patients WHERE cover @@ '$.level > 8';

--- JSON_EXISTS [17]
SELECT id FROM clinic.patients WHERE json_exists(cover, '$ ? (@.level > 8)');

--- text search match
SELECT id FROM clinic.patients WHERE to_tsvector('simple', tax_no) @@ to_tsquery('simple', '4:*');

--- month of the date
SELECT id FROM clinic.patients WHERE extract(month FROM born) < 7;

--- birthday by date arithmetic
SELECT id, born - date_trunc('year', born)::date FROM clinic.patients;

--- joined by the weekday of birth
SELECT a.id, b.id FROM clinic.patients a JOIN clinic.patients b ON a.id < b.id AND to_char(a.born, 'D') = to_char(b.born, 'D');

--- OVERLAPS
SELECT id FROM clinic.patients WHERE (born, interval '30 days') OVERLAPS (date '1988-03-01', date '1988-04-01');

--- width_bucket
SELECT id, width_bucket(wage, 0, 10000, 20) FROM staff.people;

--- EXISTS in LIMIT
SELECT 1 FROM generate_series(1, 10) LIMIT CASE WHEN EXISTS (SELECT FROM staff.people WHERE id = 1 AND wage < 5000) THEN 1 ELSE 2 END;

--- CASE picks the table
SELECT CASE WHEN (SELECT wage FROM staff.people WHERE id = 1) > 5000 THEN (SELECT count(*) FROM clinic.rooms) ELSE 0 END;

--- JOIN ON in an outer join: NULLs tell
SELECT r.id, s.id FROM clinic.rooms r LEFT JOIN staff.people s ON s.id = r.id AND s.wage > 5000 ORDER BY 1;

--- anti-join
SELECT r.id FROM clinic.rooms r WHERE NOT EXISTS (SELECT FROM staff.people s WHERE s.id = r.id AND s.wage > 5000);

--- lateral limit by value
SELECT p.id, count(g) FROM staff.people p LEFT JOIN LATERAL generate_series(1, p.wage / 1000) g ON true GROUP BY p.id ORDER BY 1;

--- generate_series step
SELECT count(*) FROM generate_series(0, 100000, (SELECT wage FROM staff.people WHERE id = 1));

--- repeat count
SELECT length(repeat('x', wage / 100)) FROM staff.people;

--- array length
SELECT array_length(array_fill(0, ARRAY[wage / 1000]), 1) FROM staff.people;

--- DISTINCT count
SELECT sum(DISTINCT substr(tax_no, 2, 2)::int) FROM clinic.patients;

--- a CTE's count
WITH c AS (SELECT id FROM clinic.patients WHERE tax_no LIKE '4%') SELECT count(*) FROM c;

--- recursive descent over digits
WITH RECURSIVE g(d, n) AS (SELECT '', 0 UNION ALL SELECT d || x, n + 1 FROM g, generate_series(0, 9) x WHERE n < 2 AND EXISTS (SELECT FROM clinic.patients WHERE tax_no LIKE d || x || '%')) SELECT * FROM g;

--- aggregate FILTER
SELECT count(*) FILTER (WHERE tax_no < '5') FROM clinic.patients;

--- aggregate ORDER BY
SELECT string_agg(chart, ',' ORDER BY tax_no) FROM clinic.patients;

--- aggregate DISTINCT on an open column ordered by the hidden
SELECT (array_agg(id ORDER BY wage DESC NULLS LAST))[1] FROM staff.people;

--- min by row comparison
SELECT min(ROW(wage, id)::text) FROM staff.people;

--- hypothetical rank
SELECT rank(5500) WITHIN GROUP (ORDER BY wage) FROM staff.people;

--- ROLLUP of a predicate
SELECT tax_no < '5', count(*) FROM clinic.patients GROUP BY ROLLUP (1) ORDER BY 1, 2;

--- GROUPING of a predicate
SELECT count(*) FROM clinic.patients GROUP BY born < date '1988-06-01' ORDER BY born < date '1988-06-01';

--- natural join count over hidden columns
SELECT count(*) FROM (SELECT wage FROM staff.people) a NATURAL JOIN (SELECT generate_series(4000, 5000) AS wage) b;

--- INTERSECT with guesses
SELECT wage FROM staff.people INTERSECT SELECT generate_series(4000, 4500);

--- a view's hidden column in a predicate
SELECT id FROM clinic.v_roster WHERE reach LIKE '_n%';

--- a predicate over the argument
SELECT id FROM staff.people WHERE wage > $1;
-- $ ["5000"]

--- a predicate over an array argument
SELECT id FROM clinic.patients WHERE left(tax_no, 1) = ANY ($1::text[]);
-- $ ["{4,5}"]

--- TABLESAMPLE over the hidden rows
SELECT id FROM clinic.visits TABLESAMPLE BERNOULLI (40) REPEATABLE (7);

--- SYSTEM sample of a partition
SELECT count(*) FROM clinic.visits_24 TABLESAMPLE SYSTEM (100);

--- FOR UPDATE of the hidden rows
SELECT id FROM clinic.visits WHERE ward > 'W' FOR UPDATE;

--- FOR UPDATE SKIP LOCKED
SELECT count(*) FROM (SELECT FROM clinic.visits FOR SHARE SKIP LOCKED) x;
