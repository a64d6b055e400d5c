// decisions and completions -> what is unusual about them: alerts, and facts that rules can ask for
import { type Fact, isKnown, Unknown } from "../../engine/lib/truth.ts";
import { limits } from "../../engine/limits.ts";
import { relationKey } from "../../engine/model/catalog.ts";
import type { TimeFacts } from "../../engine/model/principal.ts";
import type { MonitorFacts } from "../../engine/model/request.ts";
import type { SqlAccess, SqlFacts } from "../../engine/model/statement.ts";
import type { Metric } from "../admin/metrics.ts";
import type { GateSession } from "../postgres/sql-gate.ts";
import { Baseline, hoursInWeek, SlidingSum } from "./baseline.ts";
import type { Detector, MonitorConfig } from "./monitor-config.ts";
import type { KnownItem, Saved, SavedState, SharedState } from "./monitor-store.ts";
import type { Completed, Decided, Watcher } from "./watch.ts";

export type Finding = {
  readonly atMs: number;
  readonly detector: Detector;
  readonly severity: "high" | "low";
  /** Names of tables and numbers, no content. */
  readonly message: string;
  readonly principal: string;
  readonly decisionId: string;
  readonly session: GateSession;
};

export type MonitorDeps = {
  readonly found: (finding: Finding) => void;
  readonly timeFacts: (nowMs: number) => TimeFacts;
  readonly nowMs: () => number;
};

type Sums = Pick<Person, "denials" | "rows" | "bytes" | "written">;

/** What is remembered of one principal on one connection. */
type Person = {
  readonly denials: SlidingSum;
  readonly rows: SlidingSum;
  readonly bytes: SlidingSum;
  readonly written: SlidingSum;
  /** Fingerprints. */
  readonly shapes: Set<string>;
  /** Tables with a sensitive tag that it has used. */
  readonly tables: Set<string>;
  statements: number;
};

/** Between decision and completion. */
type Running = {
  readonly writes: readonly { readonly key: string; readonly table: string }[];
  readonly isRead: boolean;
};

const weekdayIndex = { mon: 0, tue: 1, wed: 2, thu: 3, fri: 4, sat: 5, sun: 6 } as const;
const off = new Unknown("the monitor doesn't watch for this");

