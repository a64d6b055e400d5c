// mask + column -> SQL expression of the column's type and modifier. Total (no value makes it fail), independent of
// session settings, built from pg_catalog only (section 3.1).
import { createHmac } from "node:crypto";
import type { Node } from "@pgsql/types";
import { unreachable } from "../lib/assert.ts";
import { limits } from "../limits.ts";
import type { Column } from "../model/catalog.ts";
import { type DateUnit, type Mask, parseFieldPath } from "../model/mask.ts";
import { baseType, elementColumn, isElementwise, misfit, textTypes } from "../model/mask-fit.ts";
import { quoteLiteral } from "../model/row-predicate.ts";
import { refuse } from "./fault.ts";
import { parseSql } from "./pg-parser.ts";
import { mapTree, stringNode, stringOf, stringsOf } from "./tree.ts";

/** Stands for the column's value in the templates below. */
const valueName = "gw_value";
const V = `"${valueName}"`;

const intRanges: Readonly<Record<string, readonly [string, string]>> = {
  int2: ["-32768", "32767"],
  int4: ["-2147483648", "2147483647"],
  int8: ["-9223372036854775808", "9223372036854775807"],
};

const fixedValues: Readonly<Record<string, string>> = {
  text: "'***'",
  varchar: "'***'",
  bpchar: "'***'",
  name: "'***'",
  citext: "'***'",
  char: "'*'",
  bool: "'false'",
  int2: "'0'",
  int4: "'0'",
  int8: "'0'",
  numeric: "'0'",
  float4: "'0'",
  float8: "'0'",
  date: "'1970-01-01'",
  timestamp: "'1970-01-01 00:00:00'",
  timestamptz: "'1970-01-01 00:00:00+00'",
  time: "'00:00:00'",
  timetz: "'00:00:00+00'",
  interval: "'0'",
  uuid: "'00000000-0000-0000-0000-000000000000'",
  json: "'{}'",
  jsonb: "'{}'",
  bytea: "''",
  inet: "'0.0.0.0'",
  cidr: "'0.0.0.0/0'",
};

export type MaskOptions = { readonly maskKey: string };

/** The template's text, with `"gw_value"` for the value. @throws FaultError `mask-not-applicable`. */
export function maskSql(mask: Mask, column: Column, options: MaskOptions): string {
  if (misfit(mask, column) !== undefined) return notApplicable(mask, column);
  const body = maskBody(mask, column, options);
  if (body === undefined) return `CAST(NULL AS ${column.type.sql})`;
  const value = `CAST(${body} AS ${column.type.sql})`;
  return column.isNullable ? `CASE WHEN ${V} IS NULL THEN CAST(NULL AS ${column.type.sql}) ELSE ${value} END` : value;
}

/** undefined: NULL. */
function maskBody(mask: Mask, column: Column, options: MaskOptions): string | undefined {
  const type = baseType(column.type);
  const element = isElementwise(mask) ? elementColumn(column) : undefined;
  if (element) return elements(maskSql(mask, element, options), element);
  switch (mask.kind) {
    case "nullify":
      return undefined;
    case "redact":
      // Types without a neutral value of their own (enums, ranges, composites …) give NULL: no value is the safest.
      return column.type.category === "A" ? "'{}'" : fixedValues[type];
    case "constant":
      return constantValue(mask.value, column);
    case "partial":
      return partial(mask);
    case "card":
      return card;
    case "phone":
      return phone(mask.last);
    case "round":
      return rounded(mask.to, type, column);
    case "fields":
      return hiddenFields(mask.hide);
    case "hash":
    case "tokenize":
      return digest(mask, column, options);
    case "bucket":
      return bucket(mask, column);
    case "remove":
      return notApplicable(mask, column);
    default:
      return unreachable(mask);
  }
}

function notApplicable(mask: Mask, column: Column): never {
  refuse(
    "mask-not-applicable",
    `mask \`${mask.kind}\` can't be applied to column \`${column.name}\` of type \`${column.type.sql}\``,
    {
      help: "use `redact` or `nullify`, which fit every type",
    },
  );
}

