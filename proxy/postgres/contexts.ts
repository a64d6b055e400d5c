// search_path + temporary tables + the catalog of the moment -> what the meaning of a text depends on
import { effectivePath, parseSearchPath } from "../../engine/sql/settings.ts";
import type { AnalyzedStatement, SqlContext } from "../../engine/sql/types.ts";
import type { PostgresListenerOptions } from "./options.ts";
import type { TemporaryTables } from "./search-path.ts";

const noRelations: SqlContext["temporary"] = new Map();
const noTables: TemporaryTables = new Map();
const nonePrepared: ReadonlyMap<string, AnalyzedStatement> = new Map();

/** Gives the same object while nothing has changed: what is remembered of a statement hangs on it. */
export class Contexts {
  readonly #options: PostgresListenerOptions;
  #latest: SqlContext | undefined;
  #searchPath = "";
  #temporary: TemporaryTables = noTables;

  constructor(options: PostgresListenerOptions) {
    this.#options = options;
  }

  /** Of the latest context, as the server spells it. */
  get searchPath(): string {
    return this.#searchPath;
  }

  /** Of the latest context. */
  get temporary(): TemporaryTables {
    return this.#temporary;
  }

  /** `prepared`: what EXECUTE finds, see `SqlContext.prepared`. */
  of(
    searchPath: string,
    prepared: ReadonlyMap<string, AnalyzedStatement> = nonePrepared,
    temporary: TemporaryTables = noTables,
  ): SqlContext {
    const { upstream, allowedFunctions } = this.#options;
    const catalog = this.#options.catalog.current();
    const isSame =
      this.#latest?.catalog === catalog && this.#latest.prepared === prepared && this.#temporary === temporary;
    if (this.#latest && isSame && this.#searchPath === searchPath) return this.#latest;
    this.#searchPath = searchPath;
    this.#temporary = temporary;
    this.#latest = {
      catalog,
      searchPath: effectivePath(parseSearchPath(searchPath), upstream.user, catalog.schemas),
      user: upstream.user,
      parameterTypes: [],
      allowedFunctions,
      temporary: temporary.size === 0 ? noRelations : new Map([...temporary].map(([name, t]) => [name, t.relation])),
      prepared,
    };
    return this.#latest;
  }
}