export class Monitor implements Watcher {
  readonly #config: MonitorConfig;
  readonly #deps: MonitorDeps;
  readonly #people = new Map<string, Person>();
  readonly #baselines = new Map<string, Baseline>();
  readonly #running = new Map<string, Running>();
  /** Until when the same finding is not told again. */
  readonly #quietUntilMs = new Map<string, number>();
  readonly #counts = new Map<Detector, number>();
  /** What other processes of this gateway have seen, by `key` and worker. */
  readonly #others = {
    people: new Map<string, Map<string, Sums>>(),
    baselines: new Map<string, Map<string, Baseline>>(),
  };
  /** Not in the file yet. */
  #newItems: KnownItem[] = [];
  readonly #changed = { person: new Set<string>(), baseline: new Set<string>() };

  constructor(config: MonitorConfig, deps: MonitorDeps) {
    this.#config = config;
    this.#deps = deps;
  }

  readonly decided = (event: Decided): void => {
    const person = this.#person(event.session);
    if (event.effect === "deny") this.#denied(event, person);
    this.#canaries(event);
    if (event.effect !== "allow") return;
    person.statements += 1;
    const { sql, session, atMs } = event;
    if (this.#isOffHours(session, atMs) === true) {
      this.#find(event, "off-hours", "low", session.id, "works outside of the usual hours");
    }
    const objects = sql === undefined ? [] : sql.accesses.filter(isDirect);
    const writes: { key: string; table: string }[] = [];
    for (const access of objects) {
      const table = tableOf(access);
      const key = `${keyOf(session)}\u0000${table}\u0000${access.verb}`;
      if (isWrite(access)) writes.push({ key, table });
      else this.#add(key, atMs, 1);
      if (this.#isSensitive(access) === true && !person.tables.has(table)) {
        this.#remember(keyOf(session), "table", person.tables, table);
        this.#find(event, "first-access", "low", table, `uses ${table} for the first time`);
      }
    }
    if (sql === undefined) this.#add(`${keyOf(session)}\u0000${event.access ?? ""}\u0000call`, atMs, 1);
    if (this.#isNewShape(person, sql)) {
      this.#find(event, "new-shape", "low", sql?.fingerprint ?? "", `runs a statement of a new shape (${sql?.verb})`);
    }
    if (sql !== undefined) this.#remember(keyOf(session), "shape", person.shapes, sql.fingerprint);
    if (this.#running.size >= limits.monitorRunningMax) {
      const oldest = this.#running.keys().next().value;
      if (oldest !== undefined) this.#running.delete(oldest);
    }
    this.#running.set(event.decisionId, { writes, isRead: writes.length === 0 });
  };

  readonly completed = (event: Completed): void => {
    for (const name of event.canaries ?? [])
      this.#find(event, "canary", "high", name, `was given the canary row ${name}`);
    const running = this.#running.get(event.decisionId);
    if (running === undefined) return;
    this.#running.delete(event.decisionId);
    const person = this.#person(event.session);
    const { atMs, rows, bytes } = event;
    if (running.isRead) {
      person.rows.add(atMs, rows);
      person.bytes.add(atMs, bytes);
      const readRows = this.#total(keyOf(event.session), "rows", atMs);
      const readBytes = this.#total(keyOf(event.session), "bytes", atMs);
      const { bulk } = this.#config;
      if (bulk !== undefined && (readRows > bulk.rows || readBytes > bulk.bytes)) {
        const minutes = Math.round(bulk.windowMs / 60_000);
        this.#find(event, "bulk-export", "high", "", `read ${readRows} rows, ${readBytes} bytes in ${minutes} minutes`);
      }
      return;
    }
    // A statement that writes nothing is an attempt all the same.
    const amount = Math.max(1, affectedBy(event.tag));
    person.written.add(atMs, amount);
    for (const { key, table } of running.writes) this.#written(event, key, table, amount);
  };

  /** Read when a rule asks: nothing is computed before. */
  factsOf(session: GateSession, sql: SqlFacts | undefined): MonitorFacts {
    return new View(this, session, sql);
  }

  /** Numbers, for `factsOf`. */
  amount(session: GateSession, fact: "denials" | "rows" | "bytes" | "written"): Fact<number> {
    const { denials, bulk, surge } = this.#config;
    const isWatched = { denials, rows: bulk, bytes: bulk, written: surge }[fact] !== undefined;
    return isWatched ? this.#total(keyOf(session), fact, this.#deps.nowMs()) : off;
  }

  isFirstAccess(session: GateSession, sql: SqlFacts | undefined): Fact<boolean> {
    if (this.#config.firstAccess === undefined || sql === undefined) return off;
    const tables = this.#people.get(keyOf(session))?.tables;
    const unused = sql.accesses.filter((access) => isDirect(access) && tables?.has(tableOf(access)) !== true);
    if (unused.some((access) => this.#isSensitive(access) === true)) return true;
    const isTold = unused.every((access) => this.#isSensitive(access) !== undefined);
    return isTold ? false : new Unknown("the tags of a table are not known");
  }

  isNewShape(session: GateSession, sql: SqlFacts | undefined): Fact<boolean> {
    if (this.#config.newShape === undefined || sql === undefined) return off;
    const person = this.#people.get(keyOf(session));
    return person !== undefined && this.#isNewShape(person, sql);
  }

  isOffHours(session: GateSession): Fact<boolean> {
    return this.#isOffHours(session, this.#deps.nowMs()) ?? off;
  }

  metrics(): readonly Metric[] {
    return [
      {
        name: "gw_monitor_findings_total",
        help: "what the monitor found, by detector",
        type: "counter",
        samples: [...this.#counts].map(([detector, value]) => ({ labels: { detector }, value })),
      },
      {
        name: "gw_monitor_keys",
        help: "principals and baselines in memory",
        type: "gauge",
        samples: [
          { labels: { kind: "principals" }, value: this.#people.size },
          { labels: { kind: "baselines" }, value: this.#baselines.size },
        ],
      },
    ];
  }

  #denied(event: Decided, person: Person): void {
    person.denials.add(event.atMs, 1);
    const total = this.#total(keyOf(event.session), "denials", event.atMs);
    const { denials } = this.#config;
    if (denials === undefined || total < denials.count) return;
    this.#find(event, "repeated-denials", "high", "", `was denied ${total} times`);
  }

  #canaries(event: Decided): void {
    const { canaries } = this.#config;
    if (canaries === undefined || event.sql === undefined) return;
    for (const { relation } of event.sql.accesses) {
      if (relation === undefined) continue;
      const table = relationKey(relation.schema, relation.name);
      if (canaries.tables.has(table)) this.#find(event, "canary", "high", table, `touched the canary ${table}`);
    }
    for (const { name, text } of canaries.rows) {
      if (event.sql.text.includes(text)) this.#find(event, "canary", "high", name, `asked for the canary row ${name}`);
    }
    if (canaries.columns.size === 0) return;
    for (const { relation, column } of [...event.sql.columnsRead, ...event.sql.columnsWritten]) {
      const name = `${relationKey(relation.schema, relation.name)}.${column}`;
      if (canaries.columns.has(name)) this.#find(event, "canary", "high", name, `touched the canary ${name}`);
    }
  }

  #written(event: Completed, key: string, table: string, amount: number): void {
    const usual = this.#usual(key, this.#hourOfWeek(event.atMs));
    const count = this.#add(key, event.atMs, amount);
    const { surge } = this.#config;
    if (surge === undefined) return;
    // Without a history only the plain number speaks.
    const most = usual === undefined ? surge.atLeast * surge.factor : Math.max(surge.atLeast, usual * surge.factor);
    if (count <= most) return;
    const known = usual === undefined ? "nothing is known of before" : `usual are up to ${Math.ceil(usual)}`;
    this.#find(event, "surge", "high", table, `wrote ${count} rows of ${table} in a minute; ${known}`);
  }

  /** undefined where not all tags are known, and none of those that are. */
  #isSensitive({ relation }: SqlAccess): boolean | undefined {
    const { firstAccess } = this.#config;
    if (firstAccess === undefined || relation === undefined) return false;
    const tags = [relation.tags, ...relation.columns.map((column) => column.tags)];
    if (tags.some((fact) => isKnown(fact) && [...fact].some((tag) => firstAccess.tags.has(tag)))) return true;
    return tags.every(isKnown) ? false : undefined;
  }

  #isNewShape(person: Person, sql: SqlFacts | undefined): boolean {
    const { newShape } = this.#config;
    if (newShape === undefined || sql === undefined || person.statements <= newShape.after) return false;
    // A principal with more shapes than are remembered makes new ones all the time.
    return person.shapes.size < limits.monitorShapesMax && !person.shapes.has(sql.fingerprint);
  }

  #isOffHours({ identity }: GateSession, atMs: number): boolean | undefined {
    const { offHours } = this.#config;
    if (offHours === undefined) return undefined;
    if (isKnown(identity.kind) && !offHours.kinds.has(identity.kind)) return false;
    const { hour, minute, weekday } = this.#deps.timeFacts(atMs);
    if (!isKnown(hour) || !isKnown(minute) || !isKnown(weekday)) return undefined;
    const now = hour * 60 + minute;
    const { from, to, days } = offHours;
    const isInside = from <= to ? now >= from && now < to : now >= from || now < to;
    return !(isInside && days.has(weekday));
  }

  #hourOfWeek(atMs: number): number {
    const { hour, weekday } = this.#deps.timeFacts(atMs);
    return isKnown(hour) && isKnown(weekday) ? (weekdayIndex[weekday] * 24 + hour) % hoursInWeek : 0;
  }

  #add(key: string, atMs: number, amount: number): number {
    const minute = Math.floor(atMs / 60_000);
    const hour = this.#hourOfWeek(atMs);
    let baseline = this.#baselines.get(key);
    if (baseline === undefined) {
      makeRoom(this.#baselines, limits.monitorBaselinesMax);
      baseline = new Baseline(minute, hour);
      this.#baselines.set(key, baseline);
    }
    noteChange(this.#changed.baseline, key);
    return baseline.add(minute, hour, amount);
  }

  #person(session: GateSession): Person {
    const key = keyOf(session);
    noteChange(this.#changed.person, key);
    return this.#personAt(key);
  }

  #personAt(key: string): Person {
    const known = this.#people.get(key);
    if (known !== undefined) return known;
    makeRoom(this.#people, limits.monitorPeopleMax);
    const person: Person = { ...this.#sumsOf({}), shapes: new Set(), tables: new Set(), statements: 0 };
    this.#people.set(key, person);
    return person;
  }

  #sumsOf(saved: Readonly<Record<string, unknown>>): Sums {
    const windowMs = this.#config.bulk?.windowMs ?? 600_000;
    return {
      denials: SlidingSum.from(this.#config.denials?.windowMs ?? 300_000, saved.denials),
      rows: SlidingSum.from(windowMs, saved.rows),
      bytes: SlidingSum.from(windowMs, saved.bytes),
      written: SlidingSum.from(60_000, saved.written),
    };
  }

  /** In its window, with what other processes told of. */
  #total(key: string, fact: keyof Sums, nowMs: number): number {
    let total = this.#people.get(key)?.[fact].total(nowMs) ?? 0;
    for (const sums of this.#others.people.get(key)?.values() ?? []) total += sums[fact].total(nowMs);
    return total;
  }

  /** A job may have run in another process last week. */
  #usual(key: string, hourOfWeek: number): number | undefined {
    const all = [this.#baselines.get(key), ...(this.#others.baselines.get(key)?.values() ?? [])];
    const known = all.flatMap((baseline) => baseline?.usual(hourOfWeek) ?? []);
    return known.length === 0 ? undefined : Math.max(...known);
  }

  #remember(person: string, kind: KnownItem["kind"], set: Set<string>, item: string): void {
    if (set.has(item) || set.size >= limits.monitorShapesMax) return;
    set.add(item);
    if (this.#newItems.length < limits.monitorChangesMax) this.#newItems.push({ person, kind, item });
  }

  /** What has changed since the last call, `max` rows of each kind; `keep` takes it back where it can't be written. */
  takeChanges(max: number): { readonly saved: Saved; readonly keep: () => void } {
    const items = this.#newItems.slice(0, max);
    this.#newItems = this.#newItems.slice(max);
    const take = (kind: SavedState["kind"], savedOf: (key: string) => unknown): readonly SavedState[] => {
      const keys = [...this.#changed[kind]].slice(0, max);
      for (const key of keys) this.#changed[kind].delete(key);
      return keys.flatMap((key) => {
        const value = savedOf(key);
        return value === undefined ? [] : [{ kind, key, value: JSON.stringify(value) }];
      });
    };
    const states = [
      ...take("person", (key) => savedPerson(this.#people.get(key))),
      ...take("baseline", (key) => this.#baselines.get(key)?.save()),
    ];
    const keep = (): void => {
      this.#newItems.unshift(...items);
      for (const { kind, key } of states) this.#changed[kind].add(key);
    };
    return { saved: { items, states }, keep };
  }

  /** `from` is "others" once the process runs: of its own file it knows more than the file then. */
  learn(
    items: readonly KnownItem[],
    states: readonly SharedState[],
    isOwn: (state: SharedState) => boolean,
    from: "all" | "others" = "all",
  ): void {
    for (const { person, kind, item } of items) {
      const known = kind === "shape" ? this.#personAt(person).shapes : this.#personAt(person).tables;
      if (known.size < limits.monitorShapesMax) known.add(item);
    }
    for (const state of states) {
      const isMine = isOwn(state);
      if (isMine && from === "others") continue;
      const value = readSaved(state.value);
      if (state.kind === "baseline") this.#learnBaseline(state, value, isMine);
      else if (isRecord(value)) this.#learnPerson(state, value, isMine);
    }
  }

  #learnBaseline({ key, worker }: SharedState, value: unknown, isMine: boolean): void {
    const baseline = Baseline.from(value);
    if (baseline === undefined) return;
    if (!isMine) {
      putOther(this.#others.baselines, limits.monitorBaselinesMax, key, worker, baseline);
      return;
    }
    makeRoom(this.#baselines, limits.monitorBaselinesMax);
    this.#baselines.set(key, baseline);
  }

  #learnPerson({ key, worker }: SharedState, value: Readonly<Record<string, unknown>>, isMine: boolean): void {
    const sums = this.#sumsOf(value);
    if (!isMine) putOther(this.#others.people, limits.monitorPeopleMax, key, worker, sums);
    const person = this.#personAt(key);
    // Whoever is known to one process is known to all.
    person.statements = Math.max(person.statements, Number(value.statements) || 0);
    if (isMine) this.#people.set(key, { ...person, ...sums });
  }

  /** `about` tells findings of one detector apart. The same one is told once in `limits.monitorQuietMs`. */
  #find(
    { atMs, decisionId, session }: Pick<Decided, "atMs" | "decisionId" | "session">,
    detector: Detector,
    severity: "high" | "low",
    about: string,
    message: string,
  ): void {
    const key = `${detector}\u0000${keyOf(session)}\u0000${about}`;
    const until = this.#quietUntilMs.get(key);
    if (until !== undefined && atMs < until) return;
    this.#quietUntilMs.delete(key);
    makeRoom(this.#quietUntilMs, limits.monitorPeopleMax);
    this.#quietUntilMs.set(key, atMs + limits.monitorQuietMs);
    this.#counts.set(detector, (this.#counts.get(detector) ?? 0) + 1);
    const principal = principalOf(session);
    this.#deps.found({ atMs, detector, severity, message, principal, decisionId, session });
  }
}

class View implements MonitorFacts {
  readonly #monitor: Monitor;
  readonly #session: GateSession;
  readonly #sql: SqlFacts | undefined;

  constructor(monitor: Monitor, session: GateSession, sql: SqlFacts | undefined) {
    this.#monitor = monitor;
    this.#session = session;
    this.#sql = sql;
  }

  get denials(): Fact<number> {
    return this.#monitor.amount(this.#session, "denials");
  }
  get rowsRead(): Fact<number> {
    return this.#monitor.amount(this.#session, "rows");
  }
  get bytesRead(): Fact<number> {
    return this.#monitor.amount(this.#session, "bytes");
  }
  get rowsWritten(): Fact<number> {
    return this.#monitor.amount(this.#session, "written");
  }
  get isFirstAccess(): Fact<boolean> {
    return this.#monitor.isFirstAccess(this.#session, this.#sql);
  }
  get isNewShape(): Fact<boolean> {
    return this.#monitor.isNewShape(this.#session, this.#sql);
  }
  get isOffHours(): Fact<boolean> {
    return this.#monitor.isOffHours(this.#session);
  }
}

const principalOf = ({ identity }: GateSession): string => (isKnown(identity.sub) ? identity.sub : "unknown");
const keyOf = (session: GateSession): string => `${principalOf(session)}\u0000${session.connection.name}`;
const isDirect = (access: SqlAccess): boolean => access.relation !== undefined && access.implied === undefined;
const isWrite = ({ kind }: SqlAccess): boolean => kind === "write" || kind === "ddl";
const tableOf = ({ relation }: SqlAccess): string =>
  relation === undefined ? "" : relationKey(relation.schema, relation.name);

/** `INSERT 0 30`, `UPDATE 30`, `COPY 30`: rows that a statement wrote. */
const affectedBy = (tag: string | undefined): number => Number(/ (\d+)$/.exec(tag ?? "")?.[1] ?? 0);

/** Nobody may come for them: then the first ones are as good as any. */
function noteChange(changed: Set<string>, key: string): void {
  if (changed.size < limits.monitorChangesMax) changed.add(key);
}

const savedPerson = (person: Person | undefined) =>
  person && {
    denials: person.denials.save(),
    rows: person.rows.save(),
    bytes: person.bytes.save(),
    written: person.written.save(),
    statements: person.statements,
  };

function readSaved(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

function putOther<T>(of: Map<string, Map<string, T>>, max: number, key: string, worker: string, value: T): void {
  const known = of.get(key);
  if (known === undefined) makeRoom(of, max);
  of.set(key, (known ?? new Map<string, T>()).set(worker, value));
}

/** The one that came first gives way. */
function makeRoom(map: Map<string, unknown>, max: number): void {
  if (map.size < max) return;
  const oldest = map.keys().next().value;
  if (oldest !== undefined) map.delete(oldest);
}