const fn = (name: string, ...args: readonly string[]): string => `pg_catalog.${name}(${args.join(", ")})`;
const op = (left: string, symbol: string, right: string): string => `(${left} OPERATOR(pg_catalog.${symbol}) ${right})`;
const concat = (...parts: readonly string[]): string => parts.reduce((a, b) => op(a, "||", b));

const text = `CAST(${V} AS pg_catalog.text)`;

/** The hidden part has a fixed width: its length would tell. A value too short to hide anything is hidden whole. */
function partial(mask: Mask & { readonly kind: "partial" }): string {
  const fill = quoteLiteral(mask.fill.repeat(mask.fill.length > 1 ? 1 : 3));
  const keep = (value: string): string => {
    const parts = [
      ...(mask.first > 0 ? [fn("left", value, String(mask.first))] : []),
      `CAST(${fill} AS pg_catalog.text)`,
      ...(mask.last > 0 ? [fn("right", value, String(mask.last))] : []),
    ];
    if (parts.length === 1) return parts[0] ?? fill;
    return `CASE WHEN ${op(fn("length", value), ">", String(mask.first + mask.last))} THEN ${concat(...parts)} ELSE ${fill} END`;
  };
  if (!mask.keepDomain) return keep(text);
  const local = fn("regexp_replace", text, "'@[^@]*$'", "''");
  const domain = fn("split_part", text, "'@'", "(-1)");
  return `CASE WHEN ${op(fn("strpos", text, "'@'"), ">", "0")} THEN ${concat(keep(local), "'@'", domain)} ELSE ${fill} END`;
}

/** Each element by itself; an array of several dimensions becomes a plain one. */
const elements = (mask: string, element: Column): string =>
  `COALESCE((SELECT pg_catalog.array_agg(${mask.replaceAll(V, `${item("value")}`)} ORDER BY ${item("at")}) FROM pg_catalog.unnest(${V}) WITH ORDINALITY AS ${alias(1)} (value, at)), CAST('{}' AS ${element.type.sql}[]))`;

/** Names of the items that stand within a mask: a name that no client is likely to give to the target of a write. */
const alias = (depth: number): string => `"gw_item_${depth}"`;
const item = (column: string, depth = 1): string => `${alias(depth)}."${column}"`;

const digits = fn("regexp_replace", text, "'[^0-9]'", "''", "'g'");

/** Numbers of cards have 12 to 19 digits (ISO/IEC 7812). What has another number of them is hidden whole. */
const card = `CASE WHEN (${fn("length", digits)} BETWEEN 12 AND 19) THEN ${concat("'**** **** **** '", fn("right", digits, "4"))} ELSE '****' END`;

/** Shorter than 7 digits: an extension, or no number at all. */
function phone(last: number): string {
  const sign = `CASE WHEN ${op(fn("left", text, "1"), "=", "'+'")} THEN '+' ELSE '' END`;
  const kept = last > 0 ? [fn("right", digits, String(last))] : [];
  return `CASE WHEN ${op(fn("length", digits), ">=", "7")} THEN ${concat(`CAST(${sign} AS pg_catalog.text)`, "'***'", ...kept)} ELSE '***' END`;
}

/** Steps of all paths as one tree. `true`: what stands here is hidden. */
type Branch = { hidden: boolean; readonly keys: Map<string, Branch>; anyKey?: Branch; anyElement?: Branch };

const newBranch = (): Branch => ({ hidden: false, keys: new Map() });

function branchesOf(paths: readonly string[]): Branch {
  const root = newBranch();
  for (const path of paths) {
    let branch = root;
    const steps = parseFieldPath(path) ?? refuse("mask-not-applicable", "a path of a `fields` mask is malformed");
    for (const step of steps) {
      let next: Branch | undefined;
      if (step === "any-key") next = branch.anyKey ??= newBranch();
      else if (step === "any-element") next = branch.anyElement ??= newBranch();
      else {
        next = branch.keys.get(step.key) ?? newBranch();
        branch.keys.set(step.key, next);
      }
      branch = next;
    }
    branch.hidden = true;
  }
  return root;
}

