// SET, temporary tables, transactions, savepoints -> what names mean to the next statement.

import { unreachable } from "../../engine/lib/assert.ts";
import type { Relation } from "../../engine/model/catalog.ts";
import type { SessionEffect } from "../../engine/sql/types.ts";

/** The session's temporary tables, by name. The same object as long as nothing changes. */
export type TemporaryTables = ReadonlyMap<string, TemporaryTable>;
type TemporaryTable = { readonly relation: Relation; readonly isDroppedAtCommit: boolean };

/**
 * `session` outlives a commit; `effective` holds now (SET LOCAL changes only this one). As the server spells them.
 * Temporary tables come and go with the same transactions and savepoints.
 */
type Value = { readonly session: string; readonly effective: string; readonly tables: TemporaryTables };

const noTables: TemporaryTables = new Map();

/** Values as PostgreSQL's GUC stack would have them. Immutable. */
export type SearchPath = {
  readonly now: Value;
  /** What RESET goes back to: the value at login. */
  readonly initial: string;
  /** An explicit transaction block is open. */
  readonly isInBlock: boolean;
  /** What a rollback restores: the value at the start of the (explicit or implicit) transaction. */
  readonly before: Value;
  readonly savepoints: readonly { readonly name: string; readonly value: Value }[];
};

export function initialSearchPath(value: string): SearchPath {
  const now = { session: value, effective: value, tables: noTables };
  return { now, initial: value, isInBlock: false, before: now, savepoints: [] };
}

/** The statement with this effect succeeded. */
export function applyEffect(path: SearchPath, effect: SessionEffect): SearchPath {
  switch (effect.kind) {
    case "begin":
      return path.isInBlock ? path : { ...path, isInBlock: true };
    case "commit":
      return { ...committed(path), isInBlock: effect.chain };
    case "rollback":
      return { ...rolledBack(path), isInBlock: effect.chain };
    case "savepoint":
      return { ...path, savepoints: [...path.savepoints, { name: effect.name, value: path.now }] };
    case "release": {
      const at = path.savepoints.findLastIndex((s) => s.name === effect.name);
      return at === -1 ? path : { ...path, savepoints: path.savepoints.slice(0, at) };
    }
    case "rollback-to": {
      const at = path.savepoints.findLastIndex((s) => s.name === effect.name);
      const savepoint = path.savepoints[at];
      return savepoint ? { ...path, now: savepoint.value, savepoints: path.savepoints.slice(0, at + 1) } : path;
    }
    case "set": {
      if (effect.name !== "search_path") return path;
      const value = effect.value ?? path.initial;
      return { ...path, now: { ...path.now, session: effect.isLocal ? path.now.session : value, effective: value } };
    }
    case "reset-all":
      return { ...path, now: { ...path.now, session: path.initial, effective: path.initial } };
    case "discard-all":
      return { ...path, now: { session: path.initial, effective: path.initial, tables: noTables } };
    case "create-temporary": {
      const { name, relation, isDroppedAtCommit } = effect;
      return withTables(path, new Map(path.now.tables).set(name, { relation, isDroppedAtCommit }));
    }
    case "drop-temporary": {
      const { names } = effect;
      if (names === undefined) return withTables(path, noTables);
      return withTables(path, new Map([...path.now.tables].filter(([name]) => !names.includes(name))));
    }
    case "prepare":
    case "deallocate":
    case "catalog-changed":
      return path;
    default:
      return unreachable(effect);
  }
}

/** An error: an implicit transaction is undone at once, a block's values come back with its ROLLBACK. */
export const afterError = (path: SearchPath): SearchPath => (path.isInBlock ? path : rolledBack(path));

/**
 * ReadyForQuery tells where the transaction really stands: outside of a block the implicit transaction has ended.
 * A block that the model still believes in was ended by an error at COMMIT.
 */
export function afterReady(path: SearchPath, isIdle: boolean, hadError: boolean): SearchPath {
  if (!isIdle) return path.isInBlock ? path : { ...path, isInBlock: true };
  return hadError && path.isInBlock ? rolledBack(path) : committed(path);
}

/** The server said what the value is (PostgreSQL 18 reports search_path). */
export function reported(path: SearchPath, value: string): SearchPath {
  if (path.now.effective === value) return path;
  const now = { ...path.now, session: path.isInBlock ? path.now.session : value, effective: value };
  return path.isInBlock ? { ...path, now } : { ...path, now, before: now };
}

const withTables = (path: SearchPath, tables: TemporaryTables): SearchPath => ({
  ...path,
  now: { ...path.now, tables },
});

/** ON COMMIT DROP. */
function afterCommit(tables: TemporaryTables): TemporaryTables {
  const kept = [...tables].filter(([, table]) => !table.isDroppedAtCommit);
  return kept.length === tables.size ? tables : new Map(kept);
}

function committed(path: SearchPath): SearchPath {
  const now = { session: path.now.session, effective: path.now.session, tables: afterCommit(path.now.tables) };
  return { ...path, now, before: now, isInBlock: false, savepoints: [] };
}

const rolledBack = (path: SearchPath): SearchPath => ({
  ...path,
  now: path.before,
  isInBlock: false,
  savepoints: [],
});
