// MCP messages in both directions -> what goes on, what is answered instead. Knows no transport.
import type { MaskDescribed } from "../../engine/content/tag-masker.ts";
import type { Json } from "../../engine/lib/json.ts";
import { field, isObject, type JsonObject, textField, withField, withoutField } from "../../engine/lib/read-json.ts";
import { ok } from "../../engine/lib/result.ts";
import { Unknown } from "../../engine/lib/truth.ts";
import { limits } from "../../engine/limits.ts";
import { refusedCall, refusedRequest } from "../../engine/mcp/deny.ts";
import { describedOnly, isUndescribed } from "../../engine/mcp/described.ts";
import { type McpAction, type McpFault, readAction } from "../../engine/mcp/facts.ts";
import {
  idKey,
  type RpcError,
  type RpcMessage,
  type RpcNotification,
  type RpcRequest,
  type RpcResult,
  rpcCodes,
  rpcError,
} from "../../engine/mcp/json-rpc.ts";
import { maskMessage } from "../../engine/mcp/mask-message.ts";
import type { ContentMasker } from "../../engine/mcp/mask-text.ts";
import { isFrom, methodOf } from "../../engine/mcp/methods.ts";
import { createdTask, isTaskMethod, offeredTasks, ownTasks, taskIdOf } from "../../engine/mcp/tasks.ts";
import { isVersion, modernVersion, versionMetaKey } from "../../engine/mcp/versions.ts";
import type { ContentMask, Obligations } from "../../engine/model/decision.ts";
import type { McpFacts } from "../../engine/model/request.ts";
import type { Clock, Log } from "../deps.ts";
import type {
  Refusal,
  Subject,
  TrafficGate,
  TrafficSession,
  TrafficVerdict,
  Unable,
  Withdrawal,
} from "../gate/traffic.ts";
import { bodyResult } from "../recording/results.ts";
import { filterList } from "./lists.ts";
import type { SqlArguments } from "./sql-arguments.ts";
import type { Asked, McpState, Owed } from "./state.ts";
import type { McpTask, TaskBook } from "./tasks.ts";
import type { KnownTool, ToolBook } from "./tool-book.ts";

export type McpConnection = {
  readonly name: string;
  /** Goes before the names of tools and prompts: `crm.refund`. */
  readonly server: string;
  readonly book: ToolBook;
  readonly tasks: TaskBook;
  /** `deny`: a tool that changed is hidden and refused until somebody accepts it. */
  readonly onToolChange: "alert" | "deny";
  readonly makeMasker: (masks: readonly ContentMask[]) => ContentMasker;
  /** Undefined: none of the masks is about tags of a schema. */
  readonly makeTagMasker: (masks: readonly ContentMask[]) => MaskDescribed | undefined;
  /** Why these masks can't be carried out here; undefined: they can. */
  readonly whyUnable: (masks: readonly ContentMask[]) => Unable | undefined;
  readonly sql: SqlArguments | undefined;
  readonly clock: Clock;
  readonly log: Log;
};

/** The client's side of a conversation. */
export type Peer = {
  readonly gate: TrafficGate;
  readonly session: TrafficSession;
  readonly state: McpState;
  /** Join keys besides the message's own. */
  readonly refs: Readonly<Record<string, string>>;
  readonly trace?: Subject["trace"];
};

export type Judged =
  | { readonly kind: "answer"; readonly message: RpcMessage }
  /** A notification or an answer that doesn't go on. */
  | { readonly kind: "drop" }
  | { readonly kind: "forward"; readonly message: RpcMessage; readonly asked: Asked | undefined }
  | { readonly kind: "hold"; readonly wait: WaitForPeople };

export type WaitForPeople = (
  signal: AbortSignal,
  waitMs: number,
  onAsked: (notice: string) => void,
) => Promise<Exclude<Judged, { readonly kind: "hold" }> | { readonly kind: "gone" }>;

export type Down = {
  readonly toClient: RpcMessage | undefined;
  /** The gateway's own answer to a request of the server's that the client doesn't see. */
  readonly toServer: RpcMessage | undefined;
};

/** One result of `tools/list`, asked in the client's session; undefined: the server has none. */
export type AskForTools = (cursor: string | undefined) => Promise<JsonObject | undefined>;

export type Mediator = {
  readonly judge: (peer: Peer, message: RpcMessage, askForTools: AskForTools) => Promise<Judged>;
  /** `origin`: the request on whose stream the message came; undefined: a stream of its own. */
  readonly passDown: (peer: Peer, message: RpcMessage, origin: Asked | undefined) => Down;
  /** A stream of the server's own. @returns how to end it; or that it is refused */
  readonly openStream: (peer: Peer) => OpenStream | "refused";
  /** A refusal of the transport's own, on record. */
  readonly refuse: (peer: Peer, message: RpcRequest | RpcNotification, fault: McpFault) => void;
  /** The server ended the exchange without an answer. */
  readonly lost: (peer: Peer, asked: Asked, code: string, message: string) => RpcMessage;
  /** The gateway ended the exchange: its session is over. */
  readonly cutOff: (peer: Peer, asked: Asked, why: Refusal, isModern: boolean) => RpcMessage;
};

