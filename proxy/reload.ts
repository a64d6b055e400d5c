// What can change while the gateway runs: read, judged, and taken up by all processes together or by none.
import type { Log } from "./deps.ts";

/** `digest` tells processes that they read the same thing. `unchanged`: there is nothing to take up. */
export type Staged =
  | { readonly state: "unchanged" | "ready"; readonly digest: string }
  | { readonly state: "rejected"; readonly digest: string; readonly message: string };

export type Reloadable = {
  /** `policies`, `certificate of prod-pg`. */
  readonly name: string;
  /** Reads and judges what is there now; nothing takes effect yet. Never rejects. */
  readonly prepare: () => Promise<Staged>;
  /** After `prepare`: takes up what is ready when `isTaken`, forgets it otherwise. What was rejected is reported here. */
  readonly settle: (isTaken: boolean) => void;
};

export type ReloadReport = readonly { readonly name: string; readonly staged: Staged; readonly isTaken: boolean }[];

/** One process: each part by itself, a bad one keeps its old state. */
export async function reloadAll(reloadables: readonly Reloadable[]): Promise<ReloadReport> {
  const report: ReloadReport[number][] = [];
  for (const { name, prepare, settle } of reloadables) {
    const staged = await prepare();
    const isTaken = staged.state === "ready";
    settle(isTaken);
    report.push({ name, staged, isTaken });
  }
  return report;
}

/** One line per part that changed or was turned away. Messages may quote policies: they stay out of the log. */
export function logReload(log: Log, report: ReloadReport): void {
  for (const { name, staged, isTaken } of report) {
    if (isTaken) log.info({ code: "reloaded", part: name, digest: staged.digest }, "taken up");
    else if (staged.state === "rejected")
      log.error({ code: "reload-rejected", part: name }, "turned away: the old one stays");
  }
}