const hiddenJson = "CAST('\"***\"' AS pg_catalog.jsonb)";

/**
 * Where a path expects an object or an array and finds something else, all of it is hidden: the value may be the secret in
 * another shape. A JSON null stays null. Calls nothing that could fail: the type is looked at first.
 */
function hiddenFields(paths: readonly string[]): string {
  return hide(branchesOf(paths), V, 1);
}

function hide(branch: Branch, value: string, depth: number): string {
  const type = fn("jsonb_typeof", value);
  if (branch.hidden) return `CASE ${type} WHEN 'null' THEN ${value} ELSE ${hiddenJson} END`;
  const inner = item("value", depth);
  const of = (next: Branch): string => hide(next, inner, depth + 1);
  const kinds: string[] = [`WHEN 'null' THEN ${value}`];
  if (branch.keys.size > 0 || branch.anyKey) {
    const all = branch.anyKey;
    const cases = [...branch.keys].map(
      ([key, next]) =>
        `WHEN ${op(item("key", depth), "=", quoteLiteral(key))} THEN ${of(all ? merged(next, all) : next)}`,
    );
    const other = all ? of(all) : inner;
    const member = cases.length === 0 ? other : `CASE ${cases.join(" ")} ELSE ${other} END`;
    kinds.push(
      `WHEN 'object' THEN COALESCE((SELECT pg_catalog.jsonb_object_agg(${item("key", depth)}, ${member}) FROM pg_catalog.jsonb_each(${value}) AS ${alias(depth)} (key, value)), ${value})`,
    );
  }
  if (branch.anyElement)
    kinds.push(
      `WHEN 'array' THEN COALESCE((SELECT pg_catalog.jsonb_agg(${of(branch.anyElement)} ORDER BY ${item("at", depth)}) FROM pg_catalog.jsonb_array_elements(${value}) WITH ORDINALITY AS ${alias(depth)} (value, at)), ${value})`,
    );
  return `CASE ${type} ${kinds.join(" ")} ELSE ${hiddenJson} END`;
}

/** What `*` says of a key holds for a key that is named, too. */
function merged(a: Branch, b: Branch): Branch {
  const keys = new Map(a.keys);
  for (const [key, branch] of b.keys) {
    const own = keys.get(key);
    keys.set(key, own ? merged(own, branch) : branch);
  }
  const both = (x: Branch | undefined, y: Branch | undefined): Branch | undefined => (x && y ? merged(x, y) : (x ?? y));
  const anyKey = both(a.anyKey, b.anyKey);
  const anyElement = both(a.anyElement, b.anyElement);
  return {
    hidden: a.hidden || b.hidden,
    keys,
    ...(anyKey ? { anyKey } : {}),
    ...(anyElement ? { anyElement } : {}),
  };
}

/**
 * Keyed: the key that stands in the statement is derived from the connection's key and the salt, so that the server's
 * logs don't show the key itself, and one salt's key says nothing of another's.
 */
function digest(mask: Mask & { readonly kind: "hash" | "tokenize" }, column: Column, options: MaskOptions): string {
  const type = baseType(column.type);
  const key = createHmac("sha256", options.maskKey).update(mask.salt).digest("hex");
  const input = `CAST(${concat(quoteLiteral(key), text, quoteLiteral(key))} AS pg_catalog.text)`;
  const bytes = fn("sha256", fn("convert_to", input, "'UTF8'"));
  const hex = fn("encode", bytes, "'hex'");
  if (textTypes.has(type)) return mask.kind === "hash" ? hex : concat("'tok_'", fn("left", hex, "16"));
  if (type === "uuid") return fn("left", hex, "32");
  if (type === "int4")
    return `CAST(CAST(${concat("'x'", fn("left", hex, "8"))} AS pg_catalog.bit(32)) AS pg_catalog.int4)`;
  if (type === "int8")
    return `CAST(CAST(${concat("'x'", fn("left", hex, "16"))} AS pg_catalog.bit(64)) AS pg_catalog.int8)`;
  return notApplicable(mask, column);
}

