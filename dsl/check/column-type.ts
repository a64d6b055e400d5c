import type { ColumnType } from "../../engine/model/catalog.ts";
import { bool, float, int, json, string, type Type } from "../types.ts";

/** The type that `row.column` has in a filter; undefined where only SQL knows how to compare. */
export function columnType(type: ColumnType): Type | undefined {
  if (type.category === "E") return string;
  if (type.schema !== "pg_catalog") return undefined;
  switch (type.name) {
    case "bool":
      return bool;
    case "int2":
    case "int4":
    case "int8":
    case "oid":
      return int;
    case "numeric":
    case "float4":
    case "float8":
      return float;
    case "text":
    case "varchar":
    case "bpchar":
    case "name":
    case "uuid":
      return string;
    case "jsonb":
      return json;
    case "date":
      return { kind: "date" };
    case "timestamptz":
      return { kind: "time" };
    default:
      return undefined;
  }
}
