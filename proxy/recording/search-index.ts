// recorded statements -> a file that finds them. Built from the chain, may be deleted, is no evidence.
import { createHash } from "node:crypto";
import type { DatabaseSync, SQLInputValue, SQLOutputValue, StatementSync } from "node:sqlite";
import { limits } from "../../engine/limits.ts";
import type { SessionEvent } from "../../engine/model/session-event.ts";
import { causeCode, GatewayError } from "../errors.ts";
import { openSqlite } from "../sqlite.ts";

type StatementEvent = Extract<SessionEvent, { readonly type: "statement" }>;
type StartEvent = Extract<SessionEvent, { readonly type: "session-start" }>;

/** Where a line stands: `chain` is "" or `worker-N`. */
export type LinePlace = {
  readonly chain: string;
  readonly segment: string;
  readonly offset: number;
  /** Bytes, without the line feed. */
  readonly length: number;
};

/** How far a chain has been read. `hash` is of the last line. */
export type Progress = { readonly segment: string; readonly offset: number; readonly hash: string };

export type SearchQuery = {
  /** Who asked, whom they act for, or anybody between. */
  readonly person?: string | undefined;
  /** `orders` or `public.orders`. */
  readonly table?: string | undefined;
  readonly column?: string | undefined;
  readonly rule?: string | undefined;
  readonly decision?: "allow" | "deny" | "approval" | undefined;
  /** ms since the epoch, both included. */
  readonly sinceMs?: number | undefined;
  readonly untilMs?: number | undefined;
  /** Words of the statement. */
  readonly text?: string | undefined;
  readonly limit: number;
};

/**
 * A statement's person, shape (decision, accesses, rules) and text are numbers: each has few values and is looked up once. Each
 * of the three indexes holds the other two, so that the rarest leads and the rest is compared without reading a row.
 */
const schema = `
  CREATE TABLE IF NOT EXISTS progress (chain TEXT PRIMARY KEY, segment TEXT NOT NULL, "offset" INTEGER NOT NULL, hash TEXT NOT NULL) STRICT;
  CREATE TABLE IF NOT EXISTS person (id INTEGER PRIMARY KEY, names TEXT NOT NULL UNIQUE, count INTEGER NOT NULL DEFAULT 0) STRICT;
  CREATE TABLE IF NOT EXISTS person_name (name TEXT NOT NULL, person INTEGER NOT NULL, PRIMARY KEY (name, person)) STRICT, WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS session (name TEXT PRIMARY KEY, person INTEGER NOT NULL, chain TEXT NOT NULL, segment TEXT NOT NULL) STRICT, WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS shape (id INTEGER PRIMARY KEY, hash BLOB NOT NULL UNIQUE, effect TEXT NOT NULL, count INTEGER NOT NULL DEFAULT 0) STRICT;
  CREATE TABLE IF NOT EXISTS shape_access (shape INTEGER NOT NULL, access INTEGER NOT NULL, object TEXT NOT NULL, name TEXT NOT NULL, "column" TEXT NOT NULL,
    PRIMARY KEY (shape, access, "column")) STRICT, WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS shape_rule (rule TEXT NOT NULL, shape INTEGER NOT NULL, PRIMARY KEY (rule, shape)) STRICT, WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS text (id INTEGER PRIMARY KEY, hash BLOB NOT NULL UNIQUE, count INTEGER NOT NULL DEFAULT 0) STRICT;
  CREATE VIRTUAL TABLE IF NOT EXISTS words USING fts5 (statement, content='', contentless_delete=1, tokenize="unicode61");
  CREATE TABLE IF NOT EXISTS kept (chain TEXT PRIMARY KEY, segment TEXT NOT NULL) STRICT;
  CREATE TABLE IF NOT EXISTS statement (id INTEGER PRIMARY KEY, at_ms INTEGER NOT NULL, person INTEGER NOT NULL, shape INTEGER NOT NULL,
    text INTEGER NOT NULL, chain TEXT NOT NULL, segment TEXT NOT NULL, "offset" INTEGER NOT NULL, length INTEGER NOT NULL) STRICT;
`;
/** Made behind the first rows of a new file: sorting once is several times faster than keeping four orders all along. */
const orders = `
  CREATE INDEX IF NOT EXISTS statement_person ON statement (person, at_ms, shape, text);
  CREATE INDEX IF NOT EXISTS statement_shape ON statement (shape, at_ms, person, text);
  CREATE INDEX IF NOT EXISTS statement_text ON statement (text, at_ms, person, shape);
  CREATE INDEX IF NOT EXISTS statement_time ON statement (at_ms, person, shape, text);
`;
const version = 3;
/** What every version of it had: nothing else is deleted. */
const ownTables =
  "SELECT count(*) AS n FROM sqlite_master WHERE type = 'table' AND name IN ('progress', 'statement', 'words')";