function bucket(mask: Mask & { readonly kind: "bucket" }, column: Column): string {
  const type = baseType(column.type);
  if (mask.size !== undefined) return numberBucket(mask.size, type, column);
  return mask.unit === undefined ? notApplicable(mask, column) : dateBucket(mask.unit, type);
}

/** Half a step and more goes up. The sum may lie beyond the type's range: it is set to its edge. */
function rounded(to: number, type: string, column: Column): string {
  if (!(to > 0) || !Number.isFinite(to)) refuse("mask-not-applicable", "numbers are rounded to a positive multiple");
  const { step, remainder, floor } = floorOf(to);
  const nearest = `CASE WHEN ${op(op(remainder, "*", "2"), ">=", step)} THEN ${op(floor, "+", step)} ELSE ${floor} END`;
  const lowest = lowestOf(type, column.type.modifier);
  const highest = intRanges[type]?.[1] ?? lowest?.slice(1);
  if (lowest === undefined || highest === undefined) return nearest;
  // Only what is finite has an edge: NaN and the infinities are above or below every number.
  const bound = (n: string): string => `CAST(${quoteLiteral(n)} AS pg_catalog.numeric)`;
  return `CASE WHEN ${op(`CAST(${V} AS pg_catalog.text)`, "=", "ANY (ARRAY['NaN', 'Infinity', '-Infinity'])")} THEN CAST(${V} AS pg_catalog.numeric) ELSE LEAST(GREATEST(${nearest}, ${bound(lowest)}), ${bound(highest)}) END`;
}

/** Division rounds in numeric; the remainder is exact. */
function floorOf(size: number): { readonly step: string; readonly remainder: string; readonly floor: string } {
  const step = `CAST(${quoteLiteral(String(size))} AS pg_catalog.numeric)`;
  const value = `CAST(${V} AS pg_catalog.numeric)`;
  const remainder = fn("mod", op(fn("mod", value, step), "+", step), step);
  return { step, remainder, floor: op(value, "-", remainder) };
}

/** Computed in numeric, which knows NaN and infinities; the result is never above the value, but may fall below the type's range. */
function numberBucket(size: number, type: string, column: Column): string {
  if (!(size > 0) || !Number.isFinite(size)) refuse("mask-not-applicable", "the size of a bucket must be positive");
  const { floor } = floorOf(size);
  const lowest = lowestOf(type, column.type.modifier);
  const bounded =
    lowest === undefined ? floor : `GREATEST(${floor}, CAST(${quoteLiteral(lowest)} AS pg_catalog.numeric))`;
  // A float's digits in numeric are rounded: the largest one may come out beyond the type.
  const highest = type.startsWith("float") ? lowest?.slice(1) : undefined;
  return highest === undefined ? bounded : `LEAST(${bounded}, CAST(${quoteLiteral(highest)} AS pg_catalog.numeric))`;
}

/** Lowest finite value of the type; of numeric(p, s) by its modifier (numeric.c, make_numeric_typmod). */
function lowestOf(type: string, modifier: number): string | undefined {
  const range = intRanges[type];
  if (range) return range[0];
  if (type === "float4") return "-3.4028234e38";
  if (type === "float8") return "-1.7976931348623157e308";
  if (modifier < 4) return undefined;
  const precision = ((modifier - 4) >> 16) & 0xffff;
  const scale = (((modifier - 4) & 0x7ff) ^ 1024) - 1024;
  return scale > 0
    ? `-${"9".repeat(precision - scale) || "0"}.${"9".repeat(scale)}`
    : `-${"9".repeat(precision)}${"0".repeat(-scale)}`;
}

