-- Row filters and the order of evaluation: threat model 4.4, and physical traces: 4.5.

--- hidden rows, plainly
SELECT * FROM clinic.visits WHERE ward NOT IN ('A', 'B', 'C', 'D', 'E', 'F', 'G', 'H');

--- count of all
SELECT count(*) FROM clinic.visits;

--- division in WHERE on hidden rows
SELECT count(*) FROM clinic.visits WHERE ward IN ('A','B','C','D','E','F','G','H') AND 1 / (cost - 990) < 2;

--- division alone
SELECT count(*) FROM clinic.visits WHERE 1 / (cost - 990) < 2;

--- through a subquery
SELECT count(*) FROM (SELECT * FROM clinic.visits WHERE ward IN ('A','B','C','D','E','F','G','H')) v WHERE 1 / (cost - 990) < 2;

--- through a CTE
WITH v AS (SELECT * FROM clinic.visits WHERE ward IN ('A','B','C','D','E','F','G','H')) SELECT count(*) FROM v WHERE 1 / (cost - 990) < 2;

--- through a barrier view
SELECT count(*) FROM clinic.v_barrier WHERE 1 / (cost - 990) < 2;

--- in a join condition
SELECT count(*) FROM clinic.rooms r JOIN clinic.visits v ON 1 / (v.cost - 990) < r.id;

--- in an outer join's condition
SELECT count(*) FROM clinic.rooms r LEFT JOIN clinic.visits v ON 1 / (v.cost - 990) < r.id;

--- in a semi-join
SELECT id FROM clinic.rooms r WHERE r.id IN (SELECT 1 / (v.cost - 990) FROM clinic.visits v);

--- a cast that fails on hidden text
SELECT count(*) FROM clinic.visits WHERE split_part(findings, '-', 2)::int > 0 OR findings LIKE 'f%';

--- an aggregate over hidden rows
SELECT sum(cost), max(cost), min(findings) FROM clinic.visits;

--- a text search over hidden findings
SELECT count(*) FROM clinic.visits WHERE findings LIKE 'hush%';

--- one partition
SELECT cost, findings FROM clinic.visits_25;

--- the other partition under ONLY
SELECT count(*) FROM ONLY clinic.visits_24;

--- partitions joined
SELECT count(*) FROM clinic.visits_24 a JOIN clinic.visits_25 b ON a.ward = b.ward;

--- union of partitions
SELECT ward FROM clinic.visits_24 UNION SELECT ward FROM clinic.visits_25;

--- a view that aggregates
SELECT * FROM clinic.v_wards;

--- a view over a view with a right join
SELECT count(*) FROM clinic.v_deep;

--- count per patient
SELECT p.id, (SELECT count(*) FROM clinic.visits v WHERE v.patient_id = p.id) FROM clinic.patients p;

--- EXISTS per patient
SELECT p.id FROM clinic.patients p WHERE EXISTS (SELECT FROM clinic.visits v WHERE v.patient_id = p.id AND v.cost > 1900);

--- anti-join on a hidden row
SELECT g FROM generate_series(240050, 240060) g WHERE NOT EXISTS (SELECT FROM clinic.visits v WHERE v.id = g);

--- window over hidden rows
SELECT id, row_number() OVER (ORDER BY cost) FROM clinic.visits WHERE id < 250000;

--- gaps by lag
SELECT id - lag(id) OVER (ORDER BY id) FROM clinic.visits;

--- EXCEPT with a table of guesses
SELECT g FROM generate_series(240050, 240080) g EXCEPT SELECT id FROM clinic.visits;

--- place of a visible row
SELECT ctid, id FROM clinic.visits_24 WHERE ward = 'A';

--- rows at a place
SELECT count(*) FROM clinic.visits_24 WHERE ctid = '(0,3)' AND ward < 'M';

--- place range
SELECT count(*) FROM clinic.visits_24 WHERE ctid < '(0,9)' AND ward < 'M';

--- place through the whole row's table
SELECT v.ctid FROM clinic.visits v WHERE id = 240002;

--- transaction of the row
SELECT max(id) - min(id) FROM clinic.visits WHERE xmin IS NOT NULL AND ward > 'X';

--- command counter in a returning clause
UPDATE clinic.visits SET findings = findings WHERE id = 240002 RETURNING ctid;

--- currtid2
SELECT currtid2('clinic.visits_24', '(0,2)') = '(0,2)', (SELECT count(*) FROM clinic.visits);

--- FOR UPDATE with NOWAIT on hidden rows
SELECT id FROM clinic.visits WHERE cost > 1900 FOR NO KEY UPDATE NOWAIT;

--- FETCH WITH TIES on hidden rows
SELECT ward FROM clinic.visits ORDER BY ward DESC FETCH FIRST 1 ROW WITH TIES;

--- a cursor over hidden rows
BEGIN;
DECLARE c CURSOR FOR SELECT cost FROM clinic.visits ORDER BY id;
MOVE FORWARD ALL IN c;

--- COPY of the filtered table by its partition
COPY clinic.visits_24 TO STDOUT;

--- COPY of the parent with a query
COPY (SELECT * FROM clinic.visits) TO STDOUT;

--- UPDATE whose predicate fails on hidden rows
UPDATE clinic.visits SET findings = 'seen' WHERE ward IN ('A','B','C','D','E','F','G','H') AND 1 / (cost - 990) < 2;

