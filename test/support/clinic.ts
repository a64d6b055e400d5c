// The threat model's clinic: one schema, twin contents A and B that agree on all that the policy shows.
import { createHash } from "node:crypto";
import type { Obligations, RuleId } from "../../engine/model/decision.ts";
import type { Mask } from "../../engine/model/mask.ts";
import type { RowPredicate } from "../../engine/model/row-predicate.ts";

/** A and B differ in masked values and hidden rows only. */
export type Twin = "A" | "B";

/** Rows that the policy shows live in these wards. */
export const visibleWards = ["A", "B", "C", "D", "E", "F", "G", "H"] as const;

const rule = (name: string): [RuleId] => [`clinic.${name}` as RuleId];
const masked = (columns: Readonly<Record<string, Mask>>) =>
  new Map(Object.entries(columns).map(([column, mask]) => [column, { mask, rules: rule(`mask-${column}`) }]));

const wardFilter: RowPredicate = {
  kind: "in",
  column: "ward",
  values: visibleWards.map((value) => ({ type: "string", value })),
};

/** What the policy demands of every statement. Children, views and generated columns inherit it: that is the engine's part. */
export const clinicObligations: Obligations = {
  masks: new Map([
    [
      "clinic.patients",
      masked({
        tax_no: { kind: "constant", value: "***" },
        email: { kind: "partial", first: 1, last: 0, keepDomain: true, fill: "*" },
        born: { kind: "bucket", size: undefined, unit: "year" },
        cover: { kind: "redact" },
      }),
    ],
    ["staff.people", masked({ wage: { kind: "nullify" } })],
  ]),
  filters: new Map([["clinic.visits", { predicate: wardFilter, rules: rule("filter-visits") }]]),
  limits: [],
};

/** Relations that no statement may touch, by schema. */
export const deniedSchemas: ReadonlySet<string> = new Set(["vault"]);
/** And by key: what triggers write down is as secret as what they read. */
export const deniedRelations: ReadonlySet<string> = new Set(["clinic.audit"]);

const token = (twin: Twin, what: string, length: number): string =>
  createHash("sha256").update(`${twin}:${what}`).digest("hex").slice(0, length);
const digits = (twin: Twin, what: string, length: number): string =>
  BigInt(`0x${token(twin, what, 24)}`)
    .toString()
    .padStart(length, "7")
    .slice(0, length);

const names = [
  "Ana Ruiz",
  "Bo Lind",
  "Cem Aydin",
  "Dina Roth",
  "Eli Novak",
  "Fay Moreau",
  "Gus Haile",
  "Hana Sato",
  "Ivo Petek",
  "Jun O'Hara",
  "Kai Berg",
  "Lea Blum",
] as const;
const domains = ["example.org", "mail.test", "clinic.example"] as const;
const years = [1951, 1988, 1975, 2001, 1988, 1963, 1999, 1975, 2010, 1944, 1988, 1999] as const;

type Patient = {
  readonly id: number;
  readonly chart: string;
  readonly name: string;
  readonly email: string | null;
  readonly taxNo: string | null;
  readonly born: string | null;
  readonly cover: string | null;
};

function patient(twin: Twin, index: number): Patient {
  const id = index + 1;
  const name = names[index] ?? "";
  const second = (index % 2 === 0) === (twin === "A") ? "n" : "v";
  const lead = (index % 3 === 0) === (twin === "A") ? "4" : "8";
  const local = `${(name[0] ?? "x").toLowerCase()}${second}${token(twin, `email${id}`, 10)}`;
  const month = String(twin === "A" ? 1 + (id % 6) : 7 + (id % 6)).padStart(2, "0");
  const day = String(twin === "A" ? 2 + id : 15 + id).padStart(2, "0");
  return {
    id,
    chart: `C-${100 + id * 7}`,
    name,
    // NULL stays NULL under these masks: the twins agree on where.
    email: id === 9 ? null : `${local}@${domains[index % 3] ?? ""}`,
    taxNo: id === 11 ? null : `${lead}${digits(twin, `tax${id}`, 10)}`,
    born: id === 12 ? null : `${years[index]}-${month}-${day}`,
    cover:
      id === 10
        ? null
        : JSON.stringify({
            plan: "basic",
            policy_no: `P${token(twin, `policy${id}`, 9)}`,
            bank: token(twin, `bank${id}`, 12),
            level: twin === "A" ? id : 20 - id,
          }),
  };
}

