// What a gate is handed.
import type { Result } from "../../engine/lib/result.ts";
import type { Limits } from "../../engine/limits.ts";
import type { Obligations } from "../../engine/model/decision.ts";
import type { PolicySet } from "../../engine/model/policy.ts";
import type { TimeFacts } from "../../engine/model/principal.ts";
import type { CutText } from "../../engine/sql/literals.ts";
import type { TemplateForm } from "../../engine/sql/template.ts";
import type { Template } from "../../engine/sql/template-tree.ts";
import type { AnalyzedStatement, RewrittenSql, SqlContext, SqlFault } from "../../engine/sql/types.ts";
import type { ApprovalDesk } from "../approvals/desk.ts";
import type { Clock, Log, NewId } from "../deps.ts";
import type { EstimateRows } from "../postgres/row-estimate.ts";
import type { GateSession } from "../postgres/sql-gate.ts";
import type { ContentRecorder } from "../recording/content.ts";
import type { Recorder } from "../recording/recorder.ts";
import type { CanaryScan } from "../telemetry/canary-scan.ts";
import type { Monitor } from "../telemetry/monitor.ts";
import type { GateWatch } from "../telemetry/watch.ts";
import type { Counters } from "./counters.ts";
import type { GateMetrics } from "./gate-metrics.ts";
import type { Shadow } from "./shadow.ts";

/** Analysis and rewriting, with the connection's mask key already in it. */
export type SqlEngine = {
  readonly analyze: (text: string, context: SqlContext) => Result<readonly AnalyzedStatement[], SqlFault>;
  readonly rewrite: (
    statement: AnalyzedStatement,
    obligations: Obligations,
    context: SqlContext,
  ) => Result<RewrittenSql, SqlFault>;
  /** Left out: no text is taken for another one's double. */
  readonly templates?: TemplateEngine;
};

/** See engine/sql/template.ts. */
export type TemplateEngine = {
  readonly templateOf: (text: string, cut: CutText, context: SqlContext) => Template | undefined;
  /** `rewrite` of a template; undefined where each of its texts needs its own. */
  readonly formOf: (template: Template, obligations: Obligations, context: SqlContext) => TemplateForm | undefined;
};

export type GateDeps = {
  /** Name of the connection whose sessions come here. */
  readonly connection: string;
  readonly engine: SqlEngine;
  readonly policies: () => PolicySet;
  readonly counters: Counters;
  readonly recorder: Recorder;
  /** Puts bind values on record; undefined: they are counted. */
  readonly content?: ContentRecorder | undefined;
  readonly approvals: ApprovalDesk;
  readonly approvalHoldMs: number;
  /** Tells approvers how much a statement would touch; undefined: they aren't told. */
  readonly estimateRows?: EstimateRows<GateSession>;
  /** Asked again after a wait for people. */
  readonly isRevoked?: (session: GateSession) => boolean;
  /** A rule has ended the session: nothing of it is let through any more. */
  readonly isEnded?: (session: GateSession) => boolean;
  readonly timeFacts: (nowMs: number) => TimeFacts;
  /** Version of the catalog in force: what waited for people is not released against an older one. */
  readonly catalogVersion: () => string;
  /** Told when a statement names what the catalog doesn't have: somebody may have made it a moment ago. */
  readonly onUnknownName: () => void;
  readonly metrics: GateMetrics;
  /** Who is told of what is on record. */
  readonly watch?: GateWatch | undefined;
  /** Looks for canary rows in the answer of one statement. */
  readonly newScan?: (() => CanaryScan) | undefined;
  /** Facts about the caller's past. */
  readonly monitor?: Pick<Monitor, "factsOf"> | undefined;
  /** Other policies that decide beside those in force, and enforce nothing. */
  readonly shadow?: Shadow | undefined;
  readonly limits: Limits;
  readonly clock: Clock;
  readonly newId: NewId;
  readonly log: Log;
};
