// JSON snapshot <-> Catalog
//
// {
//   "gatewright": "catalog/1",
//   "database": "acme", "serverVersion": 180004,
//   "schemas": {
//     "public": {
//       "relations": {
//         "customers": {
//           "kind": "table", "tags": ["crm"],
//           "columns": [
//             { "name": "id", "type": "integer", "notNull": true },
//             { "name": "email", "type": "text", "tags": ["pii"] },
//             { "name": "mood", "type": "app.mood", "internal": { "name": "mood", "schema": "app", "category": "E" } }
//           ],
//           "constraints": [{ "name": "customers_pkey", "kind": "primary-key", "columns": ["id"] }]
//         }
//       },
//       "functions": [{ "name": "f", "kind": "function", "arguments": "integer", "securityDefiner": true, "allowed": true }],
//       "types": [{ "name": "mood", "category": "E" }],
//       "operators": [{ "symbol": "<->", "isNative": true }]
//     }
//   }
// }
//
// Whatever has its usual value is left out. `tags: null` says that tags are not known. OIDs and attribute numbers are
// left out on purpose: they change with every restore and would hide the changes that a reviewer should see.
import { createHash } from "node:crypto";
import type { Json } from "../lib/json.ts";
import { err, ok, type Result } from "../lib/result.ts";
import { type Fact, Unknown } from "../lib/truth.ts";
import {
  type Catalog,
  type CatalogFunction,
  type CatalogOperator,
  type CatalogType,
  type Column,
  type ColumnType,
  type Relation,
  type RelationConstraint,
  type RelationKind,
  relationKey,
} from "./catalog.ts";

/** Where in the file (`schemas.public.relations.orders.columns[2].type`) and what is wrong there. */
export type SnapshotFault = { readonly path: string; readonly message: string };

const format = "catalog/1";
const relationKinds: readonly RelationKind[] = [
  "table",
  "partitioned-table",
  "view",
  "materialized-view",
  "foreign-table",
  "sequence",
  "composite-type",
  "index",
];
const functionKinds = ["function", "procedure", "aggregate", "window"] as const;
const constraintKinds = ["primary-key", "unique", "foreign-key", "exclusion", "check"] as const;

/** Unknown keys are refused: a misspelt `tags` must not silently leave a column unprotected. */
export function decodeCatalogSnapshot(text: string): Result<Catalog, SnapshotFault> {
  let json: Json;
  try {
    json = JSON.parse(text);
  } catch (e) {
    return err({ path: "", message: `the snapshot is not JSON: ${e instanceof Error ? e.message : "unreadable"}` });
  }
  try {
    return ok(readCatalog(json, `sha256:${createHash("sha256").update(text).digest("hex")}`));
  } catch (e) {
    if (e instanceof Mismatch) return err({ path: e.path, message: e.message });
    throw e;
  }
}

/** Sorted and indented: equal catalogs give equal texts. */
export function encodeCatalogSnapshot(catalog: Catalog): string {
  const schemas: Record<string, Json> = {};
  for (const schema of [...catalog.schemas].sort()) {
    schemas[schema] = {
      relations: Object.fromEntries(
        [...catalog.relations.values()]
          .filter((r) => r.schema === schema)
          .sort((a, b) => (a.name < b.name ? -1 : 1))
          .map((r) => [r.name, writeRelation(r)]),
      ),
      ...writeList(
        "functions",
        [...catalog.functions.values()].flat().filter((f) => f.schema === schema),
        writeFunction,
      ),
      ...writeList(
        "types",
        [...catalog.types.values()].flat().filter((t) => t.schema === schema),
        writeType,
      ),
      ...writeList(
        "operators",
        [...(catalog.operators?.values() ?? [])].flat().filter((o) => o.schema === schema),
        writeOperator,
      ),
    };
  }
  const whole = { gatewright: format, database: catalog.database, serverVersion: catalog.serverVersion, schemas };
  return `${JSON.stringify(whole, undefined, 2)}\n`;
}

class Mismatch extends Error {
  readonly path: string;
  constructor(path: string, message: string) {
    super(message);
    this.path = path;
  }
}

/** One JSON object being read: every key must be asked for before `end`. */
class Reader {
  readonly path: string;
  readonly #object: { readonly [key: string]: Json };
  readonly #left: Set<string>;