type Person = { readonly id: number; readonly name: string; readonly wage: number | null; readonly bank: string };

function person(twin: Twin, id: number): Person {
  const wages =
    twin === "A" ? [4100, 3250, 5900, 7300, null, 6100, 2900, 3100] : [5200, 8100, null, 2700, 4400, 3300, 9100, 4100];
  const people = ["Ada Falk", "Ben Okoro", "Cleo Marsh", "Dov Stein", "Eve Lang", "Finn Waal", "Gita Rao", "Hugo Paz"];
  return { id, name: people[id - 1] ?? "", wage: wages[id - 1] ?? null, bank: `Bank ${id % 3}` };
}

type Visit = {
  readonly id: number;
  readonly patient: number;
  readonly ward: string;
  readonly cost: number;
  readonly findings: string;
  readonly at: string;
};

/** Visible visits are the same in both; hidden ones differ in number, place and content. */
function visits(twin: Twin): readonly Visit[] {
  const all: Visit[] = [];
  for (const [base, year, count] of [
    [240_000, 2024, 12],
    [250_000, 2025, 10],
  ] as const) {
    for (let i = 0; i < count; i += 1) {
      if (isHiddenBefore(twin, i)) all.push(hiddenVisit(twin, base + 50 + i + (twin === "A" ? 0 : 20), year, i));
      all.push({
        id: base + i * 2,
        patient: 1 + ((i * 5 + year) % 12),
        ward: visibleWards[(i * 3 + year) % 8] ?? "A",
        cost: 100 + ((i * 37 + year) % 90) * 10,
        findings: ["fine", "fracture", "fever", "follow-up"][i % 4] ?? "fine",
        at: `${year}-${String(1 + (i % 12)).padStart(2, "0")}-${String(3 + i).padStart(2, "0")}`,
      });
    }
  }
  return all;
}

const isHiddenBefore = (twin: Twin, i: number): boolean => (twin === "A" ? i % 3 === 0 : i % 2 === 0 || i % 3 === 1);

const hiddenVisit = (twin: Twin, id: number, year: number, i: number): Visit => ({
  id,
  patient: 1 + (i % 12),
  ward: ["X", "Y", "Z"][i % 3] ?? "X",
  cost: twin === "A" ? (i === 0 ? 990 : 2_000 + i * 13) : 3_000 + i * 17,
  findings: `hush-${token(twin, `findings${id}`, 10)}`,
  at: `${year}-06-${String(10 + i).padStart(2, "0")}`,
});

const quoted = (value: string | number | null): string =>
  value === null ? "NULL" : typeof value === "number" ? String(value) : `'${value.replaceAll("'", "''")}'`;
const rows = (values: readonly (readonly (string | number | null)[])[]): string =>
  values.map((row) => `(${row.map(quoted).join(", ")})`).join(",\n  ");

/** Vault content and a large object, different in each twin. */
const vaultSecret = (twin: Twin, id: number): string => `vault-${token(twin, `vault${id}`, 14)}`;

/** Every string that no answer may hold, in any twin: each unique to one value. */
export function secretsOf(twin: Twin): readonly string[] {
  const secrets: string[] = [];
  for (let i = 0; i < names.length; i += 1) {
    const p = patient(twin, i);
    if (p.email !== null) secrets.push(p.email.slice(2, 12), createHash("md5").update(p.email).digest("hex"));
    if (p.taxNo !== null) secrets.push(p.taxNo);
    if (p.cover !== null) secrets.push(token(twin, `policy${p.id}`, 9), token(twin, `bank${p.id}`, 12));
  }
  for (const v of visits(twin)) if (v.findings.startsWith("hush-")) secrets.push(v.findings.slice(5));
  for (const id of [1, 2, 3]) secrets.push(vaultSecret(twin, id).slice(6));
  return secrets;
}

