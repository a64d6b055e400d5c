// upstream -> its catalog, kept fresh on a connection of its own
import { limits } from "../../engine/limits.ts";
import type { Catalog } from "../../engine/model/catalog.ts";
import type { ServerFunction } from "../../engine/sql/call-statement.ts";
import type { CatalogSource, Clock, Log, UpstreamTarget } from "../deps.ts";
import { causeCode, GatewayError } from "../errors.ts";
import { type CatalogConnection, connectCatalog } from "./catalog-connection.ts";
import { decodeFunction, firstOwnOid, functionSql } from "./catalog-function.ts";
import { decodeStamps, generationSql, stampsOfSql } from "./catalog-versions.ts";

export type LoadedCatalog = {
  readonly catalog: Catalog;
  readonly defaultSearchPath: string;
  readonly stamps: ReadonlyMap<number, string>;
};
export type LoadCatalog = (query: CatalogConnection["query"]) => Promise<LoadedCatalog>;

export type CatalogSourceDeps = {
  readonly name: string;
  readonly target: UpstreamTarget;
  readonly load: LoadCatalog;
  readonly clock: Clock;
  readonly log: Log;
};

/** `refreshSoon` reads it again in the background, at most once per `catalogCooldownMs`: clients can't drive us against the server. */
export type LiveCatalog = CatalogSource & { readonly refreshSoon: () => void };

/** @throws GatewayError `catalog-unavailable`: without a catalog no statement can be judged */
export async function openCatalogSource(deps: CatalogSourceDeps): Promise<LiveCatalog> {
  const source = new UpstreamCatalog(deps);
  await source.start();
  return source;
}

type Asked = { readonly what: { readonly oids: Set<number>; isAll: boolean }; readonly answer: Promise<boolean> };

class UpstreamCatalog implements LiveCatalog {
  readonly #deps: CatalogSourceDeps;
  #connection: CatalogConnection | undefined;
  #loaded: LoadedCatalog | undefined;
  /** The read that is under way; one that began before a change must not answer for after it. */
  #running: Promise<Catalog> | undefined;
  #next: Promise<Catalog> | undefined;
  #timer: NodeJS.Timeout | undefined;
  #isClosed = false;
  #refreshedSoonAtMs = Number.NEGATIVE_INFINITY;
  #readAtMs = Number.NEGATIVE_INFINITY;
  /** As many as the server has built in, at most: by OID. */
  readonly #builtinFunctions = new Map<number, ServerFunction>();
  /** What the server said before the last whole read. */
  #generation: string | undefined;
  /** The relations that the next look takes together. */
  #asked: Asked | undefined;
  /** One question after the other: none falls into the snapshot of a whole read. */
  #turn: Promise<unknown> = Promise.resolve();

  constructor(deps: CatalogSourceDeps) {
    this.#deps = deps;
  }

  async start(): Promise<void> {
    try {
      await this.refresh();
    } catch (error) {
      await this.close();
      const { host, port, database } = this.#deps.target;
      throw new GatewayError(
        "catalog-unavailable",
        `the catalog of connection \`${this.#deps.name}\` can't be read from ${host}:${port}/${database}: ${reasonOf(error)}`,
        "check `upstream` in the configuration, the password and `sslmode`, and that the server runs",
        error,
      );
    }
    this.#schedule(limits.catalogCheckMs);
  }

  readonly current = (): Catalog => this.#get().catalog;
  readonly defaultSearchPath = (): string => this.#get().defaultSearchPath;

  readonly refresh = (): Promise<Catalog> => {
    if (this.#running === undefined) return this.#begin();
    // What is being read may be older than the caller's change: share the read after it.
    this.#next ??= this.#running
      .catch(() => undefined)
      .then(() => {
        this.#next = undefined;
        return this.#begin();
      });
    return this.#next;
  };

  readonly refreshSoon = (): void => {
    const nowMs = this.#deps.clock.nowMs();
    if (nowMs - this.#refreshedSoonAtMs < limits.catalogCooldownMs || this.#isClosed) return;
    this.#refreshedSoonAtMs = nowMs;
    this.refresh().catch(() => undefined); // the regular read reports it
  };

  readonly isFresh = (relations: readonly number[]): Promise<boolean> => {
    if (this.#asked === undefined) {
      const what = { oids: new Set<number>(), isAll: false };
      const answer = this.#inTurn(() => {
        this.#asked = undefined;
        return what.isAll ? this.#isSameGeneration() : this.#hasStamps([...what.oids]);
      }).then(async (isSame) => {
        if (!isSame) await this.refresh();
        return isSame;
      });
      this.#asked = { what, answer };
    }
    if (relations.length === 0) this.#asked.what.isAll = true;
    for (const oid of relations) this.#asked.what.oids.add(oid);
    return this.#asked.answer;
  };