const firstSegment = "00000001.jsonl";

/** An index as an earlier gw made it: it is deleted, and made anew from the recording. */
export class OldIndexError extends Error {}

export class SearchIndex {
  readonly #database: DatabaseSync;
  readonly #statements = new Map<string, StatementSync>();
  readonly #ids = new Map<string, number>();
  readonly #counts = new Map<string, number>();
  readonly #textsListed: number;
  #isOpen = false;
  #hasOrders = false;

  /** @throws GatewayError `config-unreadable` */
  constructor(path: string, textsListed: number = limits.searchTextsListed) {
    this.#textsListed = textsListed;
    try {
      // It holds words of statements: readable to whom the recording is. What a power cut takes is built again.
      this.#database = openSqlite(path, {
        synchronous: "OFF",
        schema: "PRAGMA cache_size = -65536",
        busyTimeoutMs: 60_000,
      });
      const found = Number(this.#database.prepare("PRAGMA user_version").get()?.user_version ?? 0);
      if (found !== 0 && found !== version) {
        this.#statements.clear();
        const isOurs = this.#database.prepare(ownTables).get()?.n === 3 && found < version;
        this.#database.close();
        throw isOurs ? new OldIndexError() : new TypeError("it is no index of this version");
      }
      this.#database.exec(schema);
      if (found === version) this.#order();
      this.#database.exec(`PRAGMA user_version = ${version}`);
    } catch (error) {
      if (error instanceof OldIndexError) throw error;
      throw new GatewayError(
        "config-unreadable",
        `the index \`${path}\` can't be opened: ${causeCode(error)}`,
        "`--rebuild` makes a new one, `--index FILE` puts it where you may write",
        error,
      );
    }
  }

  progress(chain: string): Progress | undefined {
    const row = this.#one("SELECT segment, offset, hash FROM progress WHERE chain = ?", chain);
    return row && { segment: String(row.segment), offset: Number(row.offset), hash: String(row.hash) };
  }

  addStart(event: StartEvent, { chain: inChain, segment }: Pick<LinePlace, "chain" | "segment">): void {
    this.#begin();
    const { sub, onBehalfOf, chain = [] } = event.principal;
    const names = [...new Set([sub, ...(onBehalfOf === undefined ? [] : [onBehalfOf]), ...chain])];
    const person = this.#idOf("person", JSON.stringify(names), () => {
      const id = this.#insert("INSERT INTO person (names) VALUES (?)", JSON.stringify(names));
      for (const name of names) this.#insert("INSERT OR IGNORE INTO person_name VALUES (?, ?)", name, id);
      return id;
    });
    this.#insert("INSERT OR REPLACE INTO session VALUES (?, ?, ?, ?)", event.session, person, inChain, segment);
    this.#remember(`session ${event.session}`, person);
  }

  add(event: StatementEvent, { chain, segment, offset, length }: LinePlace): void {
    this.#begin();
    const person = this.#personOf(event.session);
    const shape = this.#shapeOf(event);
    const text = this.#textOf(event.statement);
    this.#insert(
      'INSERT INTO statement (at_ms, person, shape, text, chain, segment, "offset", length) VALUES (?, ?, ?, ?, ?, ?, ?, ?)',
      event.atMs,
      person,
      shape,
      text,
      chain,
      segment,
      offset,
      length,
    );
    for (const [table, id] of [
      ["person", person],
      ["shape", shape],
      ["text", text],
    ] as const) {
      const key = `${table} ${id}`;
      this.#counts.set(key, (this.#counts.get(key) ?? 0) + 1);
    }
  }

  /** Segments of a chain before `segment` were pruned: nothing of them is found any more, nor are their words and names kept. */
  forget(chain: string, segment: string): void {
    const known = this.#one("SELECT segment FROM kept WHERE chain = ?", chain);
    if (known?.segment === segment || (known === undefined && segment === firstSegment)) return;
    this.#order();
    // What is deleted is overwritten in the file, too.
    this.#database.exec("PRAGMA secure_delete = ON");
    this.#begin();
    this.#insert("DELETE FROM statement WHERE chain = ? AND segment < ?", chain, segment);
    const unused = "id NOT IN (SELECT text FROM statement)";
    this.#insert(`DELETE FROM words WHERE rowid IN (SELECT id FROM text WHERE ${unused})`);
    this.#insert(`DELETE FROM text WHERE ${unused}`);
    this.#insert("INSERT INTO words (words) VALUES ('optimize')");
    // A session goes on to say whose its statements are, for as long as one of that person's is left.
    this.#insert(
      "DELETE FROM session WHERE chain = ? AND segment < ? AND person NOT IN (SELECT person FROM statement)",
      chain,
      segment,
    );
    this.#insert(
      "DELETE FROM person WHERE id NOT IN (SELECT person FROM statement) AND id NOT IN (SELECT person FROM session)",
    );
    this.#insert("DELETE FROM person_name WHERE person NOT IN (SELECT id FROM person)");
    this.#insert("DELETE FROM shape WHERE id NOT IN (SELECT shape FROM statement)");
    for (const table of ["shape_access", "shape_rule"]) {
      this.#insert(`DELETE FROM ${table} WHERE shape NOT IN (SELECT id FROM shape)`);
    }
    this.#ids.clear();
    this.#insert("INSERT OR REPLACE INTO kept VALUES (?, ?)", chain, segment);
    this.#database.exec("COMMIT");
    this.#isOpen = false;
  }

  /** What was added is found from here on, and the next run goes on behind it. */
  commit(chain: string, { segment, offset, hash }: Progress): void {
    this.#begin();
    for (const [key, count] of this.#counts) {
      const [table, id] = key.split(" ");
      this.#insert(`UPDATE ${table} SET count = count + ? WHERE id = ?`, count, Number(id));
    }
    this.#counts.clear();
    this.#insert("INSERT OR REPLACE INTO progress VALUES (?, ?, ?, ?)", chain, segment, offset, hash);
    this.#database.exec("COMMIT");
    this.#isOpen = false;
  }

  /** Newest first. */
  search(query: SearchQuery): readonly LinePlace[] {
    this.#order();
    const people =
      query.person === undefined
        ? undefined
        : this.#idsOf("SELECT person AS id FROM person_name WHERE name = ?", query.person);
    const shapes = this.#shapesOf(query);
    const words = query.text === undefined ? undefined : matchOf(query.text);
    if (words === "") return [];
    const texts =
      words === undefined
        ? undefined
        : this.#idsOf("SELECT rowid AS id FROM words WHERE words MATCH ? LIMIT ?", words, limits.searchTextsMax + 1);
    const isBroad = texts !== undefined && texts.length > limits.searchTextsMax;
    const sets = [
      { column: "person", ids: people },
      { column: "shape", ids: shapes },
      { column: "text", ids: isBroad ? undefined : texts },
    ].flatMap(({ column, ids }) => (ids === undefined ? [] : [{ column, ids, count: this.#countOf(column, ids) }]));
    if (sets.some(({ ids }) => ids.length === 0) || texts?.length === 0) return [];
    const [leader, ...others] = sets.toSorted((a, b) => a.count - b.count);
    const where: string[] = ["at_ms BETWEEN ? AND ?"];
    const values: SQLInputValue[] = [query.sinceMs ?? 0, query.untilMs ?? Number.MAX_SAFE_INTEGER];
    for (const { column, ids } of others) {
      where.push(`${column} IN (SELECT value FROM json_each(?))`);
      values.push(JSON.stringify(ids));
    }
    if (isBroad && words !== undefined) {
      // Asking the words about each statement costs most where hardly one of many fits: a list is made of them then.
      if (this.#listTexts(words)) where.push("text IN (SELECT id FROM temp.wanted)");
      else {
        where.push("EXISTS (SELECT 1 FROM words WHERE words.rowid = statement.text AND words MATCH ?)");
        values.push(words);
      }
    }
    const rest = `${where.join(" AND ")} ORDER BY at_ms DESC LIMIT ?`;
    const from = (index: string): string => `SELECT id, at_ms FROM statement INDEXED BY statement_${index} WHERE`;
    const found =
      leader === undefined
        ? this.#all(`${from("time")} ${rest}`, ...values, query.limit)
        : leader.ids.flatMap((id) =>
            this.#all(`${from(leader.column)} ${leader.column} = ? AND ${rest}`, id, ...values, query.limit),
          );
    return found
      .toSorted((a, b) => Number(b.at_ms) - Number(a.at_ms) || Number(b.id) - Number(a.id))
      .slice(0, query.limit)
      .flatMap(({ id }) => {
        const row = this.#one('SELECT chain, segment, "offset", length FROM statement WHERE id = ?', id ?? 0);
        if (row === undefined) return [];
        const { chain, segment, offset, length } = row;
        return [{ chain: String(chain), segment: String(segment), offset: Number(offset), length: Number(length) }];
      });
  }

  close(): void {
    if (this.#isOpen) this.#database.exec("ROLLBACK");
    this.#database.close();
  }

  #order(): void {
    if (this.#hasOrders) return;
    this.#database.exec(orders);
    this.#hasOrders = true;
  }

  #begin(): void {
    if (this.#isOpen) return;
    this.#database.exec("BEGIN IMMEDIATE");
    this.#isOpen = true;
  }

  /** Fills `temp.wanted` with the texts that have these words; false where they are too many. */
  #listTexts(words: string): boolean {
    this.#database.exec("CREATE TEMP TABLE IF NOT EXISTS wanted (id INTEGER PRIMARY KEY)");
    this.#database.exec("DELETE FROM temp.wanted");
    const max = this.#textsListed;
    const sql = "INSERT INTO temp.wanted SELECT rowid FROM words WHERE words MATCH ? LIMIT ?";
    return Number(this.#prepared(sql).run(words, max + 1).changes) <= max;
  }

  /** Undefined: the query asks nothing of them. */
  #shapesOf({ table, column, rule, decision }: SearchQuery): readonly number[] | undefined {
    if ((table ?? column ?? rule ?? decision) === undefined) return undefined;
    const where: string[] = [];
    const values: string[] = [];
    if (table !== undefined || column !== undefined) {
      const inside: string[] = [];
      if (table !== undefined) {
        inside.push("(object = ? OR name = ?)");
        values.push(table, table);
      }
      if (column !== undefined) {
        inside.push('"column" = ?');
        values.push(column);
      }
      where.push(`id IN (SELECT shape FROM shape_access WHERE ${inside.join(" AND ")})`);
    }
    if (rule !== undefined) {
      where.push("id IN (SELECT shape FROM shape_rule WHERE rule = ?)");
      values.push(rule);
    }
    if (decision !== undefined) {
      where.push("effect = ?");
      values.push(decision);
    }
    return this.#idsOf(`SELECT id FROM shape WHERE ${where.join(" AND ")}`, ...values);
  }

  #personOf(session: string): number {
    const known = this.#ids.get(`session ${session}`);
    if (known !== undefined) return known;
    const row = this.#one("SELECT person FROM session WHERE name = ?", session);
    return row === undefined ? this.#nobody() : this.#remember(`session ${session}`, Number(row.person));
  }

  /** Of sessions whose start isn't here any more. */
  #nobody(): number {
    return this.#idOf("person", "[]", () => this.#insert("INSERT INTO person (names) VALUES ('[]')"));
  }

  #shapeOf({ effect, accesses, rules }: StatementEvent): number {
    const hash = digest(JSON.stringify([effect, accesses, rules]));
    return this.#idOf("shape", hash, () => {
      const id = this.#insert("INSERT INTO shape (hash, effect) VALUES (?, ?)", hash, effect);
      for (const rule of rules) this.#insert("INSERT OR IGNORE INTO shape_rule VALUES (?, ?)", rule, id);
      for (const [i, access] of accesses.entries()) {
        const [, object = access, columns = ""] = /^\S+ (.+?)(?: \((.*)\))?$/s.exec(access) ?? [];
        const name = object.slice(object.lastIndexOf(".") + 1);
        for (const column of ["", ...columns.split(", ")]) {
          this.#insert("INSERT OR IGNORE INTO shape_access VALUES (?, ?, ?, ?, ?)", id, i, object, name, column);
        }
      }
      return id;
    });
  }

  #textOf(text: string): number {
    const hash = digest(text);
    return this.#idOf("text", hash, () => {
      const id = this.#insert("INSERT INTO text (hash) VALUES (?)", hash);
      this.#insert("INSERT INTO words (rowid, statement) VALUES (?, ?)", id, text);
      return id;
    });
  }

  #idOf(table: "person" | "shape" | "text", key: string | Uint8Array, make: () => number): number {
    const cached = `${table} ${typeof key === "string" ? key : Buffer.from(key).toString("latin1")}`;
    const known = this.#ids.get(cached);
    if (known !== undefined) return known;
    const row = this.#one(`SELECT id FROM ${table} WHERE ${table === "person" ? "names" : "hash"} = ?`, key);
    return this.#remember(cached, row === undefined ? make() : Number(row.id));
  }

  #remember(key: string, id: number): number {
    if (this.#ids.size >= limits.searchIdsKept) this.#ids.clear();
    this.#ids.set(key, id);
    return id;
  }

  #countOf(table: string, ids: readonly number[]): number {
    const row = this.#one(
      `SELECT total(count) AS n FROM ${table} WHERE id IN (SELECT value FROM json_each(?))`,
      JSON.stringify(ids),
    );
    return Number(row?.n ?? 0);
  }

  #prepared(sql: string): StatementSync {
    const known = this.#statements.get(sql);
    if (known !== undefined) return known;
    const made = this.#database.prepare(sql);
    this.#statements.set(sql, made);
    return made;
  }
  #insert(sql: string, ...values: readonly SQLInputValue[]): number {
    return Number(this.#prepared(sql).run(...values).lastInsertRowid);
  }
  #one(sql: string, ...values: readonly SQLInputValue[]): Record<string, SQLOutputValue> | undefined {
    return this.#prepared(sql).get(...values);
  }
  #all(sql: string, ...values: readonly SQLInputValue[]): readonly Record<string, SQLOutputValue>[] {
    return this.#prepared(sql).all(...values);
  }
  #idsOf(sql: string, ...values: readonly SQLInputValue[]): readonly number[] {
    return this.#all(sql, ...values).map(({ id }) => Number(id));
  }
}

const digest = (text: string): Uint8Array => new Uint8Array(createHash("sha256").update(text).digest().subarray(0, 16));

/** Every word, in any order; what joins them within a word (`order_id`) keeps them together. */
const matchOf = (text: string): string =>
  text
    .split(/\s+/)
    .filter((word) => /[\p{L}\p{N}]/u.test(word))
    .map((word) => `"${word.replaceAll('"', '""')}"`)
    .join(" ");