/** `secret` in the encodings that a client could ask the server for. */
export function disguisesOf(secret: string): readonly string[] {
  const bytes = Buffer.from(secret);
  return [
    secret,
    secret.toUpperCase(),
    [...secret].reverse().join(""),
    bytes.toString("hex"),
    bytes.toString("base64").slice(0, 12),
  ];
}

/** Schema without data: every world is a copy of one such database, so that even OIDs are equal. */
export const clinicSchema = `
CREATE SCHEMA clinic; CREATE SCHEMA staff; CREATE SCHEMA vault;
CREATE TYPE clinic.mood AS ENUM ('calm', 'busy', 'wild');
CREATE TYPE clinic.pair AS (a text, b int);
CREATE DOMAIN clinic.pct AS int CHECK (VALUE BETWEEN 0 AND 100);
CREATE TABLE clinic.patients (
  id int PRIMARY KEY, chart text NOT NULL, name text NOT NULL,
  email text UNIQUE, tax_no varchar(20) UNIQUE, born date, cover jsonb,
  email_key text GENERATED ALWAYS AS (md5(email)) STORED
) WITH (autovacuum_enabled = false);
CREATE SEQUENCE clinic.visits_id_seq START 250100;
CREATE TABLE clinic.visits (
  id int PRIMARY KEY DEFAULT nextval('clinic.visits_id_seq'), patient_id int NOT NULL REFERENCES clinic.patients,
  ward text NOT NULL, cost int NOT NULL DEFAULT 0, findings text, at date NOT NULL
) PARTITION BY RANGE (id);
CREATE TABLE clinic.visits_24 PARTITION OF clinic.visits FOR VALUES FROM (240000) TO (250000) WITH (autovacuum_enabled = false);
CREATE TABLE clinic.visits_25 PARTITION OF clinic.visits FOR VALUES FROM (250000) TO (260000) WITH (autovacuum_enabled = false);
CREATE TABLE clinic.rooms (
  id int PRIMARY KEY, label text, floor int, mood clinic.mood, tags text[], info jsonb, opened date,
  rate numeric(8,2), seen timestamptz, load clinic.pct, size clinic.pair
) WITH (autovacuum_enabled = false);
CREATE TABLE clinic.bills (id int PRIMARY KEY, visit_id int REFERENCES clinic.visits, amount numeric(10,2))
  WITH (autovacuum_enabled = false);
CREATE TABLE clinic.heartbeat (n int);
CREATE TABLE clinic.wards (code text PRIMARY KEY, label text);
CREATE TABLE clinic.audit (at timestamptz, note text);
CREATE TABLE staff.people (id int PRIMARY KEY, name text NOT NULL, wage int, bank text) WITH (autovacuum_enabled = false);
CREATE TABLE staff.temps () INHERITS (staff.people) WITH (autovacuum_enabled = false);
CREATE INDEX people_wage_half ON staff.people ((wage / 2));
CREATE STATISTICS clinic.patients_mix (mcv) ON chart, tax_no FROM clinic.patients;
CREATE TABLE vault.tokens (id int PRIMARY KEY, secret text);
CREATE VIEW clinic.v_roster AS SELECT id, name AS label, email AS reach FROM clinic.patients;
CREATE VIEW clinic.v_deep AS SELECT r.label, v.ward, v.cost, r.reach FROM clinic.v_roster r RIGHT JOIN clinic.visits v ON v.patient_id = r.id;
CREATE VIEW clinic.v_invoker WITH (security_invoker = true) AS SELECT p.id, p.tax_no AS shoe FROM clinic.patients p;
CREATE VIEW clinic.v_barrier WITH (security_barrier = true) AS SELECT id, ward, cost FROM clinic.visits WHERE cost > 0;
CREATE VIEW clinic.v_wards AS SELECT ward, count(*) AS n, sum(cost) AS total FROM clinic.visits GROUP BY ward;
CREATE VIEW clinic.v_open AS SELECT id, label, floor FROM clinic.rooms WHERE floor < 9;
CREATE VIEW clinic.v_vault AS SELECT id, left(secret, 40) AS s FROM vault.tokens;
CREATE VIEW clinic.v_tree AS WITH RECURSIVE t(id, depth) AS (
    SELECT id, 0 FROM staff.people WHERE wage > 4000 UNION ALL SELECT t.id, depth + 1 FROM t WHERE depth < 2
  ) SELECT id, depth FROM t;
CREATE MATERIALIZED VIEW clinic.m_contacts AS SELECT id, name, email FROM clinic.patients WITH NO DATA;
CREATE MATERIALIZED VIEW clinic.m_costs AS SELECT ward, sum(cost) AS total FROM clinic.visits GROUP BY ward WITH NO DATA;
CREATE FUNCTION clinic.peek(int) RETURNS text LANGUAGE sql STABLE SECURITY DEFINER AS 'SELECT tax_no FROM clinic.patients WHERE id = $1';
CREATE FUNCTION clinic.shoe(clinic.patients) RETURNS text LANGUAGE sql STABLE AS 'SELECT ($1).tax_no';
CREATE FUNCTION clinic.earners(int) RETURNS SETOF staff.people LANGUAGE sql STABLE AS 'SELECT * FROM staff.people WHERE wage > $1';
CREATE FUNCTION clinic.tell(text) RETURNS bool LANGUAGE plpgsql AS $$ BEGIN RAISE NOTICE 'told %', $1; RETURN true; END $$;
CREATE FUNCTION clinic.same(text, text) RETURNS bool LANGUAGE plpgsql COST 0.0001 AS $$ BEGIN RAISE NOTICE 'saw % %', $1, $2; RETURN $1 = $2; END $$;
CREATE OPERATOR clinic.=== (LEFTARG = text, RIGHTARG = text, FUNCTION = clinic.same);
CREATE FUNCTION clinic.upper(text) RETURNS text LANGUAGE plpgsql AS $$ BEGIN RAISE NOTICE 'upper %', $1; RETURN pg_catalog.upper($1); END $$;
CREATE FUNCTION clinic.gather_step(text, text) RETURNS text LANGUAGE plpgsql AS $$ BEGIN RAISE NOTICE 'got %', $2; RETURN coalesce($1, '') || $2; END $$;
CREATE AGGREGATE clinic.gather(text) (SFUNC = clinic.gather_step, STYPE = text);
CREATE FUNCTION clinic.run(text) RETURNS text LANGUAGE plpgsql AS $$ DECLARE r text; BEGIN EXECUTE $1 INTO r; RETURN r; END $$;
CREATE PROCEDURE clinic.wipe() LANGUAGE sql AS 'DELETE FROM clinic.bills';
CREATE FUNCTION clinic.is_code(text) RETURNS bool LANGUAGE plpgsql AS $$ BEGIN RAISE NOTICE 'code %', $1; RETURN $1 <> 'no'; END $$;
CREATE DOMAIN clinic.code AS text CHECK (clinic.is_code(VALUE));
CREATE FUNCTION clinic.to_pair(int) RETURNS clinic.pair LANGUAGE sql STABLE AS 'SELECT max(tax_no)::text, $1 FROM clinic.patients';
CREATE CAST (int AS clinic.pair) WITH FUNCTION clinic.to_pair(int);
CREATE RULE heartbeat_answer AS ON INSERT TO clinic.heartbeat DO INSTEAD SELECT NEW.n, (SELECT max(tax_no) FROM clinic.patients) AS best;
CREATE FUNCTION clinic.note_ward() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  RAISE NOTICE 'best paid %', (SELECT max(wage) FROM staff.people);
  INSERT INTO clinic.audit SELECT now(), max(tax_no) FROM clinic.patients; RETURN NEW; END $$;
CREATE TRIGGER ward_note AFTER INSERT OR UPDATE ON clinic.wards FOR EACH ROW EXECUTE FUNCTION clinic.note_ward();
COMMENT ON TABLE clinic.rooms IS 'Where people lie';
COMMENT ON COLUMN clinic.rooms.rate IS 'per night';
`;

