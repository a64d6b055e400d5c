// OID -> what the server calls by it, of pg_proc
import type { ServerFunction } from "../../engine/sql/call-statement.ts";

/** `FirstNormalObjectId` of PostgreSQL: what has a lower OID was made by initdb. */
export const firstOwnOid = 16_384;

/** One row, or none. `oid` is an unsigned number of 32 bits. */
export const functionSql = (oid: number): string => `SELECT n.nspname, p.proname,
  (p.prokind = 'f' AND NOT p.proretset)::pg_catalog.text, (p.provariadic <> 0)::pg_catalog.text,
  (SELECT coalesce(pg_catalog.json_agg(pg_catalog.json_build_array(t.oid::pg_catalog.int8, s.nspname, t.typname, t.typtype = 'p')
    ORDER BY a.i), '[]')::pg_catalog.text
    FROM pg_catalog.unnest(p.proargtypes::pg_catalog.oid[]) WITH ORDINALITY a(type, i)
    JOIN pg_catalog.pg_type t ON t.oid = a.type JOIN pg_catalog.pg_namespace s ON s.oid = t.typnamespace)
  FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace WHERE p.oid = '${oid}'::pg_catalog.oid`;

export function decodeFunction(rows: readonly (readonly (string | null)[])[]): ServerFunction | undefined {
  const [schema, name, isPlain, isVariadic, args] = rows[0] ?? [];
  if (rows.length === 0) return undefined;
  if (typeof schema !== "string" || typeof name !== "string" || typeof args !== "string")
    throw new Error("catalog: a function without a name");
  return {
    schema,
    name,
    isPlain: isPlain === "true",
    isVariadic: isVariadic === "true",
    // SAFETY: the shape of `json_build_array` above.
    arguments: (JSON.parse(args) as readonly (readonly [number, string, string, boolean])[]).map(
      ([oid, argSchema, type, isPseudo]) => ({ oid, schema: argSchema, type, isPseudo }),
    ),
  };
}
