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

const fromWorker: ReadonlySet<string> = new Set([
  ...["hello", "ready", "failed", "changed", "prepared", "cancel", "cancelled", "beat", "ended"],
]);
const toWorker: ReadonlySet<string> = new Set([
  ...["start", "prepare", "settle", "cancel", "cancelled", "retire", "stop", "others"],
]);

/** SAFETY: both ends are this program's own, over a pipe that nobody else has; the protocol number is compared at the start. */
export const decodeFromWorker = (message: unknown): FromWorker | undefined =>
  isTyped(message) && fromWorker.has(message.type) ? (message as FromWorker) : undefined;

export const decodeToWorker = (message: unknown): ToWorker | undefined =>
  isTyped(message) && toWorker.has(message.type) ? (message as ToWorker) : undefined;

const isTyped = (message: unknown): message is { readonly type: string } =>
  typeof message === "object" && message !== null && "type" in message && typeof message.type === "string";
