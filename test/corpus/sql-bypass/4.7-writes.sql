-- Writes: threat model 4.7. `acts` rows write what the policy forbids.

--- laundering by UPDATE
UPDATE clinic.patients SET chart = tax_no WHERE id = 4;
SELECT chart FROM clinic.patients WHERE id = 4;

--- laundering by UPDATE of an open table from a masked one
UPDATE clinic.rooms r SET label = p.tax_no FROM clinic.patients p WHERE p.id = r.id;
SELECT label FROM clinic.rooms ORDER BY id;

--- laundering by a row assignment
UPDATE clinic.rooms r SET (label, floor) = (SELECT email, 1 FROM clinic.patients p WHERE p.id = r.id);
SELECT label FROM clinic.rooms ORDER BY id;

--- laundering by MERGE
MERGE INTO clinic.rooms r USING staff.people s ON r.id = s.id WHEN MATCHED THEN UPDATE SET label = s.wage::text;
SELECT label FROM clinic.rooms ORDER BY id;

--- laundering by MERGE INSERT
MERGE INTO clinic.rooms r USING clinic.patients s ON r.id = s.id WHEN NOT MATCHED THEN INSERT (id, label) VALUES (s.id, s.email);
SELECT label FROM clinic.rooms ORDER BY id;

--- laundering by INSERT SELECT
INSERT INTO clinic.rooms (id, label) SELECT id + 100, tax_no FROM clinic.patients;
SELECT label FROM clinic.rooms ORDER BY id;

--- laundering by INSERT of a scalar subquery
INSERT INTO clinic.rooms (id, label) VALUES (99, (SELECT string_agg(email, ',') FROM clinic.patients));
SELECT label FROM clinic.rooms WHERE id = 99;

--- laundering by ON CONFLICT DO UPDATE
INSERT INTO clinic.rooms (id, label) VALUES (1, 'x') ON CONFLICT (id) DO UPDATE SET label = (SELECT max(tax_no) FROM clinic.patients);
SELECT label FROM clinic.rooms WHERE id = 1;

--- laundering into an array element
UPDATE clinic.rooms SET tags[1] = (SELECT max(email) FROM clinic.patients) WHERE id = 1;
SELECT tags FROM clinic.rooms WHERE id = 1;

--- laundering into a composite's field
UPDATE clinic.rooms SET size.a = (SELECT max(tax_no) FROM clinic.patients) WHERE id = 1;
SELECT size FROM clinic.rooms WHERE id = 1;

--- laundering into a document's key
UPDATE clinic.rooms SET info['w'] = to_jsonb((SELECT max(wage) FROM staff.people)) WHERE id = 1;
SELECT info FROM clinic.rooms WHERE id = 1;

--- laundering by a data-modifying CTE
WITH w AS (UPDATE clinic.rooms SET label = (SELECT max(tax_no) FROM clinic.patients) WHERE id = 1 RETURNING label) SELECT * FROM w;

--- count in the tag of a DELETE
DELETE FROM clinic.rooms WHERE EXISTS (SELECT FROM staff.people s WHERE s.id = rooms.id AND s.wage > 5500);

--- count in the tag of an UPDATE by a masked column
UPDATE staff.people SET bank = bank WHERE wage > 5500;

--- count in the tag of an UPDATE of the masked table's child
UPDATE staff.temps SET bank = bank WHERE wage > 3000;

--- predicate in an UPDATE FROM
UPDATE clinic.rooms r SET floor = floor FROM staff.people s WHERE s.id = r.id AND s.wage > 5500;

--- predicate in DELETE USING
DELETE FROM clinic.rooms r USING staff.people s WHERE s.id = r.id AND s.wage > 5500;

--- a MERGE condition
MERGE INTO clinic.rooms r USING staff.people s ON r.id = s.id AND s.wage > 5500 WHEN MATCHED THEN UPDATE SET floor = 1;

--- a MERGE WHEN condition
MERGE INTO clinic.rooms r USING staff.people s ON r.id = s.id WHEN MATCHED AND s.wage > 5500 THEN DELETE WHEN MATCHED THEN DO NOTHING;

--- ON CONFLICT WHERE
INSERT INTO clinic.rooms (id, label) SELECT id, 'x' FROM clinic.rooms ON CONFLICT (id) DO UPDATE SET label = 'y' WHERE (SELECT wage FROM staff.people p WHERE p.id = excluded.id) > 5500;

--- RETURNING of the written table
UPDATE clinic.patients SET chart = 'x' WHERE id = 1 RETURNING tax_no;