/** Time zones don't take part: UTC. Values at the very beginning and end of the calendar would overflow: they are set to its edge. */
function dateBucket(unit: DateUnit, type: string): string {
  const early = fn("make_date", "(-4700)", "1", "1");
  const late = fn("make_date", "290000", "1", "1");
  const within = `CASE WHEN ${op(V, "<", `CAST(${early} AS pg_catalog.${type})`)} THEN CAST(${early} AS pg_catalog.${type}) WHEN ${op(V, ">", `CAST(${late} AS pg_catalog.${type})`)} THEN CAST(${late} AS pg_catalog.${type}) ELSE ${V} END`;
  const name = quoteLiteral(unit);
  if (type === "timestamptz") {
    const utc = (date: string): string => fn("timezone", "'UTC'", `CAST(${date} AS pg_catalog.timestamp)`);
    const bounded = `CASE WHEN ${op(V, "<", utc(early))} THEN ${utc(early)} WHEN ${op(V, ">", utc(late))} THEN ${utc(late)} ELSE ${V} END`;
    return fn("date_trunc", name, bounded, "'UTC'");
  }
  return fn("date_trunc", name, `CAST(${within} AS pg_catalog.timestamp)`);
}

function constantValue(value: string | number | boolean, column: Column): string {
  const type = baseType(column.type);
  const given = quoteLiteral(String(value));
  if (textTypes.has(type)) return given;
  if (type === "bool" && typeof value === "boolean") return given;
  const range = intRanges[type];
  if (range && typeof value === "number" && Number.isSafeInteger(value)) {
    if (BigInt(value) >= BigInt(range[0]) && BigInt(value) <= BigInt(range[1])) return given;
  }
  if (["float4", "float8"].includes(type) && typeof value === "number" && Math.abs(value) < 3e38) return given;
  if (type === "numeric" && column.type.modifier === -1 && typeof value === "number") return given;
  if (type === "date" && typeof value === "string" && /^\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d)$/.test(value))
    return given;
  return notApplicable({ kind: "constant", value }, column);
}

const templates = new Map<string, Node>();

/** Parses generated text once. The text holds no data of rows, only names, types and the policy's values. */
export function generated(sql: string): Node {
  const known = templates.get(sql);
  if (known) return known;
  const parsed = parseSql(`SELECT ${sql}`);
  const statement = parsed.ok && parsed.value.length === 1 ? parsed.value[0]?.stmt : undefined;
  const target = statement && "SelectStmt" in statement ? statement.SelectStmt.targetList?.[0] : undefined;
  const node = target && "ResTarget" in target ? target.ResTarget.val : undefined;
  if (!node) refuse("rewrite-mismatch", "an expression of the gateway's own can't be parsed");
  const bound = qualifyTypes(node);
  if (templates.size >= limits.sqlTemplatesMax) templates.clear();
  templates.set(sql, bound);
  return bound;
}

/** `format_type` writes pg_catalog's types without their schema. */
const qualifyTypes = (node: Node): Node =>
  mapTree(node, (value) => {
    if (!("names" in value) || !Array.isArray(value.names) || value.names.length !== 1) return undefined;
    return { ...value, names: [stringNode("pg_catalog"), stringNode(stringsOf(value.names)[0] ?? "")] };
  });

/** The mask of `column`, computed from `row`.`column`. */
export function maskNode(mask: Mask, column: Column, row: string, options: MaskOptions): Node {
  const reference: Node = { ColumnRef: { fields: [stringNode(row), stringNode(column.name)] } };
  return mapTree(generated(maskSql(mask, column, options)), (value) => {
    if (!("ColumnRef" in value)) return undefined;
    const { fields } = (value as Extract<Node, { ColumnRef: unknown }>).ColumnRef;
    return stringOf(fields?.[0]) === valueName ? reference : undefined;
  });
}