  /** What initdb made keeps its name and arguments; anything else is asked about again each time. */
  readonly functionOf = async (oid: number): Promise<ServerFunction | undefined> => {
    const known = this.#builtinFunctions.get(oid);
    if (known !== undefined) return known;
    const found = await this.#inTurn(async () => {
      const { query } = await this.#connected();
      return decodeFunction(await query(functionSql(oid)));
    });
    if (found !== undefined && oid < firstOwnOid) this.#builtinFunctions.set(oid, found);
    return found;
  };

  readonly close = async (): Promise<void> => {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    await this.#connection?.close().catch(() => undefined);
  };

  #get(): LoadedCatalog {
    if (this.#loaded === undefined) throw new GatewayError("catalog-unavailable", "the catalog was never read");
    return this.#loaded;
  }

  #begin(): Promise<Catalog> {
    this.#running ??= this.#read().finally(() => {
      this.#running = undefined;
    });
    return this.#running;
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const mine = this.#turn.then(work);
    this.#turn = mine.catch(() => undefined);
    return mine;
  }

  async #connected(): Promise<CatalogConnection> {
    if (this.#isClosed) throw new GatewayError("catalog-unavailable", "the gateway is stopping");
    if (!this.#connection?.isOpen()) {
      this.#builtinFunctions.clear(); // it may be another server by now
      this.#connection = await connectCatalog(this.#deps.target, limits.upstreamConnectTimeoutMs);
    }
    return this.#connection;
  }

  readonly #read = (): Promise<Catalog> =>
    this.#inTurn(async () => {
      const { query } = await this.#connected();
      // Asked first: a change that comes in between is seen by the next look.
      const generation = await textOf(query, generationSql);
      const loaded = await this.#deps.load(query);
      this.#generation = generation;
      this.#readAtMs = this.#deps.clock.nowMs();
      // The same object as long as nothing changed: what hangs on its identity stays valid.
      if (this.#loaded?.catalog.version !== loaded.catalog.version) this.#loaded = loaded;
      else this.#loaded = { ...loaded, catalog: this.#loaded.catalog };
      return this.#loaded.catalog;
    });

  async #isSameGeneration(): Promise<boolean> {
    const { query } = await this.#connected();
    return (await textOf(query, generationSql)) === this.#generation;
  }

  async #hasStamps(oids: readonly number[]): Promise<boolean> {
    const { query } = await this.#connected();
    const { stamps } = this.#get();
    const found = decodeStamps(await textOf(query, stampsOfSql(oids)));
    return oids.every((oid) => found.has(oid) && found.get(oid) === stamps.get(oid));
  }

  /** Reads all of it where something has changed, or when the last read is long ago. */
  async #look(): Promise<void> {
    const isOld = this.#deps.clock.nowMs() - this.#readAtMs >= limits.catalogPollMs;
    const isSame = !isOld && (await this.#inTurn(() => this.#isSameGeneration()));
    if (!isSame) await this.refresh();
  }

  #schedule(delayMs: number): void {
    if (this.#isClosed) return;
    this.#timer = setTimeout(async () => {
      const startedAtMs = this.#deps.clock.nowMs();
      try {
        await this.#look();
      } catch (error) {
        if (this.#isClosed) return;
        this.#deps.log.warn(
          { code: "catalog-unavailable", connection: this.#deps.name, cause: causeCode(error) },
          "the catalog can't be read again",
        );
      }
      // A catalog that takes long to read is read less often: at most a twentieth of the time.
      this.#schedule(Math.max(limits.catalogCheckMs, 20 * (this.#deps.clock.nowMs() - startedAtMs)));
    }, delayMs);
    this.#timer.unref();
  }
}

async function textOf(query: CatalogConnection["query"], sql: string): Promise<string> {
  const value = (await query(sql))[0]?.[0];
  if (typeof value !== "string") throw new Error("catalog: the server gave no text");
  return value;
}

/** The server's own words about a failed login hold names of ours only; anything else is a code. */
function reasonOf(error: unknown): string {
  if (error instanceof Error && "severity" in error) return error.message;
  return causeCode(error);
}
