// What the gateway knows of one session at the server: names, settings, and the answers it still owes.
import type { AnalyzedStatement, SessionEffect } from "../../engine/sql/types.ts";
import type { RowCapture } from "../recording/results.ts";
import type { CanaryScan } from "../telemetry/canary-scan.ts";
import { Fifo } from "./fifo.ts";
import { OpenCursors } from "./open-cursors.ts";
import type { ColumnDescription, TransactionStatus } from "./protocol/backend.ts";
import type { ErrorText } from "./protocol/encode.ts";
import type { Named } from "./protocol/frontend.ts";
import {
  afterError,
  afterReady,
  applyEffect,
  initialSearchPath,
  reported,
  type SearchPath,
  type TemporaryTables,
} from "./search-path.ts";
import { Slots } from "./slots.ts";
import type { SqlVerdict } from "./sql-gate.ts";
import { TextStyle } from "./text-style.ts";

export type Release = SqlVerdict & { readonly kind: "release" };
export type Refusal = Omit<ErrorText, "severity">;

/** A statement that has a name at the server: the same one that the client gave it. */
export type Prepared = {
  /** Absent for an empty text. */
  readonly statement: AnalyzedStatement | undefined;
  readonly parameterTypes: readonly number[];
  /** What the server has under the name; `undefined` where that isn't known and it must be parsed again first. */
  readonly sent: Release["rewritten"] | undefined;
  /** search_path that names were resolved with: under another one the text is analysed again. */
  readonly searchPath: string;
  /** Temporary tables that names were resolved with; the same object while nothing has changed. */
  readonly temporary: TemporaryTables;
  /** How the server read texts of dates in it; `undefined` where that isn't known. */
  readonly textStyle: string | undefined;
};

/** One run of a released statement, from its record to its completion. */
export type Run = {
  readonly release: Release;
  rows: number;
  bytes: number;
  readonly startedUs: number;
  readonly segment: number;
  /** What a statement under a ceiling has changed, as the server counted it. */
  counted?: string;
  /** The rule whose ceiling ended it. */
  overLimit?: string;
  /** Keeps what the client gets, where that is recorded. */
  readonly capture?: RunCapture;
  readonly scan?: CanaryScan;
};

export type RunCapture = {
  readonly rows: RowCapture;
  /** Result formats of its Bind; [] for text. */
  readonly formats: readonly number[];
  /** As the server described it to the client; undefined where it didn't. */
  columns: readonly ColumnDescription[] | undefined;
};

/** What the upstream owes for one message that it was sent. Hidden answers belong to messages of the gateway's own. */
export type Answer =
  | {
      readonly kind: "parse";
      readonly name: string;
      readonly prepared: Prepared;
      readonly isHidden: boolean;
      /** Decision that was recorded for the Parse itself, because no Bind came with it. */
      decisionId: string | undefined;
    }
  | { readonly kind: "bind"; readonly portal: string; readonly run: Run | undefined }
  /** `remains` is what the name stands for afterwards: the statement still, for a client, when it is about to be parsed again. */
  | {
      readonly kind: "close";
      readonly target: Named;
      readonly isHidden: boolean;
      readonly remains: Prepared | undefined;
    }
  | { readonly kind: "describe"; readonly rewritten: Release["rewritten"] | undefined; readonly isHidden: boolean }
  | { readonly kind: "execute"; readonly run: Run | undefined }
  | { readonly kind: "query"; readonly runs: readonly Run[]; at: number; readonly segment: number; hasFailed: boolean }
  | {
      readonly kind: "function-call";
      readonly run: Run;
      readonly segment: number;
      /** Its value has come; a ReadyForQuery follows, or an error of the transaction's end. */
      hasReturned: boolean;
      hasFailed: boolean;
    }
  /** The server was sent something that fails, in the place of a refused message; its error becomes `refusal`. */
  | {
      readonly kind: "refusal";
      readonly refusal: Refusal;
      readonly isSimple: boolean;
      readonly dropsUnnamed: boolean;
      readonly segment: number;
      isAnswered: boolean;
    }
  | { readonly kind: "sync"; readonly segment: number; hasFailed: boolean };

/** Waiting for the server to ask for COPY data (or not to), or receiving it. */
export type CopyState = "none" | "expected" | "in";

/**
 * No sockets, no clock: both sides of the relay read and change it, in message order. Effects of statements are
 * announced when they are sent and confirmed when the server has answered; see Slots for why both.
 */
export class SessionState {
  readonly statements = new Slots<Prepared>();
  readonly portals = new Slots<Run>();
  readonly cursors = new OpenCursors();
  readonly answers = new Fifo<Answer>();
  /** Recorded and released, not yet completed. */
  readonly openRuns = new Set<Run>();
  status: TransactionStatus = "idle";
  copy: CopyState = "none";
  /** Number of the stretch of the pipeline that is being sent. */
  segment = 1;
  /** All segments up to this one are answered. */
  settled = 0;
  /** Something was sent since the last Sync or Query: the server may be in an implicit transaction. */
  isSegmentDirty = false;
  /** The server met an error and ignores everything up to a Sync that the client has not sent yet. */
  isSkippingAtServer = false;
  isListening = false;
  /** The server has said FATAL: its close needs no words of ours. */
  hasServerEnded = false;
  /** A write to a protected relation runs in the open transaction: a deferred constraint may still speak of it. */
  hasProtectedWrite = false;
  isCatalogStale = false;
  #confirmed: SearchPath;
  #announced: SearchPath;
  /** The last segment whose outcome decides what the search_path is. */
  #pathSegment = 0;
  #reported: string | undefined;

  readonly #style: TextStyle;