--- RETURNING star
UPDATE clinic.patients SET chart = 'x' WHERE id = 1 RETURNING *;

--- RETURNING the whole row
UPDATE clinic.patients p SET chart = 'x' WHERE id = 1 RETURNING p;

--- RETURNING an expression over the row
DELETE FROM staff.people p WHERE id = 2 RETURNING to_jsonb(p) ->> 'wage';

--- RETURNING a subquery over another table
INSERT INTO clinic.visits (id, patient_id, ward, at) VALUES (250777, 3, 'A', '2025-02-02') RETURNING (SELECT max(email) FROM clinic.patients);

--- RETURNING old and new [18]
UPDATE clinic.patients SET chart = 'x' WHERE id = 1 RETURNING old.email, new.tax_no;

--- RETURNING WITH renamed old [18]
UPDATE staff.people SET bank = 'x' WHERE id = 1 RETURNING WITH (OLD AS was, NEW AS now) was.wage;

--- RETURNING of an INSERT with excluded values
INSERT INTO staff.people VALUES (1, 'x', 1, 'x') ON CONFLICT (id) DO UPDATE SET bank = 'y' RETURNING wage;

--- ON CONFLICT copies the old value to an open column
INSERT INTO staff.people VALUES (1, 'x', 1, 'x') ON CONFLICT (id) DO UPDATE SET bank = people.wage::text RETURNING bank;

--- ON CONFLICT with a predicate over the old value
INSERT INTO staff.people (id, name) VALUES (1, 'x') ON CONFLICT (id) DO UPDATE SET bank = 'y' WHERE people.wage > 5000;

--- MERGE RETURNING [17]
MERGE INTO clinic.patients p USING (VALUES (1)) s(i) ON p.id = s.i WHEN MATCHED THEN UPDATE SET chart = 'x' RETURNING merge_action(), p.*;

--- DELETE RETURNING through a view
DELETE FROM clinic.v_invoker WHERE id = 9 AND false RETURNING shoe;
UPDATE clinic.v_roster SET label = 'x' WHERE id = 2 RETURNING reach;

--- UPDATE through a view with a predicate
UPDATE clinic.v_roster SET label = label WHERE reach LIKE '_n%';

--- a data-modifying CTE's RETURNING of the masked table
WITH u AS (UPDATE clinic.patients SET chart = chart RETURNING *) SELECT tax_no FROM u;

--- a CTE's RETURNING under an alias list
WITH u(a, b) AS (UPDATE clinic.patients SET chart = chart RETURNING id, email) SELECT b FROM u;

--- COPY of a writing query's RETURNING
COPY (DELETE FROM clinic.rooms RETURNING (SELECT max(wage) FROM staff.people)) TO STDOUT;

--- a violation's DETAIL shows the row
UPDATE clinic.patients SET name = NULL WHERE id = 5;

--- a unique violation tells of a masked value
INSERT INTO clinic.patients (id, chart, name, tax_no) SELECT 77, 'c', 'n', '4' || substr(max(tax_no), 2) FROM clinic.patients WHERE id = 1;

--- ON CONFLICT DO NOTHING tells: zero or one
INSERT INTO clinic.patients (id, chart, name, email) SELECT 77, 'c', 'n', 'an' || substr(email, 3) FROM clinic.patients WHERE id = 1 ON CONFLICT DO NOTHING;

--- a unique violation in an UPDATE
UPDATE clinic.patients SET email = (SELECT 'an' || substr(email, 3) FROM clinic.patients WHERE id = 1) WHERE id = 2;

--- writes the masked column over itself [acts]
UPDATE clinic.patients SET email = lower(email);

--- writes a masked column by a constant [acts]
UPDATE staff.people SET wage = 1;

--- writes a masked column by DEFAULT [acts]
UPDATE staff.people SET wage = DEFAULT WHERE id = 1;

--- writes a masked column by a row assignment [acts]
UPDATE clinic.patients SET (chart, born) = ('x', '2000-01-01') WHERE id = 1;

--- writes a masked column's key [acts]
UPDATE clinic.patients SET cover['plan'] = '"gold"' WHERE id = 1;

--- writes a masked column of the child [acts]
UPDATE staff.temps SET wage = 0;

--- writes a masked column by MERGE [acts]
MERGE INTO staff.people p USING (VALUES (1)) s(i) ON p.id = s.i WHEN MATCHED THEN UPDATE SET wage = 5;

--- writes a masked column by ON CONFLICT [acts]
INSERT INTO staff.people VALUES (1, 'x', 1, 'x') ON CONFLICT (id) DO UPDATE SET wage = excluded.wage;

