// What the primary and its workers say to each other, and the check of what comes in.
import type { Metric } from "../admin/metrics.ts";
import type { Staged } from "../reload.ts";

/** Raised when a message changes its meaning: a new generation's code may be newer than the primary's. */
export const clusterProtocol = 1;

export type WorkerStart = {
  readonly type: "start";
  readonly protocol: number;
  readonly configPath: string;
  /** Handed over, not read again: all workers of a generation run the same. */
  readonly configText: string;
  /** `worker-1`: its recording's folder, and its name in logs, metrics and records. No two live workers share one. */
  readonly worker: string;
  /** One worker serves what must be there once: the admin interface, and what keeps its state in one process. */
  readonly isLead: boolean;
  /** Connection, or `admin`, -> the port that a lead before this one was given for port 0: nobody else holds it. */
  readonly ports: Readonly<Record<string, number>>;
};

export type ToWorker =
  | WorkerStart
  | { readonly type: "prepare" }
  /** Names of what is taken up; the rest of what was prepared is forgotten. */
  | { readonly type: "settle"; readonly taken: readonly string[] }
  | ({ readonly type: "cancel" } & RoutedCancel)
  | { readonly type: "cancelled"; readonly id: number; readonly isTaken: boolean }
  /** Another generation has the ports: sessions may go on for `lingerMs`, then as `stop`. */
  | { readonly type: "retire"; readonly lingerMs: number; readonly drainMs: number }
  | { readonly type: "stop"; readonly drainMs: number }
  /** Metrics of the other workers, for the lead. */
  | { readonly type: "others"; readonly metrics: readonly Metric[] };

/** Whoever has the session with this key cancels it. The secret as base64. */
export type RoutedCancel = {
  readonly id: number;
  readonly connection: string;
  readonly processId: number;
  readonly secret: string;
  /** Address that it came from. */
  readonly client: string;
};

export type WorkerReady = {
  readonly type: "ready";
  readonly protocol: number;
  readonly connections: readonly { readonly name: string; readonly host: string; readonly port: number }[];
  readonly admin: { readonly host: string; readonly port: number } | undefined;
  readonly policyHash: string;
};

export type FromWorker =
  /** It listens: what was said before is lost. */
  | { readonly type: "hello" }
  | WorkerReady
  | { readonly type: "failed"; readonly code: string; readonly message: string; readonly help: string | undefined }
  /** Files that a reload reads have changed. */
  | { readonly type: "changed" }
  | { readonly type: "prepared"; readonly parts: readonly { readonly name: string; readonly staged: Staged }[] }
  | ({ readonly type: "cancel" } & RoutedCancel)
  | { readonly type: "cancelled"; readonly id: number; readonly isTaken: boolean }
  | { readonly type: "beat"; readonly sessions: number; readonly metrics: readonly Metric[] }
  /** The last word: where its recording ends. */
  | { readonly type: "ended"; readonly head: string };

/** Fields that the primary relies on. One that broke it would end every session. */
const fromWorker: Readonly<Record<FromWorker["type"], Readonly<Record<string, (value: unknown) => boolean>>>> = {
  hello: {},
  ready: { protocol: isNumber, connections: isList, policyHash: isText },
  failed: { code: isText, message: isText },
  changed: {},
  prepared: { parts: isList },
  cancel: { id: isNumber, connection: isText, processId: isNumber, secret: isText },
  cancelled: { id: isNumber, isTaken: (value) => typeof value === "boolean" },
  beat: { sessions: isNumber, metrics: isList },
  ended: { head: isText },
};
const toWorker: ReadonlySet<string> = new Set([
  ...["start", "prepare", "settle", "cancel", "cancelled", "retire", "stop", "others"],
]);

/**
 * SAFETY: both ends are this program's own, over a pipe that nobody else has; the protocol number is compared at the start. Whose
 * message it is, is known by the pipe: a worker can't speak for another.
 */
export function decodeFromWorker(message: unknown): FromWorker | undefined {
  if (!isTyped(message) || !Object.hasOwn(fromWorker, message.type)) return undefined;
  const fields = Object.entries(fromWorker[message.type as FromWorker["type"]]);
  const of: Readonly<Record<string, unknown>> = { ...message };
  return fields.every(([name, fits]) => fits(of[name])) ? (message as FromWorker) : undefined;
}

export const decodeToWorker = (message: unknown): ToWorker | undefined =>
  isTyped(message) && toWorker.has(message.type) ? (message as ToWorker) : undefined;

function isNumber(value: unknown): boolean {
  return typeof value === "number" && Number.isFinite(value);
}

function isText(value: unknown): boolean {
  return typeof value === "string";
}

function isList(value: unknown): boolean {
  return Array.isArray(value) && value.every((item) => typeof item === "object" && item !== null);
}

const isTyped = (message: unknown): message is { readonly type: string } =>
  typeof message === "object" && message !== null && "type" in message && typeof message.type === "string";
