-- Errors that speak: threat model 4.3.

--- the value in a cast's message
SELECT (tax_no || 'x')::pg_catalog.int8 FROM clinic.patients;

--- email as a number
SELECT email::numeric FROM clinic.patients;

--- division by zero as one bit
SELECT make_interval(secs => 1 / (wage - 4100)) FROM staff.people;

--- division by zero in WHERE
SELECT id FROM staff.people WHERE id = 1 AND 1 / (wage - 4100) = 1;

--- division by zero in ORDER BY
SELECT id FROM staff.people WHERE id < 5 ORDER BY 1 / (wage - 4100);

--- XML parse error under a CASE
SELECT CASE WHEN email LIKE 'an%' THEN name::xml END FROM clinic.patients;

--- to_timestamp
SELECT to_timestamp(email, 'YYYY') FROM clinic.patients;

--- unit not recognised
SELECT date_part(email, now()) FROM clinic.patients;

--- time zone not recognised
SELECT now() AT TIME ZONE email FROM clinic.patients;

--- invalid regular expression
SELECT 'x' ~ repeat('(', ascii(tax_no) - 52) FROM clinic.patients WHERE id = 1;

--- invalid enum value
SELECT tax_no::clinic.mood FROM clinic.patients;

--- domain check by name
SELECT (wage % 1000)::clinic.pct FROM staff.people;

--- more than one row
SELECT (SELECT id FROM staff.people WHERE wage > 7500);

--- integer out of range
SELECT id, 2147483647 - wage + 4101 FROM staff.people;

--- substring with negative length
SELECT substr('abc', 1, 4500 - wage) FROM staff.people;

--- array subscript message
SELECT ('{' || email || '"')::text[] FROM clinic.patients;

--- json parse error shows the text
SELECT ('{' || tax_no)::json FROM clinic.patients;

--- jsonb parse error with its CONTEXT
SELECT ('["' || email)::jsonb FROM clinic.patients;

--- uuid syntax
SELECT tax_no::uuid FROM clinic.patients;

--- inet syntax
SELECT email::inet FROM clinic.patients;

--- date syntax
SELECT tax_no::date FROM clinic.patients;

--- interval syntax
SELECT email::interval FROM clinic.patients;

--- regclass by value
SELECT email::regclass FROM clinic.patients;

--- regproc by value
SELECT tax_no::regproc FROM clinic.patients;

--- encode with an unknown name
SELECT encode('x', email) FROM clinic.patients;

--- convert_from with an unknown encoding
SELECT convert_from('x', email) FROM clinic.patients;

--- format with a bad specifier
SELECT format('%' || substr(email, 2, 1), 1) FROM clinic.patients;

--- sqrt of a negative
SELECT sqrt(wage - 5000) FROM staff.people;

--- ln of zero
SELECT ln(wage - 2900) FROM staff.people;

--- power overflow
SELECT power(10::float8, wage / 17) FROM staff.people;

--- factorial-like generate_series step zero
SELECT count(*) FROM staff.people p, generate_series(1, 2, p.wage - 4100) WHERE p.id = 1;

--- LIMIT must not be negative
SELECT 1 LIMIT (SELECT 4500 - wage FROM staff.people WHERE id = 1);

--- window frame offset must not be negative
SELECT sum(id) OVER (ORDER BY id ROWS (SELECT 4500 - wage FROM staff.people WHERE id = 1) PRECEDING) FROM clinic.rooms;

--- percentile out of range
SELECT percentile_disc((SELECT wage / 4500.0 FROM staff.people WHERE id = 1)) WITHIN GROUP (ORDER BY id) FROM clinic.rooms;

--- ntile argument must be positive
SELECT ntile((SELECT wage - 4100 FROM staff.people WHERE id = 1)) OVER () FROM clinic.rooms;

--- width_bucket with equal bounds
SELECT width_bucket(1, 4100, (SELECT wage FROM staff.people WHERE id = 1), 5);

--- array of different sizes
SELECT array_agg(array_fill(1, ARRAY[wage / 4100])) FROM staff.people WHERE id IN (1, 8);

--- a cast in a join condition
SELECT 1 FROM clinic.rooms r JOIN clinic.patients p ON p.tax_no::int = r.id;

--- a cast in HAVING
SELECT 1 FROM clinic.patients HAVING max(email)::int > 0;

--- a cast in a window
SELECT sum(tax_no::int) OVER () FROM clinic.patients;

--- a cast in FILTER
SELECT count(*) FILTER (WHERE tax_no::int > 0) FROM clinic.patients;

--- a cast under EXISTS
SELECT EXISTS (SELECT FROM clinic.patients WHERE email::int = 1);

--- a cast under COALESCE that only runs for some
SELECT coalesce(CASE WHEN tax_no < '5' THEN NULL ELSE 'x' END, (1 / (id - 1))::text) FROM clinic.patients WHERE id = 1;

--- a lossy conversion by bit string
SELECT ('1' || substr(tax_no, 1, 3))::bit(4) FROM clinic.patients;

--- a character that has no equivalent
SELECT chr(wage * 1000) FROM staff.people;

--- jsonb_path_query error with the value [17]
SELECT jsonb_path_query(cover, 'strict $.bank.double()') FROM clinic.patients;

--- JSON_VALUE error on error [17]
SELECT json_value(cover, '$.bank' RETURNING int ERROR ON ERROR) FROM clinic.patients;

--- strict jsonpath structure error
SELECT jsonb_path_query(cover, 'strict $.level ? (@ > 18).x') FROM clinic.patients;

--- XPath of a broken document
SELECT xpath('/a', ('<a>' || tax_no || '</b>')::xml) FROM clinic.patients;

--- text search query syntax
SELECT to_tsquery('simple', email || ' &') FROM clinic.patients;

--- argument that divides
SELECT 1 / (wage - $1) FROM staff.people;
-- $ ["4100"]

--- PREPARE with an error in it
PREPARE q(int) AS SELECT 1 / (wage - $1) FROM staff.people WHERE id = 4;
EXECUTE q(2700);

--- INSERT of a failing expression
INSERT INTO clinic.rooms (id, floor) SELECT id + 100, tax_no::int FROM clinic.patients;

--- not-null violation shows the whole row
INSERT INTO clinic.visits (id, patient_id, ward, at, findings) SELECT 240900, 1, NULL, now(), max(tax_no) FROM clinic.patients;

--- unique violation shows the key
INSERT INTO clinic.rooms (id, label) SELECT wage / 1000, 'x' FROM staff.people WHERE id = 1;

--- statement timeout makes time an error
SET LOCAL statement_timeout = 60;
SELECT count(*) FROM generate_series(1, CASE WHEN (SELECT wage FROM staff.people WHERE id = 1) > 5000 THEN 30000000 ELSE 1 END);