--- writes a masked column through a view [acts]
UPDATE clinic.v_roster SET reach = 'x@y' WHERE id = 1;

--- writes a masked column back from a masked read [acts]
UPDATE clinic.patients p SET born = q.born FROM clinic.patients q WHERE q.id = 2 AND p.id = 11;

--- writes to a denied relation [acts]
UPDATE vault.tokens SET secret = 'x';

--- writes to a denied relation in a CTE [acts]
WITH x AS (DELETE FROM vault.tokens RETURNING 1) SELECT 1;

--- writes to a denied relation through a view [acts]
UPDATE clinic.v_vault SET id = id + 10;

--- writes to a catalog [acts]
UPDATE pg_catalog.pg_class SET reltuples = 0 WHERE relname = 'rooms';

--- writes to the audit relation's trigger source under a writable CTE
WITH n AS (INSERT INTO clinic.wards VALUES ('R', 'Rose') RETURNING code) SELECT n.code, (SELECT max(tax_no) FROM clinic.patients) FROM n;

--- COPY FROM into a masked column [acts]
COPY staff.people (id, name, wage) FROM STDIN;
-- < 70	x	5

--- COPY FROM into a denied relation [acts]
COPY vault.tokens FROM STDIN;
-- < 70	x

--- COPY FROM with a WHERE that reads [acts]
COPY clinic.rooms (id, label) FROM STDIN WHERE id > 5 AND label LIKE 'x%';
-- < 70	x

--- WHERE CURRENT OF a cursor over hidden rows [acts]
BEGIN;
DECLARE c CURSOR FOR SELECT * FROM clinic.visits WHERE ward > 'W' FOR UPDATE;
MOVE NEXT FROM c;
UPDATE clinic.visits SET findings = 'mine' WHERE CURRENT OF c;

--- DELETE WHERE CURRENT OF
BEGIN;
DECLARE c CURSOR FOR SELECT * FROM clinic.patients ORDER BY tax_no FOR UPDATE;
MOVE NEXT FROM c;
UPDATE clinic.patients SET chart = 'mine' WHERE CURRENT OF c RETURNING id;

--- INSERT OVERRIDING into a generated place
INSERT INTO clinic.visits (id, patient_id, ward, at) OVERRIDING USER VALUE SELECT 240800, id, 'A', born FROM clinic.patients WHERE id = 1 RETURNING at;

--- INSERT of the whole row into another table by JSON
INSERT INTO clinic.rooms (id, info) SELECT 60, jsonb_agg(p) FROM clinic.patients p RETURNING info;

--- a subquery in DEFAULT-like VALUES row
INSERT INTO clinic.rooms (id, label) VALUES (70, DEFAULT), (71, (SELECT max(tax_no) FROM clinic.patients)) RETURNING label;

--- UPDATE joins itself
UPDATE clinic.patients a SET chart = b.tax_no FROM clinic.patients b WHERE a.id = b.id AND a.id = 1 RETURNING a.chart;

--- DELETE with a subquery over the same table
DELETE FROM clinic.bills WHERE id IN (SELECT id FROM staff.people WHERE wage > 5500);

--- DELETE whose subselect fails
DELETE FROM clinic.bills WHERE id = (SELECT 1 / (wage - 4100) FROM staff.people WHERE id = 1);

--- INSERT ... SELECT FOR UPDATE of hidden rows
INSERT INTO clinic.rooms (id) SELECT id FROM clinic.visits WHERE ward > 'W' FOR UPDATE;

--- a serial key shows how far a sequence has run [own]
-- accepted: a count of rows and nothing of what is in them; docs/decisions/sequence-keys.md
INSERT INTO clinic.visits (patient_id, ward, at) VALUES (1, 'A', '2024-01-01') RETURNING id;

--- writes a masked column in DO UPDATE alone [acts]
INSERT INTO staff.people (id, name) VALUES (1, 'x') ON CONFLICT (id) DO UPDATE SET wage = 3;

--- puts a mask in place of the value, in DO UPDATE [acts]
INSERT INTO staff.people (id, name) VALUES (1, 'x') ON CONFLICT (id) DO UPDATE SET bank = people.bank, wage = people.wage;

--- a masked column in a row of assignments of DO UPDATE [acts]
INSERT INTO staff.people AS w (id, name) VALUES (1, 'x') ON CONFLICT (id) DO UPDATE SET (bank, wage) = (SELECT 'b', 3) WHERE w.id = 1;