/** `whyCut`: a code, where it was the gateway that ended it. */
export type OpenStream = { readonly decisionId: string; readonly end: (whyCut: string | undefined) => void };

/** What a request about a task is about, and what the answer must meet besides the request's own obligations. */
type AboutTask = {
  readonly id: string;
  readonly task: McpTask;
  readonly tool: KnownTool["tool"] | undefined;
  readonly owed: Owed;
};

const nothing: Down = { toClient: undefined, toServer: undefined };

export function createMediator(connection: McpConnection): Mediator {
  const { server, book } = connection;

  const subjectOf = (action: McpAction, peer: Peer, refs: Readonly<Record<string, string>> = {}): Subject => ({
    facts: { protocol: "mcp", mcp: action.facts },
    text: action.text,
    access: action.access,
    binding: action.binding,
    shown: [],
    refs: { ...peer.refs, ...refs, ...(action.toolUseId === undefined ? {} : { toolUse: action.toolUseId }) },
    ...(peer.trace === undefined ? {} : { trace: peer.trace }),
    whyUnable: ({ content = [] }) =>
      isUndescribed(action.facts.method) && hasTags(content) ? undescribedHere : connection.whyUnable(content),
  });

  /** Of a message that isn't a client's call: nothing of it is named. */
  const plainSubject = (facts: McpFacts, text: string, peer: Peer): Subject =>
    subjectOf(
      {
        facts,
        toolName: undefined,
        access: facts.method,
        text,
        binding: [text, JSON.stringify(facts.args)],
        toolUseId: undefined,
      },
      peer,
    );

  const factsFor = (method: string, args: Json): McpFacts => ({
    server,
    method,
    tool: undefined,
    resource: undefined,
    prompt: undefined,
    args,
  });

  const refused = (message: RpcRequest | RpcNotification, refusal: Refusal): Judged => {
    if (message.kind === "notification") return { kind: "drop" };
    return { kind: "answer", message: refusalAnswer(message, refusal) };
  };

  const refusalAnswer = (message: RpcRequest, refusal: Refusal): RpcResult | RpcError =>
    answersCall(message.method)
      ? refusedCall(message.id, refusal, isModernRequest(message))
      : refusedRequest(message.id, refusal);

  /** undefined: its approval, if it runs on one, holds. */
  const takenBack = (peer: Peer, asked: Asked): RpcResult | RpcError | undefined => {
    if (!asked.withdrawal?.signal.aborted) return undefined;
    if (!asked.isAnswered) {
      asked.isAnswered = true;
      const durationUs = Math.max(0, connection.clock.nowMs() - asked.startedAtMs) * 1_000;
      const cancelled = { outcome: "cancelled", tag: "approval-withdrawn", rows: 0, bytes: 0, durationUs } as const;
      peer.gate.complete(peer.session, asked.decisionId, cancelled);
    }
    return asked.withdrawal.answer;
  };

  const refuseFault = (
    peer: Peer,
    message: RpcRequest | RpcNotification,
    fault: McpFault,
    subject = plainSubject(factsFor(message.method, null), message.method, peer),
  ): Judged => {
    const verdict = peer.gate.refuse(peer.session, subject, fault);
    peer.gate.record(peer.session, [verdict]);
    if (verdict.kind !== "refuse") return { kind: "drop" };
    if (message.kind === "request" && fault.code === "mcp-method-unknown") {
      return { kind: "answer", message: rpcError(message.id, rpcCodes.methodNotFound, fault.message) };
    }
    return refused(message, verdict.refusal);
  };

  // ---- client -> server

  const judgeCall = async (
    peer: Peer,
    message: RpcRequest | RpcNotification,
    askForTools: AskForTools,
  ): Promise<Judged> => {
    const action = readAction(message, server);
    if (message.kind === "request" && !peer.state.reserve(message.id)) {
      return refuseFault(peer, message, {
        code: "mcp-id-repeated",
        message: "this request's id was used before in the session",
        help: "give each request an id of its own",
      });
    }
    if (!action.ok) return refuseFault(peer, message, action.error);
    const refs = message.kind === "request" ? { rpc: idKey(message.id) } : {};
    const task = isTaskMethod(message.method) ? taskFor(peer, message.params) : undefined;
    const of = task !== undefined && "task" in task ? { task: task.task.decisionId } : {};
    const subject = subjectOf(action.value, peer, { ...refs, ...of });
    if (task !== undefined && "code" in task) return refuseFault(peer, message, task, subject);
    const verdict = peer.gate.decide(peer.session, subject);
    if (verdict.kind === "refuse") {
      peer.gate.record(peer.session, [verdict]);
      return refused(message, verdict.refusal);
    }
    const owesTags = hasTags(verdict.obligations.content);
    const prepared = await prepare(peer, message, action.value, subject, owesTags, askForTools);
    if (prepared.kind !== "ready") return prepared.judged;
    const release = (released: TrafficVerdict & { readonly kind: "release" }, withdrawal?: Withdrawal): Judged => {
      if (message.kind === "notification") {
        peer.gate.complete(peer.session, released.decisionId, done("ok", 0, 0));
        return { kind: "forward", message: prepared.message, asked: undefined };
      }
      const asked: Asked = {
        id: message.id,
        method: message.method,
        tool: prepared.tool ?? task?.tool,
        ...(prepared.tool === undefined || action.value.facts.args instanceof Unknown
          ? {}
          : { args: action.value.facts.args }),
        decisionId: released.decisionId,
        owed: task === undefined ? owedOf(released.obligations) : bothOwed(owedOf(released.obligations), task.owed),
        ...(task === undefined ? {} : { taskId: task.id }),
        startedAtMs: connection.clock.nowMs(),
        ...(withdrawal === undefined
          ? {}
          : { withdrawal: { signal: withdrawal.signal, answer: refusalAnswer(message, withdrawal.refusal) } }),
        isAnswered: false,
      };
      peer.state.put(asked);
      return { kind: "forward", message: prepared.message, asked };
    };
    if (verdict.kind === "release" && prepared.sqlHold === undefined) {
      peer.gate.record(peer.session, [verdict]);
      prepared.recordSql();
      return release(verdict);
    }
    return {
      kind: "hold",
      wait: async (signal, waitMs, onAsked) => {
        if (prepared.sqlHold !== undefined) {
          const sql = await prepared.sqlHold(signal);
          if (sql === "gone") return { kind: "gone" };
          if (sql !== "granted") return notHeld(refuseFault(peer, message, sql, subject));
        }
        // Waiting took time: policies, counters and the hour may have moved on.
        const now = prepared.sqlHold === undefined ? verdict : peer.gate.decide(peer.session, subject);
        if (now.kind !== "hold") {
          peer.gate.record(peer.session, [now]);
          return now.kind === "release" ? notHeld(release(now)) : notHeld(refused(message, now.refusal));
        }
        const outcome = await peer.gate.hold(peer.session, now, signal, {
          waitMs,
          onAsked: ({ notice }) => onAsked(notice),
        });
        if (outcome.kind === "withdrawn") return { kind: "gone" };
        if (outcome.kind === "refused") return notHeld(refused(message, outcome.refusal));
        prepared.recordSql();
        return notHeld(release(outcome.verdict, outcome.withdrawal));
      },
    };
  };

  /** The task that a request is about: one's own, made by a call that would still be let through. */
  const taskFor = (peer: Peer, params: JsonObject | undefined): AboutTask | McpFault => {
    const id = taskIdOf(params);
    const task = id === undefined ? undefined : connection.tasks.find(id, peer.state.owner);
    if (id === undefined || task === undefined) {
      return {
        code: "mcp-task-unknown",
        message: "there is no such task of yours",
        help: "tasks are forgotten in time",
      };
    }
    const known = book.get(task.tool);
    const decision = previewTool(peer, task.tool, task.args ?? new Unknown("the arguments are too long to be kept"));
    const now = decision === undefined || decision.effect === "deny" ? [] : (decision.obligations.content ?? []);
    const owed = bothOwed(task.owed, { content: now, limits: [] });
    if (
      decision === undefined ||
      decision.effect === "deny" ||
      (known?.isChanged && (hasTags(owed.content) || connection.onToolChange === "deny"))
    ) {
      return {
        code: "mcp-task-refused",
        message: `a call of \`${task.tool}\` isn't let through any more, so neither is what it made`,
        help: undefined,
      };
    }
    return { id, task, tool: known?.tool, owed };
  };

  type Prepared =
    | {
        readonly kind: "ready";
        readonly message: RpcRequest | RpcNotification;
        readonly tool: KnownTool["tool"] | undefined;
        readonly recordSql: () => void;
        readonly sqlHold: ((signal: AbortSignal) => Promise<"granted" | "gone" | McpFault>) | undefined;
      }
    | { readonly kind: "refused"; readonly judged: Exclude<Judged, { readonly kind: "hold" }> };

  const ready = (message: RpcRequest | RpcNotification): Prepared & { readonly kind: "ready" } => ({
    kind: "ready",
    message,
    tool: undefined,
    recordSql: () => undefined,
    sqlHold: undefined,
  });

  /** What the server gets: our own spelling, and of a tool call arguments that fit the tool's types. */
  const prepare = async (
    peer: Peer,
    message: RpcRequest | RpcNotification,
    action: McpAction,
    subject: Subject,
    owesTags: boolean,
    askForTools: AskForTools,
  ): Promise<Prepared> => {
    const refuse = (fault: McpFault): Prepared => ({
      kind: "refused",
      judged: notHeld(refuseFault(peer, message, fault, subject)),
    });
    const inputs = inputResponsesFault(peer, message);
    if (inputs !== undefined) return refuse(inputs);
    if (message.method === "notifications/cancelled") {
      const id = field(message.params ?? {}, "requestId");
      const isOwn = (typeof id === "string" || typeof id === "number") && peer.state.askedFor(id) !== undefined;
      return isOwn ? ready(message) : { kind: "refused", judged: { kind: "drop" } };
    }
    if (isTaskMethod(message.method) && message.params !== undefined) {
      return ready(withCapabilities(peer, { ...message, params: withoutField(message.params, "task") }));
    }
    if (message.kind === "notification" || message.method !== "tools/call")
      return ready(withCapabilities(peer, message));
    const name = action.toolName ?? "";
    const known = await book.find(name, askForTools);
    if (!known) {
      return refuse({
        code: "mcp-tool-unknown",
        message: `the server has no tool \`${name}\` whose arguments can be typed`,
        help: "`tools/list` shows what there is",
      });
    }
    // A mask of tags rests on what the tool says of its result: a server must not take that back by itself.
    if (known.isChanged && (owesTags || connection.onToolChange === "deny")) {
      return refuse({
        code: "mcp-tool-changed",
        message: `the description of \`${name}\` changed since it was accepted`,
        help: `have it looked at: \`gw mcp pins accept ${connection.name} ${name}\``,
      });
    }
    if (owesTags && (known.tool.output === undefined || known.tool.output.described.isOpaque)) {
      return refuse({
        ...undescribedHere,
        message: `a rule masks what \`${name}\` tags, and no output schema describes its result`,
      });
    }
    const misfit = known.tool.checkArguments(action.facts.args instanceof Unknown ? null : action.facts.args);
    if (misfit !== undefined) {
      return refuse({
        code: "mcp-arguments-invalid",
        message: `the arguments don't fit the tool's schema: ${misfit}`,
        help: "`tools/list` has the schema",
      });
    }
    const withTool = { ...ready(withCapabilities(peer, message)), tool: known.tool };
    const sql = connection.sql?.judge(peer.session, name, message.params ?? {});
    if (sql === undefined) return withTool;
    if (!sql.ok) return refuse(sql.error);
    return {
      ...withTool,
      message: { ...message, params: sql.value.params },
      recordSql: sql.value.record,
      sqlHold: sql.value.hold,
    };
  };

  /** Answers to what a server may ask within a result (2026-07-28): each is a request of that kind to the client. */
  const inputResponsesFault = (peer: Peer, message: RpcRequest | RpcNotification): McpFault | undefined => {
    const responses = field(message.params ?? {}, "inputResponses");
    if (responses === undefined) return undefined;
    if (!isObject(responses)) return inputFault("`inputResponses` is an object");
    for (const response of Object.values(responses)) {
      const method = isObject(response) ? inputMethodOf(response) : undefined;
      if (method === undefined) return inputFault("an input response is of no kind that is known");
      const verdict = peer.gate.decide(
        peer.session,
        plainSubject(factsFor(method, response), `answer to ${method}`, peer),
      );
      peer.gate.record(peer.session, [verdict]);
      if (verdict.kind === "refuse") return inputFault(verdict.refusal.reason);
      if (verdict.kind === "hold") return inputFault("answers to a server can't wait for approval");
      peer.gate.complete(peer.session, verdict.decisionId, done("ok", 0, 0));
    }
    return undefined;
  };

  /** What the client offers a server is what policies let the server ask for. */
  const withCapabilities = <M extends RpcRequest | RpcNotification>(peer: Peer, message: M): M => {
    const { params } = message;
    if (params === undefined) return message;
    const mayAsk = (method: string): boolean => {
      const facts: McpFacts = { ...factsFor(method, null), args: new Unknown("nothing was asked yet") };
      return peer.gate.preview(peer.session, plainSubject(facts, method, peer), "optimistic")?.effect === "allow";
    };
    const trim = (capabilities: JsonObject): JsonObject => {
      let left = withoutField(capabilities, "tasks");
      for (const [name, method] of askable)
        if (Object.hasOwn(left, name) && !mayAsk(method)) left = withoutField(left, name);
      return left;
    };
    const capabilities = field(params, "capabilities");
    if (message.method === "initialize" && isObject(capabilities)) {
      return { ...message, params: withField(params, "capabilities", trim(capabilities)) };
    }
    const meta = field(params, "_meta");
    const offered = isObject(meta) ? field(meta, capabilitiesMetaKey) : undefined;
    if (!isObject(meta) || !isObject(offered)) return message;
    return { ...message, params: withField(params, "_meta", withField(meta, capabilitiesMetaKey, trim(offered))) };
  };

  const judgeAnswer = (peer: Peer, message: RpcResult | RpcError): Judged => {
    const method = message.id === undefined ? undefined : peer.state.takeExpected(message.id);
    if (method === undefined) return { kind: "drop" };
    const args: Json = message.kind === "result" ? message.result : null;
    const verdict = peer.gate.decide(peer.session, plainSubject(factsFor(method, args), `answer to ${method}`, peer));
    if (verdict.kind === "hold") return { kind: "drop" };
    peer.gate.record(peer.session, [verdict]);
    if (verdict.kind === "refuse") {
      return {
        kind: "forward",
        message: rpcError(message.id, rpcCodes.refused, "the gateway withholds the answer"),
        asked: undefined,
      };
    }
    peer.gate.complete(peer.session, verdict.decisionId, done("ok", 0, 0));
    return { kind: "forward", message, asked: undefined };
  };

  // ---- server -> client

  /**
   * Of everything that this client can have asked for: what comes on a stream of its own may belong to any of it.
   * undefined: that can't be told before the server's tools are known.
   */
  const allMasks = (peer: Peer): readonly ContentMask[] | undefined => {
    const masks = new Map(peer.state.masks().map((mask) => [mask.rule, mask]));
    const any = new Unknown("it may belong to any request");
    const facts: McpFacts = {
      server,
      method: "notifications/message",
      tool: any,
      resource: any,
      prompt: any,
      args: any,
    };
    const general = peer.gate.preview(peer.session, plainSubject(facts, "any", peer), "optimistic");
    const tools = book.all();
    // Where a rule denies some of it, only what is looked at one by one is known.
    if (general?.effect !== "allow" && tools.length === 0 && masks.size === 0) return undefined;
    const decisions = [general, ...tools.map(({ tool }) => previewTool(peer, tool.name, any))];
    for (const each of decisions) {
      if (each === undefined || each.effect === "deny") continue;
      for (const mask of each.obligations.content ?? []) masks.set(mask.rule, mask);
    }
    return [...masks.values()];
  };

  const previewTool = (peer: Peer, name: string, args: McpFacts["args"]) => {
    const tool = `${server}.${name}`;
    const facts: McpFacts = { ...factsFor("tools/call", null), tool, args };
    return peer.gate.preview(peer.session, plainSubject(facts, `tools/call ${tool}`, peer), "optimistic");
  };

  const masked = (
    message: RpcMessage,
    masks: readonly ContentMask[],
    about?: Pick<Answering, "method" | "tool">,
  ): RpcMessage | Unable => {
    if (masks.length === 0) return message;
    const ofTags = connection.makeTagMasker(masks);
    const method = about?.method ?? ("method" in message ? message.method : "");
    const described = ofTags ? describedOnly(message, method, about?.tool?.output, ofTags) : ok(message);
    const result = described.ok ? maskMessage(described.value, connection.makeMasker(masks)) : described;
    return result.ok
      ? result.value
      : {
          code: "mcp-unmaskable",
          message: `the answer holds ${result.error.what}: what a mask can't read is not passed`,
          help: `masked by ${masks.map((mask) => mask.rule).join(", ")}`,
        };
  };

  const passRequest = (peer: Peer, message: RpcRequest): Down => {
    const refuse = (code: number, text: string): Down => ({ ...nothing, toServer: rpcError(message.id, code, text) });
    const row = methodOf(message.method);
    if (!row || !isFrom(row, "server") || row.form !== "request") {
      return refuse(rpcCodes.methodNotFound, "the gateway doesn't pass this method");
    }
    const verdict = peer.gate.decide(
      peer.session,
      plainSubject(factsFor(message.method, message.params ?? null), `server asks ${message.method}`, peer),
    );
    if (verdict.kind === "hold") return refuse(rpcCodes.refused, "requests of a server can't wait for approval");
    peer.gate.record(peer.session, [verdict]);
    if (verdict.kind === "refuse") return refuse(rpcCodes.refused, "the gateway's policies don't allow this");
    const others = allMasks(peer);
    const shown = others && masked(message, [...others, ...(verdict.obligations.content ?? [])]);
    if (shown === undefined || !("kind" in shown) || !peer.state.expectAnswer(message.id, message.method)) {
      peer.gate.complete(peer.session, verdict.decisionId, done("refused", 0, 0));
      return refuse(rpcCodes.refused, "the gateway can't pass this request");
    }
    peer.gate.complete(peer.session, verdict.decisionId, done("ok", 0, 0));
    return { ...nothing, toClient: shown };
  };

  const passNotification = (peer: Peer, message: RpcNotification): Down => {
    const row = methodOf(message.method);
    if (!row || !isFrom(row, "server") || row.form !== "notification") return nothing;
    if (message.method === "notifications/tools/list_changed") book.forget();
    if (message.method === "notifications/resources/updated" && !mayRead(peer, message)) return nothing;
    if (message.method.startsWith("notifications/tasks")) return passTaskNews(peer, message);
    const masks = allMasks(peer);
    const shown = masks && masked(message, masks);
    return shown !== undefined && "kind" in shown ? { ...nothing, toClient: shown } : nothing;
  };

  /** One's own tasks only, and what an answer to `tasks/get` would show. */
  const passTaskNews = (peer: Peer, message: RpcNotification): Down => {
    const { params } = message;
    const about = taskFor(peer, params);
    if (params === undefined || "code" in about) return nothing;
    const { owed } = about;
    const asked = { id: about.id, method: "tasks/get", tool: about.tool, decisionId: about.task.decisionId, owed };
    const checked =
      checkInputRequests(peer, params) ?? checkTask({ kind: "result", id: about.id, result: params }, about.id);
    const shown = "kind" in checked ? maskTask(checked, asked) : checked;
    return "kind" in shown && shown.kind === "result"
      ? { ...nothing, toClient: { ...message, params: shown.result } }
      : nothing;
  };

  /** The name of a resource that may not be read isn't told either. */
  const mayRead = (peer: Peer, message: RpcNotification): boolean => {
    const uri = textField(message.params ?? {}, "uri");
    if (uri === undefined) return false;
    const facts: McpFacts = { ...factsFor("resources/read", {}), resource: uri };
    const decision = peer.gate.preview(peer.session, plainSubject(facts, `resources/read ${uri}`, peer), "optimistic");
    return decision !== undefined && decision.effect !== "deny";
  };

  const passAnswer = (peer: Peer, message: RpcResult | RpcError, origin: Asked | undefined): Down => {
    const asked = message.id === undefined ? origin : peer.state.askedFor(message.id);
    if (asked === undefined || (message.id === undefined && message.kind === "result")) {
      connection.log.warn(
        { code: "mcp-answer-unasked", connection: connection.name },
        "dropped an answer that nobody asked for",
      );
      return nothing;
    }
    const refusal = takenBack(peer, asked);
    if (refusal !== undefined) return { ...nothing, toClient: refusal };
    const isFirst = !asked.isAnswered;
    asked.isAnswered = true;
    const { shown, unable } = showAnswer(
      peer,
      message.id === undefined ? { ...message, id: asked.id } : message,
      asked,
    );
    if (isFirst) {
      const outcome = unable !== undefined ? "refused" : message.kind === "error" ? "error" : "ok";
      const text = JSON.stringify(shown.kind === "result" ? shown.result : null);
      const bytes = text.length;
      const caps = shown.kind === "result" ? peer.gate.resultCaps : undefined;
      const result = caps && bodyResult(text, "application/json", caps);
      const durationUs = Math.max(0, connection.clock.nowMs() - asked.startedAtMs) * 1_000;
      const tag = unable?.code ?? (shown.kind === "result" && shown.result.isError === true ? "tool-error" : undefined);
      peer.gate.complete(peer.session, asked.decisionId, { outcome, tag, rows: 0, bytes, durationUs, result });
    }
    return { ...nothing, toClient: shown };
  };

  const showAnswer = (
    peer: Peer,
    message: RpcResult | RpcError,
    asked: Asked,
  ): { readonly shown: RpcResult | RpcError; readonly unable: Unable | undefined } => {
    const checked = message.kind === "result" ? checkResult(peer, ownAnswer(message), asked) : message;
    const shown = "kind" in checked ? maskAnswer(checked, asked) : checked;
    const unable = "kind" in shown ? misfitOf(shown, asked) : shown;
    if (unable === undefined && "kind" in shown && (shown.kind === "result" || shown.kind === "error")) {
      return { shown, unable: undefined };
    }
    const why = unable ?? { code: "internal-error", message: "the answer can't be shown", help: undefined };
    const isModern = message.kind === "result" && Object.hasOwn(message.result, "resultType");
    return { shown: withheld(asked, why, isModern), unable: why };
  };

  const withheld = (asked: Answering, why: Unable, isModern: boolean): RpcResult | RpcError => {
    const refusal: Refusal = {
      decisionId: asked.decisionId,
      code: why.code,
      reason: why.message,
      rules: asked.owed.content.map((mask) => mask.rule),
      help: why.help,
      approvalId: undefined,
      retry: "never",
    };
    return answersCall(asked.method) ? refusedCall(asked.id, refusal, isModern) : refusedRequest(asked.id, refusal);
  };

  const misfitOf = (message: RpcMessage, asked: Answering): Unable | undefined => {
    if (message.kind !== "result") return undefined;
    const max = resultBytesMax(asked.owed);
    if (max !== undefined && Buffer.byteLength(JSON.stringify(message.result)) > max.bytes) {
      return { code: "limit", message: `the answer is larger than ${max.bytes} bytes`, help: `limited by ${max.rule}` };
    }
    const structured = field(message.result, "structuredContent");
    if (asked.tool?.checkResult === undefined || structured === undefined || message.result.isError === true)
      return undefined;
    const misfit = asked.tool.checkResult(structured);
    if (misfit === undefined || asked.owed.content.length === 0) return undefined;
    return {
      code: "mcp-masked-misfit",
      message: `masked, the result no longer fits the tool's output schema: ${misfit}`,
      help: "mask with a value of the schema's type and format",
    };
  };

  const maskAnswer = (message: RpcResult | RpcError, asked: Asked): RpcMessage | Unable =>
    asked.taskId !== undefined && asked.method !== "tasks/result" && message.kind === "result"
      ? maskTask(message, asked)
      : masked(message, asked.owed.content, asked);

  /** The result that a task holds (2026-07-28) is masked as the same result by itself; refused, it is refused alone. */
  const maskTask = (message: RpcResult, asked: Answering): RpcMessage | Unable => {
    const outer = masked({ ...message, result: withoutField(message.result, "result") }, asked.owed.content, asked);
    const result = field(message.result, "result");
    if (!("kind" in outer) || outer.kind !== "result" || !isObject(result)) return outer;
    const ofResult = { ...asked, method: "tasks/result" };
    const inner = masked({ ...message, result }, asked.owed.content, ofResult);
    const why = "kind" in inner ? misfitOf(inner, asked) : inner;
    const told = why === undefined ? inner : withheld(ofResult, why, true);
    if (!("kind" in told) || told.kind !== "result") return outer;
    return { ...outer, result: withField(outer.result, "result", told.result) };
  };

  /** Before masks: lists are filtered, tasks noted, what the server asks within is decided. */
  const checkResult = (peer: Peer, message: RpcResult, asked: Asked): RpcResult | Unable => {
    const asks = checkInputRequests(peer, message.result);
    if (asks !== undefined) return asks;
    switch (asked.method) {
      case "initialize":
      case "server/discover":
        return showServer(peer, message);
      case "tools/list":
      case "resources/list":
      case "resources/templates/list":
      case "prompts/list":
        return {
          ...message,
          result: filterList(asked.method, message.result, server, connection, (facts, text) => {
            const decision = peer.gate.preview(peer.session, plainSubject(facts, text, peer), "optimistic");
            return decision !== undefined && decision.effect !== "deny";
          }),
        };
      case "tools/call":
        return noteTask(peer, message, asked);
      case "tasks/list":
        return {
          ...message,
          result: ownTasks(message.result, (id) => connection.tasks.find(id, peer.state.owner) !== undefined),
        };
      case "tasks/get":
      case "tasks/cancel":
        return checkTask(message, asked.taskId);
      default:
        return message;
    }
  };

  const noteTask = (peer: Peer, message: RpcResult, asked: Asked): RpcResult | Unable => {
    const id = createdTask(message.result);
    if (!id.ok) return malformed(id.error);
    if (id.value === undefined) return message;
    const { owner } = peer.state;
    const { tool, args, decisionId, owed } = asked;
    const kept = args === undefined || JSON.stringify(args).length > limits.mcpTaskArgumentsCharsMax ? {} : { args };
    const task = { owner, tool: tool?.name ?? "", decisionId, owed, ...kept };
    return connection.tasks.add(id.value, task) ? message : malformed("the task's id is another call's");
  };

  const checkTask = (message: RpcResult, id: string | undefined): RpcResult | Unable => {
    const named = field(message.result, "taskId");
    if (named !== undefined && named !== id) return malformed("the answer is about another task");
    return message;
  };

  const showServer = (peer: Peer, message: RpcResult): RpcResult | Unable => {
    const version = textField(message.result, "protocolVersion");
    if (version !== undefined && !isVersion(version)) return malformed("the server's protocol version is none");
    if (version !== undefined) peer.state.agree(version);
    const instructions = textField(message.result, "instructions");
    const isChanged = instructions !== undefined && book.pin("(instructions)", { instructions });
    const capabilities = field(message.result, "capabilities");
    let { result } = message;
    if (isObject(capabilities)) {
      const tasks = offeredTasks(field(capabilities, "tasks"));
      const others = withoutField(capabilities, "tasks");
      result = withField(result, "capabilities", tasks === undefined ? others : withField(others, "tasks", tasks));
    }
    if (isChanged && connection.onToolChange === "deny") result = withoutField(result, "instructions");
    return { ...message, result };
  };

  /** What a server asks within a result. One request that isn't allowed refuses the whole: there is no way to answer it. */
  const checkInputRequests = (peer: Peer, result: JsonObject): Unable | undefined => {
    const requests = field(result, "inputRequests");
    if (requests === undefined) return undefined;
    if (!isObject(requests)) return malformed("the server asks in a form that isn't known");
    for (const request of Object.values(requests)) {
      const method = isObject(request) ? textField(request, "method") : undefined;
      const row = method === undefined ? undefined : methodOf(method);
      if (method === undefined || !row || row.from !== "server" || row.form !== "request") {
        return {
          code: "mcp-method-unknown",
          message: "the server asks for something that isn't passed",
          help: undefined,
        };
      }
      const params = isObject(request) ? (field(request, "params") ?? null) : null;
      const verdict = peer.gate.decide(
        peer.session,
        plainSubject(factsFor(method, params), `server asks ${method}`, peer),
      );
      peer.gate.record(peer.session, [verdict]);
      if (verdict.kind === "refuse")
        return { code: verdict.refusal.code, message: verdict.refusal.reason, help: verdict.refusal.help };
      if (verdict.kind === "hold") {
        return { code: "mcp-server-request", message: "requests of a server can't wait for approval", help: undefined };
      }
      peer.gate.complete(peer.session, verdict.decisionId, done("ok", 0, 0));
    }
    return undefined;
  };

  return {
    judge: async (peer, message, askForTools) => {
      switch (message.kind) {
        case "request":
        case "notification":
          return judgeCall(peer, message, askForTools);
        case "result":
        case "error":
          return judgeAnswer(peer, message);
        default:
          return message satisfies never;
      }
    },
    passDown: (peer, message, origin) => {
      switch (message.kind) {
        case "request":
          return passRequest(peer, message);
        case "notification":
          return passNotification(peer, message);
        case "result":
        case "error":
          return passAnswer(peer, message, origin);
        default:
          return message satisfies never;
      }
    },
    refuse: (peer, message, fault) => {
      const action = readAction(message, server);
      refuseFault(peer, message, fault, action.ok ? subjectOf(action.value, peer) : undefined);
    },
    openStream: (peer) => {
      const verdict = peer.gate.decide(
        peer.session,
        plainSubject(factsFor("subscriptions/listen", {}), "listen", peer),
      );
      if (verdict.kind === "hold") return "refused";
      peer.gate.record(peer.session, [verdict]);
      if (verdict.kind === "refuse") return "refused";
      const { decisionId } = verdict;
      return {
        decisionId,
        end: (whyCut) =>
          peer.gate.complete(
            peer.session,
            decisionId,
            whyCut === undefined ? done("ok", 0, 0) : { ...done("cancelled", 0, 0), tag: whyCut },
          ),
      };
    },
    lost: (peer, asked, code, text) => {
      const refusal = takenBack(peer, asked);
      if (refusal !== undefined) return refusal;
      if (!asked.isAnswered) {
        asked.isAnswered = true;
        peer.gate.complete(peer.session, asked.decisionId, { ...done("error", 0, 0), tag: code });
      }
      return rpcError(asked.id, rpcCodes.internalError, text);
    },
    cutOff: (peer, asked, why, isModern) => {
      const refusal = takenBack(peer, asked);
      if (refusal !== undefined) return refusal;
      if (!asked.isAnswered) {
        asked.isAnswered = true;
        peer.gate.complete(peer.session, asked.decisionId, { ...done("cancelled", 0, 0), tag: why.code });
      }
      return answersCall(asked.method) ? refusedCall(asked.id, why, isModern) : refusedRequest(asked.id, why);
    },
  };
}

