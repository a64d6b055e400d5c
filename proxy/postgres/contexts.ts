// search_path + the catalog of the moment -> what the meaning of a text depends on
import { effectivePath, parseSearchPath } from "../../engine/sql/settings.ts";
import type { AnalyzedStatement, SqlContext } from "../../engine/sql/types.ts";
import type { PostgresListenerOptions } from "./options.ts";

const nonePrepared: ReadonlyMap<string, AnalyzedStatement> = new Map();

/** Gives the same object while nothing has changed: what is remembered of a statement hangs on it. */
export class Contexts {
  readonly #options: PostgresListenerOptions;
  #latest: SqlContext | undefined;
  #searchPath = "";

  constructor(options: PostgresListenerOptions) {
    this.#options = options;
  }

  /** Of the latest context, as the server spells it. */
  get searchPath(): string {
    return this.#searchPath;
  }

  /** `prepared`: what EXECUTE finds, see `SqlContext.prepared`. */
  of(searchPath: string, prepared: ReadonlyMap<string, AnalyzedStatement> = nonePrepared): SqlContext {
    const { upstream, allowedFunctions } = this.#options;
    const catalog = this.#options.catalog.current();
    const isSame = this.#latest?.catalog === catalog && this.#latest.prepared === prepared;
    if (this.#latest && isSame && this.#searchPath === searchPath) return this.#latest;
    this.#searchPath = searchPath;
    this.#latest = {
      catalog,
      searchPath: effectivePath(parseSearchPath(searchPath), upstream.user, catalog.schemas),
      user: upstream.user,
      parameterTypes: [],
      allowedFunctions,
      temporary: new Map(),
      prepared,
    };
    return this.#latest;
  }
}