--- UPDATE counts hidden rows in its tag
UPDATE clinic.visits SET findings = 'seen' WHERE cost > 1000;

--- UPDATE of a partition counts hidden rows
UPDATE clinic.visits_24 SET findings = 'seen';

--- UPDATE whose new value fails on hidden rows
UPDATE clinic.visits SET cost = 1 / (cost - 990);

--- DELETE counts hidden rows
DELETE FROM clinic.visits WHERE cost > 1900;

--- DELETE under ONLY of a partition
DELETE FROM ONLY clinic.visits_25 WHERE ward = 'Z';

--- DELETE USING a filtered table
DELETE FROM clinic.bills b USING clinic.visits v WHERE v.cost = 990 AND b.id = 4;

--- MERGE into the filtered table
MERGE INTO clinic.visits v USING (VALUES (1)) s(x) ON v.cost > 1900 WHEN MATCHED THEN UPDATE SET findings = 'm';

--- MERGE whose WHEN condition fails on hidden rows
MERGE INTO clinic.visits v USING (VALUES (1)) s(x) ON true WHEN MATCHED AND 1 / (v.cost - 990) > 5 THEN DELETE WHEN MATCHED THEN DO NOTHING;

--- MERGE NOT MATCHED BY SOURCE [17]
MERGE INTO clinic.visits v USING clinic.rooms r ON v.id = r.id WHEN NOT MATCHED BY SOURCE THEN UPDATE SET cost = 1;

--- MERGE from the filtered table as a source [17]
MERGE INTO clinic.rooms r USING (SELECT count(*)::int AS n FROM clinic.visits) s ON r.id = 1 WHEN MATCHED THEN UPDATE SET floor = s.n RETURNING r.floor;

--- an INSERT that copies hidden rows to an open table
INSERT INTO clinic.rooms (id, label) SELECT id, findings FROM clinic.visits WHERE ward > 'M' RETURNING label;

--- INSERT with a key that a hidden row has: a conflict
INSERT INTO clinic.visits (id, patient_id, ward, at) VALUES (240050, 1, 'A', '2024-01-01') ON CONFLICT DO NOTHING;

--- INSERT with a key that a hidden row has: an error
INSERT INTO clinic.visits (id, patient_id, ward, at) VALUES (240050, 1, 'A', '2024-01-01');

--- UPSERT overwrites a hidden row
INSERT INTO clinic.visits (id, patient_id, ward, at) VALUES (240050, 1, 'A', '2024-01-01') ON CONFLICT (id) DO UPDATE SET findings = 'taken' RETURNING cost;

--- a foreign key tells of a hidden row
INSERT INTO clinic.bills (id, visit_id) VALUES (88, 240050);

--- a foreign key in an UPDATE
UPDATE clinic.bills SET visit_id = 240050 WHERE id = 4;

--- a foreign key by ON DELETE of the referenced row
DELETE FROM clinic.visits WHERE patient_id = 4 AND ward < 'M';
DELETE FROM clinic.patients WHERE id = 4;

--- a foreign key by the DELETE of a MERGE
DELETE FROM clinic.visits WHERE patient_id = 4 AND ward < 'M';
MERGE INTO clinic.patients p USING (VALUES (4)) AS s(id) ON p.id = s.id WHEN MATCHED THEN DELETE;

--- a foreign key by a new key in ON CONFLICT DO UPDATE
DELETE FROM clinic.visits WHERE patient_id = 4 AND ward < 'M';
INSERT INTO clinic.patients (id, chart, name) VALUES (4, 'c', 'n') ON CONFLICT (id) DO UPDATE SET id = 4004;

--- a foreign key by a new key in a MERGE
DELETE FROM clinic.visits WHERE patient_id = 4 AND ward < 'M';
MERGE INTO clinic.patients p USING (VALUES (4)) AS s(id) ON p.id = s.id WHEN MATCHED THEN UPDATE SET id = 4004;

--- TRUNCATE reaches hidden rows [acts]
TRUNCATE clinic.visits CASCADE;

--- TRUNCATE of a partition [acts]
TRUNCATE ONLY clinic.visits_24 CASCADE;

--- moves a visible row behind the filter [acts]
UPDATE clinic.visits SET ward = 'Z' WHERE id = 240000;

--- writes a row behind the filter [acts]
INSERT INTO clinic.visits (id, patient_id, ward, at) VALUES (240999, 1, 'Z', '2024-01-01');

--- brings a hidden row into view [acts]
UPDATE clinic.visits SET ward = 'A' WHERE ward = 'X' RETURNING findings;

--- sequence of the filtered table
SELECT last_value FROM clinic.visits_id_seq;

--- nextval of the filtered table's sequence [own]
SELECT nextval('clinic.visits_id_seq');

--- currval after a default [own]
INSERT INTO clinic.visits (patient_id, ward, at) VALUES (1, 'A', '2024-01-01');
SELECT currval('clinic.visits_id_seq');

--- setval of the filtered table's sequence [acts own]
SELECT setval('clinic.visits_id_seq', 1);

--- sequence state by pg_sequences
SELECT last_value FROM pg_sequences WHERE sequencename = 'visits_id_seq';

--- sequence state by its function
SELECT pg_sequence_last_value('clinic.visits_id_seq');

--- a lateral predicate
SELECT count(*) FROM clinic.visits, LATERAL (SELECT 1 WHERE 1 / (cost - 990) < 2) x;
