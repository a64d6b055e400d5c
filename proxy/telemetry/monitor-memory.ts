// a monitor and its file: read at the start, exchanged every few seconds, written at the end
import { limits } from "../../engine/limits.ts";
import type { Clock, Log } from "../deps.ts";
import { causeCode } from "../errors.ts";
import type { Monitor } from "./monitor.ts";
import { MonitorStore } from "./monitor-store.ts";

export type MonitorMemory = {
  /** Writes what is new and reads what others wrote: by itself every `limits.monitorFlushMs`. */
  readonly exchange: () => void;
  readonly close: () => void;
};

export type MonitorMemoryDeps = {
  readonly path: string;
  /** "" for a gateway of one process. */
  readonly worker: string;
  readonly clock: Clock;
  readonly log: Log;
};

/** Never throws: a monitor without a memory begins anew, and says so in the log. */
export function openMonitorMemory(
  monitor: Pick<Monitor, "takeChanges" | "learn">,
  { path, worker, clock, log }: MonitorMemoryDeps,
): MonitorMemory {
  let failure: string | undefined;
  const tell = (error: unknown): void => {
    const cause = causeCode(error);
    if (failure !== cause) log.warn({ code: "monitor-store-failed", path, cause }, "the monitor forgets at a restart");
    failure = cause;
  };
  let store: MonitorStore | undefined;
  try {
    store = new MonitorStore(path, worker);
    store.prune(clock.nowMs());
    readAll(store);
  } catch (error) {
    tell(error);
  }
  function readAll(from: MonitorStore): void {
    for (let isMore = true; isMore; ) {
      const news = from.news();
      monitor.learn(news.items, news.states, from.isOwn.bind(from));
      ({ isMore } = news);
    }
  }
  const exchange = (): void => {
    if (store === undefined) return;
    try {
      const { saved, keep } = monitor.takeChanges(limits.monitorFlushRowsMax);
      try {
        if (saved.items.length + saved.states.length > 0) store.save(saved, clock.nowMs());
      } catch (error) {
        keep();
        throw error;
      }
      // Once per turn at most: what is left comes next time.
      const news = store.news();
      monitor.learn(news.items, news.states, (state) => store?.isOwn(state) ?? true, "others");
      failure = undefined;
    } catch (error) {
      tell(error);
    }
  };
  const timer = setInterval(exchange, limits.monitorFlushMs).unref();
  return {
    exchange,
    close: () => {
      clearInterval(timer);
      exchange();
      store?.close();
      store = undefined;
    },
  };
}