  /** `parameters`: what the server reported at login. */
  constructor(searchPath: string, parameters: ReadonlyMap<string, string> = new Map()) {
    this.#style = new TextStyle(parameters);
    this.#confirmed = initialSearchPath(searchPath);
    this.#announced = this.#confirmed;
  }

  /** Nothing is owed and nothing is half sent: what is answered now needs no word from the server. */
  get isQuiet(): boolean {
    return this.answers.length === 0 && !this.isSegmentDirty && !this.isSkippingAtServer && this.copy === "none";
  }

  /** The search_path for the next statement; `undefined` while an answer that decides it is out. */
  searchPath(): string | undefined {
    if (this.#pathSegment > this.settled && this.#pathSegment !== this.segment) return undefined;
    return this.#announced.now.effective;
  }

  /** How the next statement's texts of dates are read; `undefined` while an answer that decides it is out. */
  get textStyle(): string | undefined {
    return this.#style.now(this.settled);
  }

  get hasChangedTextStyle(): boolean {
    return this.#style.hasChanged;
  }

  /** Temporary tables as the next statement sees them; decided by the same answers as `searchPath`. */
  get temporary(): TemporaryTables {
    return this.#announced.now.tables;
  }

  sent(answer: Answer): void {
    this.answers.add(answer);
    this.isSegmentDirty = true;
  }

  /** A message that ends a segment was sent. */
  nextSegment(): void {
    this.segment += 1;
    this.isSegmentDirty = false;
  }

  /** What the server has confirmed of SQL's own PREPARE: an EXECUTE is analysed as the statement that it runs. */
  sqlPrepared: ReadonlyMap<string, AnalyzedStatement> = new Map();

  announce(effects: readonly SessionEffect[]): void {
    this.#style.announce(effects, this.segment);
    for (const effect of effects) {
      this.#announced = applyEffect(this.#announced, effect);
      if (effect.kind === "prepare") {
        this.statements.announce(effect.name, this.#preparedBySql(effect.statement), this.segment);
      } else if (effect.kind === "deallocate" && effect.name !== undefined) {
        this.statements.announce(effect.name, undefined, this.segment);
      } else if (effect.kind === "deallocate" || effect.kind === "discard-all") {
        this.statements.announceClear(this.segment);
      }
    }
    const { now } = this.#announced;
    const before = this.#confirmed.now;
    if (effects.length > 0 && (now.effective !== before.effective || now.tables !== before.tables)) {
      this.#pathSegment = this.segment;
    }
  }

  confirm(effects: readonly SessionEffect[], tag: string): void {
    for (const given of effects) {
      // COMMIT of a failed transaction is answered ROLLBACK.
      const effect: SessionEffect =
        given.kind === "commit" && tag === "ROLLBACK" ? { kind: "rollback", chain: given.chain } : given;
      this.#confirmed = applyEffect(this.#confirmed, effect);
      this.sqlPrepared = preparedAfter(this.sqlPrepared, effect);
      if (effect.kind === "prepare") {
        this.statements.confirm(effect.name, this.#preparedBySql(effect.statement));
      } else if (effect.kind === "deallocate" && effect.name !== undefined) {
        this.statements.confirm(effect.name, undefined);
      } else if (effect.kind === "deallocate" || effect.kind === "discard-all") {
        if (effect.kind === "discard-all") this.cursors.discarded();
        this.statements.confirmClear();
      } else if (effect.kind === "catalog-changed") {
        this.isCatalogStale = true;
      }
    }
  }

  /** An ErrorResponse: what was announced and not confirmed in its segment won't happen. */
  failed(): void {
    this.#confirmed = afterError(this.#confirmed);
    this.#pathSegment = this.segment;
  }

  /** A ParameterStatus. */
  report(name: string, value: string): void {
    if (name === "search_path") this.#reported = value;
    this.#style.report(name, value);
  }

  /** ReadyForQuery of `segment`. Returns true where the server's report of search_path corrected the model. */
  ready(segment: number, status: TransactionStatus, hasFailed: boolean): boolean {
    this.status = status;
    this.settled = segment;
    this.statements.settle(segment);
    this.portals.settle(segment);
    this.#confirmed = afterReady(this.#confirmed, status === "idle", hasFailed);
    let isCorrected = false;
    if (this.#reported !== undefined) {
      isCorrected = this.#confirmed.now.effective !== this.#reported;
      this.#confirmed = reported(this.#confirmed, this.#reported);
      this.#reported = undefined;
    }
    if (this.settled === this.segment - 1 && !this.isSegmentDirty) {
      this.#announced = this.#confirmed;
      this.#pathSegment = 0;
    }
    if (status === "idle") {
      this.cursors.transactionEnded(segment);
      this.portals.reset();
      this.hasProtectedWrite = false;
    }
    return isCorrected;
  }

  /** The name is known to the server, the text that it has under it isn't: the gateway wrote it as part of a PREPARE. */
  #preparedBySql(statement: AnalyzedStatement): Prepared {
    const { effective, tables } = this.#announced.now;
    return {
      statement,
      parameterTypes: [],
      sent: undefined,
      searchPath: effective,
      temporary: tables,
      textStyle: undefined,
    };
  }
}

function preparedAfter(
  before: ReadonlyMap<string, AnalyzedStatement>,
  effect: SessionEffect,
): ReadonlyMap<string, AnalyzedStatement> {
  if (effect.kind === "prepare") return new Map(before).set(effect.name, effect.statement);
  if (before.size === 0) return before;
  if (effect.kind === "discard-all" || (effect.kind === "deallocate" && effect.name === undefined)) return new Map();
  if (effect.kind !== "deallocate" || effect.name === undefined) return before;
  const after = new Map(before);
  after.delete(effect.name);
  return after;
}
