// upstream -> its catalog, kept fresh on a connection of its own
import { limits } from "../../engine/limits.ts";
import type { Catalog } from "../../engine/model/catalog.ts";
import type { CatalogSource, Clock, Log, UpstreamTarget } from "../deps.ts";
import { causeCode, GatewayError } from "../errors.ts";
import { type CatalogConnection, connectCatalog } from "./catalog-connection.ts";

export type LoadedCatalog = { readonly catalog: Catalog; readonly defaultSearchPath: string };
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
    this.#schedule(limits.catalogPollMs);
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

  async #read(): Promise<Catalog> {
    if (this.#isClosed) throw new GatewayError("catalog-unavailable", "the gateway is stopping");
    if (!this.#connection?.isOpen()) {
      this.#connection = await connectCatalog(this.#deps.target, limits.upstreamConnectTimeoutMs);
    }
    const loaded = await this.#deps.load(this.#connection.query);
    // The same object as long as nothing changed: what hangs on its identity stays valid.
    if (this.#loaded?.catalog.version !== loaded.catalog.version) this.#loaded = loaded;
    else this.#loaded = { ...loaded, catalog: this.#loaded.catalog };
    return this.#loaded.catalog;
  }

  #schedule(delayMs: number): void {
    if (this.#isClosed) return;
    this.#timer = setTimeout(async () => {
      const startedAtMs = this.#deps.clock.nowMs();
      try {
        await this.refresh();
      } catch (error) {
        if (this.#isClosed) return;
        this.#deps.log.warn(
          { code: "catalog-unavailable", connection: this.#deps.name, cause: causeCode(error) },
          "the catalog can't be read again",
        );
      }
      // A catalog that takes long to read is read less often: at most a twentieth of the time.
      this.#schedule(Math.max(limits.catalogPollMs, 20 * (this.#deps.clock.nowMs() - startedAtMs)));
    }, delayMs);
    this.#timer.unref();
  }
}

/** The server's own words about a failed login hold names of ours only; anything else is a code. */
function reasonOf(error: unknown): string {
  if (error instanceof Error && "severity" in error) return error.message;
  return causeCode(error);
}
