// `kind: mcp` -> what answers its requests
import type { ContentMasks, DocumentMasker } from "../engine/content/masker.ts";
import { documentMasker, readContentMasks } from "../engine/content/masker.ts";
import { type MaskDescribed, tagMasker } from "../engine/content/tag-masker.ts";
import { invariant } from "../engine/lib/assert.ts";
import type { ContentMask, RuleId } from "../engine/model/decision.ts";
import type { ConnectionFacts } from "../engine/model/principal.ts";
import { effectivePath, parseSearchPath } from "../engine/sql/settings.ts";
import type { CatalogSource, Clock, Log } from "../proxy/deps.ts";
import type { Unable } from "../proxy/gate/traffic.ts";
import type { PostgresConnectionConfig } from "../proxy/gateway-config.ts";
import type { RouteBehaviour } from "../proxy/http/exchange.ts";
import type { McpConnectionConfig, McpTreatment } from "../proxy/mcp/config.ts";
import { createMcpHandler } from "../proxy/mcp/http-handler.ts";
import type { McpLedger } from "../proxy/mcp/ledger.ts";
import { createMediator, type Mediator } from "../proxy/mcp/mediator.ts";
import { challengeOf, resourceMetadata } from "../proxy/mcp/metadata.ts";
import { openPinBook } from "../proxy/mcp/pins.ts";
import { createMcpSessions } from "../proxy/mcp/sessions.ts";
import { createSqlArguments, type SqlJudge } from "../proxy/mcp/sql-arguments.ts";
import { createTaskBook } from "../proxy/mcp/tasks.ts";
import { createToolBook, type ToolBook } from "../proxy/mcp/tool-book.ts";
import type { SqlGate } from "../proxy/postgres/sql-gate.ts";
import type { Recorder } from "../proxy/recording/recorder.ts";

export type McpParts = {
  readonly recorder: Recorder;
  readonly clock: Clock;
  readonly log: Log;
  /** Who gives tokens: told to clients without one. */
  readonly issuers: readonly string[];
  readonly sqlJudgeOf: (connection: string) => SqlJudge | undefined;
  /** What processes that serve the same clients know together. */
  readonly mcpLedger?: McpLedger;
};

export function mcpBehaviour(connection: McpConnectionConfig, parts: McpParts): RouteBehaviour {
  const book = toolBook(connection, parts);
  const { name, scopes } = connection;
  const resource = { name, url: connection.resource, issuers: parts.issuers, scopes };
  return {
    handler: createMcpHandler({
      target: connection.endpoint,
      mediator: mcpMediator(connection, parts, book),
      sessions: createMcpSessions(parts.clock, parts.mcpLedger, (name) => book.get(name)?.tool),
      origins: new Set(connection.origins),
      resource: connection.resource,
      scopes: connection.scopes,
      clock: parts.clock,
      log: parts.log,
    }),
    tokenHeaders: [],
    sessionHeaders: ["x-claude-code-session-id"],
    open: (request) => resourceMetadata(resource, request),
    challenge: (request) => challengeOf(resource, request),
  };
}

/** What changed of a tool is told under this name: in the record, in the log, on the alert's channel. */
const toolPinRule = "gw.builtin.tool-pin" as RuleId;

export function mcpMediator(
  connection: McpTreatment,
  parts: McpParts,
  book: ToolBook = toolBook(connection, parts),
): Mediator {
  return createMediator({
    name: connection.name,
    server: connection.server,
    onToolChange: connection.onToolChange,
    ...maskersFor(connection.maskKey),
    sql:
      connection.sqlArguments.length === 0 ? undefined : createSqlArguments(connection.sqlArguments, parts.sqlJudgeOf),
    book,
    tasks: parts.mcpLedger?.tasksOf(connection.name) ?? createTaskBook(),
    clock: parts.clock,
    log: parts.log,
  });
}

const toolBook = (connection: McpTreatment, { clock, log, recorder }: McpParts): ToolBook =>
  createToolBook({
    connection: connection.name,
    pins: openPinBook(connection.pinsFile, clock),
    clock,
    log,
    onChanged: (tool, pin) =>
      recorder.recordOutcome({
        atMs: clock.nowMs(),
        session: "",
        type: "alert",
        id: pin,
        rule: toolPinRule,
        channel: "gateway",
        severity: "high",
        message: `\`${connection.server}.${tool}\` of ${connection.name} isn't described as it was when it was accepted`,
      }),
  });

export type MaskersFor = {
  readonly makeMasker: (masks: readonly ContentMask[]) => DocumentMasker;
  /** Undefined: none of them is about tags. */
  readonly makeTagMasker: (masks: readonly ContentMask[]) => MaskDescribed | undefined;
  readonly whyUnable: (masks: readonly ContentMask[]) => Unable | undefined;
};

/** INVARIANT: masks are asked about first, so that making them can't fail. */
export function maskersFor(maskKey: Uint8Array): MaskersFor {
  const readAll = (masks: readonly ContentMask[]): ContentMasks => {
    const read = readContentMasks(masks, maskKey);
    invariant(read.ok, "masks that can't be carried out are refused before");
    return read.ok ? read.value : { paths: [], kinds: [], tags: [], key: maskKey };
  };
  return {
    whyUnable: (masks) => {
      const read = readContentMasks(masks, maskKey);
      return read.ok ? undefined : { code: "mask-unsupported", message: read.error, help: undefined };
    },
    makeMasker: (masks) => documentMasker(readAll(masks)),
    makeTagMasker: (masks) => tagMasker(readAll(masks)),
  };
}

/** What a fresh session of the connection would see: no settings, no temporary tables. */
export function sqlJudge(
  gate: SqlGate,
  catalog: CatalogSource,
  connection: ConnectionFacts,
  { upstream, allowedFunctions }: PostgresConnectionConfig,
): SqlJudge {
  const allowed = new Set(allowedFunctions);
  return {
    gate,
    connection,
    context: () => {
      const now = catalog.current();
      return {
        catalog: now,
        searchPath: effectivePath(parseSearchPath(catalog.defaultSearchPath()), upstream.user, now.schemas),
        user: upstream.user,
        parameterTypes: [],
        allowedFunctions: allowed,
        temporary: new Map(),
      };
    },
  };
}
