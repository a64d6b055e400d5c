// a session at this moment -> what of it has lasted too long
import type { SessionRules } from "./session-rules.ts";
import type { Run, SessionState } from "./session-state.ts";
import { stopwatchUs } from "./stopwatch.ts";

export type Pace = {
  /** When the client last said something. */
  readonly heardUs: number;
  /** People, the planner or the server are waited for. */
  readonly isWaiting: boolean;
  /** The run that was found before. */
  readonly timedOut: Run | undefined;
};

/** "idle": the session itself. A run: what the server does for too long. */
export function overdue(
  { answers, isQuiet, openRuns, status }: SessionState,
  { idleTimeoutMs, statementTimeoutMs }: SessionRules,
  { heardUs, isWaiting, timedOut }: Pace,
): "idle" | Run | undefined {
  const nowUs = stopwatchUs();
  const isIdle = isQuiet && status === "idle" && !isWaiting;
  if (isIdle && idleTimeoutMs !== undefined && nowUs - heardUs > idleTimeoutMs * 1_000) return "idle";
  if (statementTimeoutMs === undefined || answers.length === 0) return undefined;
  for (const run of openRuns) {
    if (run !== timedOut && nowUs - run.startedUs > statementTimeoutMs * 1_000) return run;
  }
  return undefined;
}