const openData = `
INSERT INTO clinic.rooms VALUES
  (1, 'Blue', 1, 'calm', '{north,quiet}', '{"beds": 2, "sun": true, "kit": ["tv", "desk"]}', '2019-02-01', 120.50, '2025-01-05 10:00+00', 40, '("a",1)'),
  (2, 'Red', 1, 'busy', '{south}', '{"beds": 4, "sun": false, "kit": []}', '2018-07-15', 99.90, '2025-02-05 11:30+00', 90, '("b",2)'),
  (3, 'Green', 2, 'wild', '{}', '{"beds": 1, "kit": ["tv"]}', '2021-11-30', 240.00, NULL, 0, NULL),
  (4, 'Sun', 2, 'calm', NULL, NULL, '2020-01-01', NULL, '2025-03-01 00:00+00', NULL, '("d",)'),
  (5, NULL, 3, 'busy', '{east,"big one"}', '{"beds": 3, "deep": {"a": [1, 2, {"b": null}]}}', NULL, 10.00, '2024-12-31 23:59:59+00', 100, '(,5)');
INSERT INTO clinic.wards VALUES ('A', 'Aster'), ('B', 'Birch'), ('C', 'Clover');
INSERT INTO clinic.bills VALUES (1, 240000, 12.50), (2, 240002, 900), (3, 250000, 33.30), (4, NULL, 1);
`;

