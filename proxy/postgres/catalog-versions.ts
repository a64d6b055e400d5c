// What changes in pg_catalog leaves behind: texts that differ when it has changed, without a read of all of it.

/** Catalogs that `catalog-loader.ts` reads. Rows of the server's own making don't change. */
const catalogs: readonly (readonly [name: string, ownRows: string])[] = [
  ["pg_namespace", "oid >= 16384"],
  ["pg_class", "oid >= 16384"],
  ["pg_attribute", "attrelid >= 16384"],
  ["pg_attrdef", "true"],
  ["pg_inherits", "true"],
  ["pg_partitioned_table", "true"],
  ["pg_rewrite", "ev_class >= 16384"],
  ["pg_trigger", "true"],
  ["pg_constraint", "oid >= 16384"],
  ["pg_index", "indrelid >= 16384"],
  ["pg_proc", "oid >= 16384"],
  ["pg_type", "oid >= 16384"],
  ["pg_operator", "oid >= 16384"],
  ["pg_cast", "oid >= 16384"],
  ["pg_collation", "oid >= 16384"],
  ["pg_opclass", "oid >= 16384"],
  ["pg_amproc", "oid >= 16384"],
  ["pg_depend", "objid >= 16384 AND deptype IN ('a', 'i')"],
  ["pg_description", "objoid >= 16384"],
];

/**
 * Number of rows and sum of their `xmin` (the transaction that wrote the row) of each catalog: a change adds a row, removes
 * one, or writes one with a later `xmin`. The order in which transactions commit doesn't matter to a sum.
 */
export const generationSql = `SELECT pg_catalog.concat_ws(' ', ${catalogs
  .map(
    ([name, own]) =>
      `(SELECT pg_catalog.concat(pg_catalog.count(*), ':', pg_catalog.sum(t.xmin::pg_catalog.text::pg_catalog.int8)) FROM pg_catalog.${name} t WHERE ${own})`,
  )
  .join(", ")}) AS data`;

/** Name, parents and, of a view, the version of its definition. */
const stamp = `pg_catalog.concat_ws(',', c.relkind, c.relnamespace, c.relname,
  (SELECT pg_catalog.string_agg(i.inhparent::pg_catalog.text, '+' ORDER BY i.inhseqno) FROM pg_catalog.pg_inherits i WHERE i.inhrelid = c.oid),
  (SELECT r.xmin FROM pg_catalog.pg_rewrite r WHERE r.ev_class = c.oid AND r.rulename = '_RETURN'))`;

/** OID -> stamp, of every relation that a definition of others' making may change. */
export const stampsSql = `SELECT coalesce(pg_catalog.json_object_agg(c.oid, ${stamp}), '{}')::pg_catalog.text AS data
  FROM pg_catalog.pg_class c WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND c.oid >= 16384`;

/** The same of some, by index. `oids` are numbers of the catalog's own. */
export const stampsOfSql = (oids: readonly number[]): string =>
  `${stampsSql} AND c.oid = ANY ('{${oids.join(",")}}'::pg_catalog.oid[])`;

// SAFETY: the shape of `json_object_agg` above.
export const decodeStamps = (text: string): ReadonlyMap<number, string> =>
  new Map(Object.entries(JSON.parse(text) as Record<string, string>).map(([oid, s]) => [Number(oid), s]));