  constructor(json: Json | undefined, path: string) {
    if (json === null || typeof json !== "object" || Array.isArray(json)) throw new Mismatch(path, "must be an object");
    this.path = path;
    this.#object = json as { readonly [key: string]: Json }; // arrays and null were refused above
    this.#left = new Set(Object.keys(json));
  }
  at(key: string): string {
    return this.path === "" ? key : `${this.path}.${key}`;
  }
  take(key: string): Json | undefined {
    this.#left.delete(key);
    return Object.hasOwn(this.#object, key) ? this.#object[key] : undefined;
  }
  string(key: string): string {
    const value = this.take(key);
    if (typeof value !== "string") throw new Mismatch(this.at(key), "must be a string");
    return value;
  }
  optionalString(key: string): string | undefined {
    return Object.hasOwn(this.#object, key) ? this.string(key) : undefined;
  }
  flag(key: string): boolean {
    const value = this.take(key) ?? false;
    if (typeof value !== "boolean") throw new Mismatch(this.at(key), "must be true or false");
    return value;
  }
  integer(key: string, usual: number): number {
    const value = this.take(key) ?? usual;
    if (!Number.isSafeInteger(value)) throw new Mismatch(this.at(key), "must be a whole number");
    return Number(value);
  }
  oneOf<T extends string>(key: string, values: readonly T[], usual: T | undefined): T {
    const value = this.take(key) ?? usual;
    const found = values.find((v) => v === value);
    if (found === undefined) throw new Mismatch(this.at(key), `must be one of ${values.join(", ")}`);
    return found;
  }
  strings(key: string): readonly string[] {
    const value = this.take(key) ?? [];
    if (!Array.isArray(value)) throw new Mismatch(this.at(key), "must be a list of strings");
    return value.map((item: Json) => {
      if (typeof item !== "string") throw new Mismatch(this.at(key), "must be a list of strings");
      return item;
    });
  }
  tags(key: string): Fact<ReadonlySet<string>> {
    if (Object.hasOwn(this.#object, key) && this.#object[key] === null) {
      this.take(key);
      return new Unknown(`the snapshot does not know the tags of \`${this.path}\``);
    }
    return new Set(this.strings(key));
  }
  list<T>(key: string, read: (item: Reader) => T): readonly T[] {
    const value = this.take(key) ?? [];
    if (!Array.isArray(value)) throw new Mismatch(this.at(key), "must be a list");
    return value.map((item: Json, i: number) => readWhole(item, `${this.at(key)}[${i}]`, read));
  }
  entries<T>(key: string, read: (item: Reader, name: string) => T): readonly T[] {
    const inner = new Reader(this.take(key) ?? {}, this.at(key));
    return [...inner.#left]
      .sort()
      .map((name) => readWhole(inner.take(name), inner.at(name), (item) => read(item, name)));
  }
  end(): void {
    const [unknown] = this.#left;
    if (unknown !== undefined) throw new Mismatch(this.at(unknown), "is not a key that a catalog snapshot has here");
  }
}

function readWhole<T>(json: Json | undefined, path: string, read: (item: Reader) => T): T {
  const reader = new Reader(json, path);
  const value = read(reader);
  reader.end();
  return value;
}

function readCatalog(json: Json, version: string): Catalog {
  return readWhole(json, "", (top) => {
    top.oneOf("gatewright", [format], undefined);
    const schemas = new Set<string>();
    const relations = new Map<string, Relation>();
    const functions = new Map<string, CatalogFunction[]>();
    const types = new Map<string, CatalogType[]>();
    const operators = new Map<string, CatalogOperator[]>();
    const database = top.string("database");
    const serverVersion = top.integer("serverVersion", 0);
    top.entries("schemas", (schema, name) => {
      schemas.add(name);
      for (const relation of schema.entries("relations", (r, relationName) => readRelation(r, name, relationName))) {
        relations.set(relationKey(name, relation.name), relation);
      }
      for (const f of schema.list("functions", (r) => readFunction(r, name))) push(functions, f.name, f);
      for (const t of schema.list("types", (r) => readType(r, name))) push(types, t.name, t);
      for (const o of schema.list("operators", (r) => readOperator(r, name))) push(operators, o.symbol, o);
    });
    const known = { version, database, serverVersion, schemas, relations, relationsByOid: new Map(), functions, types };
    return operators.size === 0 ? known : { ...known, operators };
  });
}

function push<T>(map: Map<string, T[]>, key: string, item: T): void {
  const list = map.get(key);
  if (list) list.push(item);
  else map.set(key, [item]);
}

function readRelation(r: Reader, schema: string, name: string): Relation {
  const relation: Relation = {
    kind: r.oneOf("kind", relationKinds, "table"),
    schema,
    name,
    oid: 0,
    columns: r.list("columns", readColumn),
    tags: r.tags("tags"),
    definition: r.optionalString("definition"),
    parents: r.strings("parents"),
    hasRules: r.flag("hasRules"),
    hasTriggers: r.flag("hasTriggers"),
    hasRowSecurity: r.flag("hasRowSecurity"),
    constraints: r.list("constraints", readConstraint),
    ...readOwner(r),
    ...readPartitionColumns(r),
  };
  const seen = new Set<string>();
  for (const [i, column] of relation.columns.entries()) {
    if (seen.has(column.name)) throw new Mismatch(`${r.at("columns")}[${i}].name`, "is given twice");
    seen.add(column.name);
  }
  return relation;
}

function readOwner(r: Reader): { readonly ownedBy?: string } {
  const ownedBy = r.optionalString("ownedBy");
  return ownedBy === undefined ? {} : { ownedBy };
}

function readPartitionColumns(r: Reader): { readonly partitionColumns?: readonly string[] } {
  const partitionColumns = r.strings("partitionColumns");
  return partitionColumns.length === 0 ? {} : { partitionColumns };
}

function readConstraint(r: Reader): RelationConstraint {
  const isNotValid = r.flag("notValid");
  return {
    name: r.string("name"),
    kind: r.oneOf("kind", constraintKinds, undefined),
    columns: r.strings("columns"),
    references: r.optionalString("references"),
    ...(isNotValid ? { isValid: false } : {}),
  };
}

function readColumn(r: Reader): Column {
  return {
    name: r.string("name"),
    number: 0,
    type: readColumnType(r),
    isNullable: !r.flag("notNull"),
    generated: r.optionalString("generated"),
    hasDefault: r.flag("hasDefault"),
    tags: r.tags("tags"),
  };
}

function readColumnType(r: Reader): ColumnType {
  const sql = r.string("type");
  const internal = r.take("internal");
  if (internal === undefined) {
    const type = builtinColumnType(sql);
    if (!type) throw new Mismatch(r.at("type"), `\`${sql}\` is not a built-in type: say what it is under \`internal\``);
    return type;
  }
  return readWhole(internal, r.at("internal"), (i) => ({
    sql,
    name: i.string("name"),
    schema: i.optionalString("schema") ?? "pg_catalog",
    oid: 0,
    modifier: i.integer("modifier", -1),
    category: i.string("category"),
  }));
}

function readFunction(r: Reader, schema: string): CatalogFunction {
  const isAllowed = r.flag("allowed");
  return {
    schema,
    name: r.string("name"),
    oid: 0,
    kind: r.oneOf("kind", functionKinds, "function"),
    arguments: r.optionalString("arguments") ?? "",
    isSecurityDefiner: r.flag("securityDefiner"),
    ...(isAllowed ? { isAllowed } : {}),
  };
}

const readType = (r: Reader, schema: string): CatalogType => ({
  schema,
  name: r.string("name"),
  oid: 0,
  category: r.string("category"),
  ...(r.flag("runsCode") ? { runsCode: true } : {}),
});

const readOperator = (r: Reader, schema: string): CatalogOperator => ({
  schema,
  symbol: r.string("symbol"),
  isNative: r.flag("isNative"),
});

function writeList<T>(key: string, items: readonly T[], write: (item: T) => Json): Record<string, Json> {
  const written = items.map(write).map((json) => JSON.stringify(json));
  return written.length === 0 ? {} : { [key]: written.sort().map((text): Json => JSON.parse(text)) };
}

const writeTags = (tags: Fact<ReadonlySet<string>>): Record<string, Json> =>
  tags instanceof Unknown ? { tags: null } : tags.size === 0 ? {} : { tags: [...tags].sort() };

const given = (key: string, value: string | undefined): Record<string, Json> =>
  value === undefined ? {} : { [key]: value };

const flagged = (key: string, value: boolean): Record<string, Json> => (value ? { [key]: true } : {});

function writeRelation(r: Relation): Json {
  return {
    kind: r.kind,
    ...writeTags(r.tags),
    columns: r.columns.map(writeColumn),
    ...given("definition", r.definition),
    ...(r.parents.length === 0 ? {} : { parents: r.parents }),
    ...flagged("hasRules", r.hasRules),
    ...flagged("hasTriggers", r.hasTriggers),
    ...flagged("hasRowSecurity", r.hasRowSecurity),
    ...given("ownedBy", r.ownedBy),
    ...(r.partitionColumns === undefined ? {} : { partitionColumns: r.partitionColumns }),
    ...(r.constraints.length === 0 ? {} : { constraints: r.constraints.map(writeConstraint) }),
  };
}

const writeConstraint = (c: RelationConstraint): Json => ({
  name: c.name,
  kind: c.kind,
  columns: c.columns,
  ...given("references", c.references),
  ...flagged("notValid", c.isValid === false),
});

function writeColumn(c: Column): Json {
  const usual = builtinColumnType(c.type.sql);
  const isUsual =
    usual !== undefined &&
    usual.name === c.type.name &&
    usual.schema === c.type.schema &&
    usual.modifier === c.type.modifier &&
    usual.category === c.type.category;
  const internal = {
    name: c.type.name,
    ...(c.type.schema === "pg_catalog" ? {} : { schema: c.type.schema }),
    ...(c.type.modifier === -1 ? {} : { modifier: c.type.modifier }),
    category: c.type.category,
  };
  return {
    name: c.name,
    type: c.type.sql,
    ...(isUsual ? {} : { internal }),
    ...flagged("notNull", !c.isNullable),
    ...given("generated", c.generated),
    ...flagged("hasDefault", c.hasDefault),
    ...writeTags(c.tags),
  };
}

const writeFunction = (f: CatalogFunction): Json => ({
  name: f.name,
  ...(f.kind === "function" ? {} : { kind: f.kind }),
  ...(f.arguments === "" ? {} : { arguments: f.arguments }),
  ...flagged("securityDefiner", f.isSecurityDefiner),
  ...flagged("allowed", f.isAllowed === true),
});

const writeType = (t: CatalogType): Json => ({
  name: t.name,
  category: t.category,
  ...flagged("runsCode", t.runsCode === true),
});

const writeOperator = (o: CatalogOperator): Json => ({ symbol: o.symbol, ...flagged("isNative", o.isNative) });

/** format_type spelling -> pg_type name, OID, category. Source: src/include/catalog/pg_type.dat. */
const builtinTypes: Readonly<Record<string, readonly [name: string, oid: number, category: string]>> = {
  boolean: ["bool", 16, "B"],
  bytea: ["bytea", 17, "U"],
  name: ["name", 19, "S"],
  bigint: ["int8", 20, "N"],
  smallint: ["int2", 21, "N"],
  integer: ["int4", 23, "N"],
  text: ["text", 25, "S"],
  oid: ["oid", 26, "N"],
  json: ["json", 114, "U"],
  xml: ["xml", 142, "U"],
  cidr: ["cidr", 650, "I"],
  real: ["float4", 700, "N"],
  "double precision": ["float8", 701, "N"],
  money: ["money", 790, "N"],
  inet: ["inet", 869, "I"],
  "integer[]": ["_int4", 1007, "A"],
  "text[]": ["_text", 1009, "A"],
  character: ["bpchar", 1042, "S"],
  "character varying": ["varchar", 1043, "S"],
  date: ["date", 1082, "D"],
  "time without time zone": ["time", 1083, "D"],
  "timestamp without time zone": ["timestamp", 1114, "D"],
  "timestamp with time zone": ["timestamptz", 1184, "D"],
  interval: ["interval", 1186, "T"],
  "time with time zone": ["timetz", 1266, "D"],
  numeric: ["numeric", 1700, "N"],
  uuid: ["uuid", 2950, "U"],
  jsonb: ["jsonb", 3802, "U"],
};

/** What `format_type` prints for a built-in type, read back; undefined for others. */
export function builtinColumnType(sql: string): ColumnType | undefined {
  const match = /^([a-z ]+(?:\[\])?)(?:\((\d+)(?:,(\d+))?\))?$/.exec(sql);
  const base = match?.[1] ?? "";
  const row = Object.hasOwn(builtinTypes, base) ? builtinTypes[base] : undefined;
  if (!row) return undefined;
  const [name, oid, category] = row;
  const length = match?.[2];
  if (length === undefined) return { sql, name, schema: "pg_catalog", oid, modifier: -1, category };
  const scale = Number(match?.[3] ?? 0);
  if (name === "varchar" || name === "bpchar") {
    return { sql, name, schema: "pg_catalog", oid, modifier: Number(length) + 4, category };
  }
  if (name !== "numeric") return undefined;
  return { sql, name, schema: "pg_catalog", oid, modifier: Number(length) * 65536 + scale + 4, category };
}