/** What is filtered and masked for one principal is no answer for another: a shared cache must not keep it. */
const ownAnswer = (message: RpcResult): RpcResult =>
  Object.hasOwn(message.result, "cacheScope")
    ? { ...message, result: withField(message.result, "cacheScope", "private") }
    : message;

const capabilitiesMetaKey = "io.modelcontextprotocol/clientCapabilities";

/** Capabilities of a client, and what a server may ask because of them. */
const askable: readonly (readonly [capability: string, method: string])[] = [
  ["sampling", "sampling/createMessage"],
  ["elicitation", "elicitation/create"],
  ["roots", "roots/list"],
];

/** Which request an answer belongs to, by what only its kind has. */
function inputMethodOf(response: JsonObject): string | undefined {
  if (Object.hasOwn(response, "roots")) return "roots/list";
  if (Object.hasOwn(response, "action")) return "elicitation/create";
  return Object.hasOwn(response, "role") ? "sampling/createMessage" : undefined;
}

const inputFault = (message: string): McpFault => ({ code: "mcp-input-refused", message, help: undefined });

export function isModernRequest(message: RpcMessage): boolean {
  const meta = message.kind === "request" ? field(message.params ?? {}, "_meta") : undefined;
  const version = isObject(meta) ? textField(meta, versionMetaKey) : undefined;
  return version !== undefined && version >= modernVersion;
}

