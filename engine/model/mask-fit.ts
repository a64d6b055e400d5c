// mask + type of a column -> whether it can stand in the value's place: policies are checked and columns masked by this.
import { unreachable } from "../lib/assert.ts";
import type { Column, ColumnType } from "./catalog.ts";
import type { Mask, MaskKind } from "./mask.ts";

export const textTypes: ReadonlySet<string> = new Set(["text", "varchar", "bpchar", "name", "citext"]);
const numberTypes: ReadonlySet<string> = new Set(["int2", "int4", "int8", "numeric", "float4", "float8"]);
const dateTypes: ReadonlySet<string> = new Set(["date", "timestamp", "timestamptz"]);
/** What a keyed digest can be written as. */
const digestTypes: ReadonlySet<string> = new Set([...textTypes, "uuid", "int4", "int8"]);

/** Name of the type where it is PostgreSQL's own, or citext; "" for every other type of the database's own. */
export const baseType = (type: ColumnType): string =>
  type.schema === "pg_catalog" || type.name === "citext" || type.name === "_citext" ? type.name : "";

/** The column that an element of an array stands in; undefined for what is no array. */
export function elementColumn(column: Column): Column | undefined {
  const { type } = column;
  if (type.category !== "A" || !type.name.startsWith("_")) return undefined;
  const name = type.name.slice(1);
  const sql = type.sql.replace(/(\[\d*\])+$/, "");
  return { ...column, isNullable: true, type: { ...type, name, sql, oid: 0, category: "X" } };
}

/** Masks that act on each element of an array. */
export const isElementwise = ({ kind }: Mask): boolean => !wholeValueMasks.has(kind);

const wholeValueMasks: ReadonlySet<MaskKind> = new Set(["redact", "nullify", "constant", "fields", "remove"]);

/** What the masked column must be, in words; undefined when it fits. */
export function misfit(mask: Mask, column: Column): string | undefined {
  const element = isElementwise(mask) ? elementColumn(column) : undefined;
  if (element) {
    const needed = misfit(mask, element);
    return needed === undefined ? undefined : `${needed}, or an array of it`;
  }
  const type = baseType(column.type);
  const among = (types: ReadonlySet<string>, words: string): string | undefined =>
    types.has(type) ? undefined : words;
  switch (mask.kind) {
    case "partial":
    case "card":
    case "phone":
      return among(textTypes, "text");
    case "hash":
    case "tokenize":
      return among(digestTypes, "text, uuid, integer or bigint");
    case "bucket":
      return mask.size !== undefined ? among(numberTypes, "a number") : among(dateTypes, "a date or a moment");
    case "round":
      return among(numberTypes, "a number");
    case "fields":
      return type === "jsonb" ? undefined : "jsonb";
    case "remove":
      return "a field of a JSON answer, never a column";
    case "redact":
    case "nullify":
    case "constant":
      return undefined;
    default:
      return unreachable(mask);
  }
}