/** The content of one twin. `analyzed` fills pg_statistic (and with it the planner's view of hidden rows). */
export function clinicData(twin: Twin, options: { readonly analyzed: boolean } = { analyzed: false }): string {
  const people = [1, 2, 3, 4, 5].map((id) => person(twin, id));
  const temps = [6, 7, 8].map((id) => person(twin, id));
  const personRow = (p: Person) => [p.id, p.name, p.wage, p.bank];
  return `
ALTER TABLE clinic.wards DISABLE TRIGGER ALL;
INSERT INTO clinic.patients (id, chart, name, email, tax_no, born, cover) VALUES
  ${rows(names.map((_, i) => patient(twin, i)).map((p) => [p.id, p.chart, p.name, p.email, p.taxNo, p.born, p.cover]))};
INSERT INTO clinic.visits (id, patient_id, ward, cost, findings, at) VALUES
  ${rows(visits(twin).map((v) => [v.id, v.patient, v.ward, v.cost, v.findings, v.at]))};
INSERT INTO staff.people VALUES ${rows(people.map(personRow))};
INSERT INTO staff.temps VALUES ${rows(temps.map(personRow))};
INSERT INTO vault.tokens VALUES ${rows([1, 2, 3].map((id) => [id, vaultSecret(twin, id)]))};
${openData}
ALTER TABLE clinic.wards ENABLE TRIGGER ALL;
SELECT lo_from_bytea(424242, '${vaultSecret(twin, 1)}');
SELECT setval('clinic.visits_id_seq', ${twin === "A" ? 250_140 : 250_177});
REFRESH MATERIALIZED VIEW clinic.m_contacts; REFRESH MATERIALIZED VIEW clinic.m_costs;
${options.analyzed ? "ANALYZE;" : ""}`;
}

/** Tables whose shown rows a masked copy M holds, with the spelling that reads exactly one physical table. */
export const maskedCopyTables: readonly { readonly table: string; readonly read: string }[] = [
  { table: "clinic.patients", read: "SELECT * FROM clinic.patients ORDER BY id" },
  { table: "clinic.visits_24", read: "SELECT * FROM clinic.visits_24 ORDER BY id" },
  { table: "clinic.visits_25", read: "SELECT * FROM clinic.visits_25 ORDER BY id" },
  { table: "staff.people", read: "SELECT * FROM ONLY staff.people ORDER BY id" },
  { table: "staff.temps", read: "SELECT * FROM staff.temps ORDER BY id" },
];

/** Turns an empty copy of the schema into one that can hold masked values; then the masked rows, then `maskedCopyAfter`. */
export const maskedCopyBefore = `
ALTER TABLE clinic.patients DROP CONSTRAINT patients_email_key, DROP CONSTRAINT patients_tax_no_key,
  ALTER COLUMN email_key DROP EXPRESSION;
ALTER TABLE clinic.wards DISABLE TRIGGER ALL;
`;
export const maskedCopyAfter = `${openData}
ALTER TABLE clinic.wards ENABLE TRIGGER ALL;
SELECT setval('clinic.visits_id_seq', 250140);
REFRESH MATERIALIZED VIEW clinic.m_contacts; REFRESH MATERIALIZED VIEW clinic.m_costs;`;
