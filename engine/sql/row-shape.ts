// what a statement's rows must look like when the server describes them: the second opinion of section 3.5.
import type { ColumnRef } from "@pgsql/types";
import type { Relation } from "../model/catalog.ts";
import type { Output } from "./bind-query.ts";
import type { Bindings } from "./bindings.ts";
import { findColumns, findSource, type Scope } from "./scope.ts";
import { temporarySchema } from "./settings.ts";
import { stringOf } from "./tree.ts";

export type RowShape = {
  /** In order. `type` is an OID, 0 where only the server can tell. */
  readonly columns: readonly { readonly name: string; readonly type: number }[];
  /** Relations that a column may come from, by OID. */
  readonly origins: ReadonlyMap<number, Relation>;
  /** The gateway doesn't know the OIDs of temporary tables. */
  readonly isTemporaryRead: boolean;
};

/** undefined: the columns of the result can't be told from the statement. */
export function shapeOf(output: Output, bindings: Bindings): RowShape | undefined {
  if (output.isOpen) return undefined;
  const origins = new Map<number, Relation>();
  let isTemporaryRead = false;
  for (const { relation } of bindings.uses) {
    if (relation.oid !== 0) origins.set(relation.oid, relation);
    if (relation.schema === temporarySchema) isTemporaryRead = true;
  }
  const columns = output.columns.map((c) => ({ name: c.name, type: c.type ?? 0 }));
  return { columns, origins, isTemporaryRead };
}

/** Type of a plain reference; undefined for anything that the server may convert. */
export function typeOfReference(ref: ColumnRef, scope: Scope | undefined): number | undefined {
  const path = (ref.fields ?? []).map(stringOf);
  const name = path.at(-1);
  if (name === undefined || path.length > 2) return undefined;
  const source = path[0];
  const found =
    path.length === 1 || source === undefined
      ? findColumns(scope, name)
      : (findSource(scope, source, undefined)?.source.columns ?? []).filter((c) => c.name === name);
  return found.length === 1 ? found[0]?.type : undefined;
}

export type DescribedColumn = {
  readonly name: string;
  /** Table OID of origin, 0 for none. */
  readonly table: number;
  readonly attribute: number;
  readonly type: number;
};

/** Why the server's description isn't what was foreseen; undefined where it is. Names no content. */
export function mismatchOf(shape: RowShape, described: readonly DescribedColumn[]): string | undefined {
  if (described.length !== shape.columns.length) return "column-count";
  for (const [i, { name, type }] of shape.columns.entries()) {
    const column = described[i];
    if (column?.name !== name) return "column-name";
    if (type !== 0 && column.type !== type) return "column-type";
    if (column.table === 0) continue;
    const origin = shape.origins.get(column.table);
    if (!origin && !shape.isTemporaryRead) return "column-origin";
    // 0 is the whole row, system columns are below it.
    const isThere = column.attribute <= 0 || origin?.columns.some((c) => c.number === column.attribute) !== false;
    if (!isThere) return "column-origin";
  }
  return undefined;
}