function notHeld(judged: Judged): Exclude<Judged, { readonly kind: "hold" }> {
  return judged.kind === "hold" ? { kind: "drop" } : judged;
}

const done = (outcome: "ok" | "error" | "refused" | "cancelled", bytes: number, durationUs: number) => ({
  outcome,
  tag: undefined,
  rows: 0,
  bytes,
  durationUs,
});

const malformed = (message: string): Unable => ({ code: "mcp-answer-malformed", message, help: undefined });

const hasTags = (content: readonly ContentMask[] | undefined): boolean =>
  content?.some((mask) => mask.content.format === "tagged") ?? false;

const undescribedHere: Unable = {
  code: "mcp-unmaskable",
  message: "a rule masks what output schemas of tools tag, and no schema describes this answer",
  help: "the policy's owner says which tools the mask is for (`on mcp tool …`)",
};

/** What an answer is shown for. */
type Answering = Pick<Asked, "id" | "method" | "tool" | "decisionId" | "owed">;

/** What the model reads: a refusal is a result there. */
const answersCall = (method: string): boolean => method === "tools/call" || method === "tasks/result";

const owedOf = ({ content = [], limits }: Obligations): Owed => ({
  content,
  limits: limits.filter(({ window }) => window === undefined),
});

const bothOwed = (a: Owed, b: Owed): Owed => {
  const content = new Map([...a.content, ...b.content].map((mask) => [JSON.stringify(mask), mask]));
  return { content: [...content.values()], limits: [...a.limits, ...b.limits] };
};

function resultBytesMax({ limits }: Owed): { readonly bytes: number; readonly rule: string } | undefined {
  const [least] = limits.filter(({ unit }) => unit === "bytes").toSorted((a, b) => a.max - b.max);
  return least && { bytes: least.max, rule: least.rule };
}
