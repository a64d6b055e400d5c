/**
 * Every bound of the gateway: unit in the name, reason beside it. A limit that is exceeded is an ordinary outcome
 * with a cause of its own, never a truncation.
 */
export const limits = {
  /** A policy source file, bytes. Beyond it a bundle is data, not code. */
  policyFileBytesMax: 1_048_576,
  /** Tokens of one policy file. */
  policyTokensMax: 200_000,
  /**
   * Nesting of expressions in a policy. A level takes about 5 KB of the recursive-descent parser's stack: with 64 a third of
   * Node's 984 KB is used, which leaves room for whoever calls it.
   */
  policyNestingMax: 64,
  /** Diagnostics of one policy file: a file of garbage does not become a report of garbage. */
  policyDiagnosticsMax: 200,
  /** Elements of a set or list that a policy may range over (section 6 of the language). */
  policySetElementsMax: 4_096,
  /** Steps that one evaluation of one rule may take, about 1 ms: `dsl/check/cost.ts` adds them up (E0602). */
  policyRuleCostMax: 100_000,
  /** How long a granted approval lives where the rule doesn't say `within`. */
  approvalGrantMs: 3_600_000,
  /** Text of one SQL message, bytes. libpg-query runs in 32-bit WASM memory; see test/hostile. */
  sqlTextBytesMax: 1_048_576,
  /** Characters of a text, the client's or the one that was sent, that an error's place is looked for in: both are parsed for it. */
  errorPositionTextCharsMax: 65_536,
  /** Nesting of a SQL parse tree. PostgreSQL's own parser stops near 5,000 by its stack limit. */
  sqlNestingMax: 500,
  /** Statements in one simple Query message. */
  sqlStatementsMax: 1_000,
  /** Depth of views over views. */
  sqlViewDepthMax: 32,
  /** Nodes of one statement's parse tree: bounds analysis and rewriting. */
  sqlNodesMax: 100_000,
  /** Parsed mask expressions kept: one per mask and column type in use. Over it the cache starts again. */
  sqlTemplatesMax: 5_000,
  /** Bytes of a frontend message other than Bind, CopyData and FunctionCall. Above `sqlTextBytesMax`, so that the SQL limit answers first. */
  frontendMessageBytesMax: 4_194_304,
  /** Bytes of a Bind, CopyData or FunctionCall message (PostgreSQL's own maximum is 1 GB). */
  frontendDataBytesMax: 268_435_456,
  /** Bytes of a startup packet (PostgreSQL's own MAX_STARTUP_PACKET_LENGTH). */
  startupPacketBytesMax: 10_000,
  /** Bytes of a password message. A JWT with many groups is long: agents send up to 64 KiB. */
  passwordBytesMax: 131_072,
  /** From accept to a finished login. */
  loginTimeoutMs: 30_000,
  /** To reach and log in to the upstream. Below `loginTimeoutMs`, so that the client still gets an answer. */
  upstreamConnectTimeoutMs: 10_000,
  /** Concurrent sessions of a listener, in one process. About 60 KB each: 240 MB. */
  sessionsMax: 4_000,
  /** Connections of a listener before their session. Over it the oldest goes, of whichever address has most. */
  arrivalsMax: 2_000,
  /** TLS handshakes and tokens that are begun in one turn of the event loop, about 1 ms each: sessions are served in between. */
  arrivalsPerTurn: 4,
  /** Logins at one server that a process has under way: each makes the server start a process. */
  upstreamLoginsMax: 32,
  /** Clients that wait for theirs. */
  upstreamLoginsWaitingMax: 1_000,
  /** How long one waits. With `upstreamConnectTimeoutMs` well below `loginTimeoutMs`: who waited in vain is told so. */
  upstreamLoginWaitMs: 5_000,
  /** Prepared statements and portals of one session. */
  preparedStatementsMax: 20_000,
  /** Bytes that may wait in one direction before reading stops. */
  relayHighWaterBytes: 1_048_576,
  /** The catalog is read again at least this often; changes that come through the gateway are read at once. */
  catalogPollMs: 15_000,
  /** Between two looks at whether the catalog has changed: a sum over its rows' versions, some milliseconds of the server's. */
  catalogCheckMs: 1_000,
  /** Between two reads of the catalog that unknown names cause. */
  catalogCooldownMs: 1_000,
  /** Tokens whose signature was found good, per set of an issuer's keys: about 1 KB each, the oldest goes first. */
  verifiedTokensMax: 2_000,
  /** Analysed statements kept for one connection. */
  statementCacheEntriesMax: 5_000,
  /** Texts longer than this are analysed each time: with the entries' bound this bounds the cache's memory. */
  statementCacheTextCharsMax: 8_192,
  /** Statements kept per connection with gaps for their literals. Tens of KB each; the oldest goes first. */
  templateShapesMax: 1_000,
  /** Templates of one text apart from its literals: some hold for certain values only. */
  templatesPerShapeMax: 4,
  /** Rewritten forms kept of one cached statement: one per set of obligations. */
  rewriteCacheFormsMax: 16,
  /** Keys (counter and value of its `by`) that are counted at a time. About 600 bytes each. */
  counterKeysMax: 100_000,
  /** Different items that a `distinct` counter tells apart for one key; beyond, its value is unknown and rules on it deny. */
  counterItemsMax: 10_000,
  /** The same over all keys of a gateway. About 150 bytes each. */
  counterItemsTotalMax: 500_000,
  /** Processes that start together make and open the same SQLite files one after the other, within this time. */
  sqliteOpenMs: 10_000,
  /** A process waits this long for the counters that another one holds: with a crash in between the system frees them at once. */
  counterWaitMs: 1_000,
  /** Additions younger than this stay single rows of the shared counters' log: every process has read older ones. */
  counterFoldAgeMs: 10_000,
  /** Default hold for an approval on the PostgreSQL wire. Agents' shells give up at 120 s. */
  approvalHoldMs: 110_000,
  /** The planner's estimate for who approves: longer than this nobody waits to be asked. Mostly a login upstream. */
  rowEstimateMs: 2_000,
  /** Connections that ask for estimates at a time, for one upstream. Over it questions wait their turn, within `rowEstimateMs`. */
  rowEstimatesMax: 4,
  /** Questions that wait for their turn. Over it there is no estimate: as many as four connections answer in `rowEstimateMs`. */
  rowEstimatesWaitingMax: 200,
  /** Statements of one message that the planner is asked about; the rest have no estimate. Twice `rowEstimatesMax`. */
  rowEstimatesPerMessageMax: 8,
  /** Requests that wait for an approval at a time. */
  approvalsPendingMax: 1_000,
  /** Body of a request to the admin interface, bytes: a reason and little else. */
  adminBodyBytesMax: 16_384,
  /** People who are logged in to the approval page. The oldest gives way. */
  pageSessionsMax: 1_000,
  pageSessionMs: 28_800_000,
  /** Logins to the approval page under way, and how long one may take. */
  pageLoginsMax: 1_000,
  pageLoginMs: 600_000,
  /** One request to the identity provider while somebody logs in: seconds. */
  openIdTimeoutS: 5,
  /** Messages about approvals that wait to be delivered to one receiver. Over it the oldest is dropped, and logged. */
  webhookQueueMax: 1_000,
  /** One attempt to deliver. */
  webhookTimeoutMs: 5_000,
  /** Attempts for one message; the wait doubles from the first to the last. */
  webhookAttemptsMax: 8,
  webhookBackoffMs: 1_000,
  webhookBackoffMaxMs: 300_000,
  /** Requests that one listing shows, newest first. */
  approvalsListMax: 500,
  /** How long somebody may vote in an absent person's place before it must be said again: ms. */
  standInMs: 2_592_000_000,
  /** How often requests and grants past their life are put on record as expired. They are refused at once regardless. */
  approvalSweepMs: 1_000,
  /** How often a waiting statement looks for votes that came through another gateway. */
  approvalPollMs: 1_000,
  /** One line of the recording, bytes: longer statements are recorded by digest and prefix, marked. */
  recordLineBytesMax: 262_144,
  /** Decisions and completions that watchers haven't seen yet. They see them at the end of the turn. */
  watchQueueMax: 100_000,
  /** Principals on connections that the monitor remembers; the oldest gives way. About 2 KB each, and their shapes. */
  monitorPeopleMax: 5_000,
  /** Statement shapes and tables of one principal. About 60 bytes each. */
  monitorShapesMax: 2_000,
  /** Baselines: one per principal, connection, object and verb. About 1 KB each. */
  monitorBaselinesMax: 20_000,
  /** Between two exchanges of the monitor's memory with its file: what a kill loses, and how late workers know of each other. */
  monitorFlushMs: 5_000,
  /** Rows of one exchange each way, about 20 ms: the rest comes with the next. */
  monitorFlushRowsMax: 2_000,
  /** Changes that wait for an exchange; beyond, they are in memory alone until something changes again. */
  monitorChangesMax: 50_000,
  /** A locked file is not waited for longer: requests wait meanwhile. */
  monitorStoreWaitMs: 50,
  /** Shapes and tables in the monitor's file: the oldest are forgotten. About 100 bytes each. */
  monitorItemsMax: 500_000,
  /** Sums and baselines that nothing was added to for this long are forgotten: a monthly job is still usual. */
  monitorStateMaxAgeMs: 3_024_000_000,
  /** Statements whose completion the monitor waits for. */
  monitorRunningMax: 20_000,
  /** Sessions that a rule has ended and that are still remembered: many times `sessionsMax`. About 60 bytes each. */
  endedSessionsMax: 100_000,
  /** `gw doctor` takes an address for closed after this. */
  doctorConnectMs: 3_000,
  /** The same finding about the same principal is recorded and told once in this time. */
  monitorQuietMs: 300_000,
  /** Spans and log records wait this long for others, then go to the collector together. */
  telemetryBatchMs: 1_000,
  /** Decisions that wait for the decision log; over it the oldest are dropped, a batch at a time. */
  decisionLogWaitingMax: 20_000,
  /** Entries of one write or one request of the decision log. */
  decisionLogBatchMax: 500,
  /** At the end, what waits may still be sent for this long. */
  telemetryDrainMs: 2_000,
  /** Messages about alerts that wait for one receiver. Over it the oldest is dropped, with a record. */
  alertQueueMax: 500,
  /** Windows of alerts that are open: one per channel, rule, principal and connection. Over it the oldest ends early. */
  alertKeysMax: 10_000,
  /** Alerts of one rule, principal and connection within it are one message, where the configuration gives none. */
  alertWindowMs: 300_000,
  /** Messages to one receiver in a minute, where the configuration gives none. */
  alertsPerMinuteMax: 60,
  /** A rule's message as it is sent, UTF-16 units. */
  alertTextCharsMax: 1_000,
  /** At the end, messages that are under way may still arrive for this long. */
  alertDrainMs: 2_000,
  /** Dropped messages of one receiver and cause are put on record once in this time, with their number. */
  alertDropRecordMs: 10_000,
  /** A segment of the recording, bytes: a new file starts after it. Small enough to copy and to verify alone. */
  recordSegmentBytesMax: 67_108_864,
  /** `batched` durability: the recording reaches the disk at least this often. */
  recordSyncIntervalMs: 50,
  /** A recording that can't be written is tried again after so long, also where no statement asks for it. */
  recordRetryMs: 1_000,
  /** One bind value in the recording, bytes: longer ones are cut, marked. */
  recordValueBytesMax: 1_024,
  /** All bind values of one statement, bytes: with JSON's escapes and base64 they and the text stay near `recordLineBytesMax`. */
  recordValuesBytesMax: 8_192,
  /** Bind values of one statement that are recorded; PostgreSQL takes 65,535. */
  recordValuesMax: 500,
  /** The most that may be recorded of one result, bytes: with JSON's escapes (6 for 1) and base64 it stays near `recordLineBytesMax`. */
  recordResultBytesMax: 32_768,
  /** Rows of one result that are recorded, where the configuration gives no number. */
  recordResultRows: 100,
  /** Bytes of one result that are recorded, where the configuration gives no number. */
  recordResultBytes: 16_384,
  /** One fact about who asks in the recording, as JSON, UTF-16 units: a longer one is left out. */
  recordFactCharsMax: 2_048,
  /** Facts about who asks that the configuration may name. */
  recordFactsMax: 50,
  /** How often a gateway looks whether segments of its recording are past their time. */
  pruneEveryMs: 3_600_000,
  /** Segments that one record of pruning takes away; the next look goes on. A boundary is about 2 KB. */
  pruneSegmentsMax: 50,
  /** Legal holds, released ones among them: the file is read whole at each look. */
  holdsMax: 10_000,
  /** Texts that a search lists before it asks about each statement instead: a list of them is compared with every row. */
  searchTextsMax: 500,
  /** Up to so many they are put into a table of their own, about 1 µs each; of more, each statement's text is asked about by itself. */
  searchTextsListed: 100_000,
  /** Numbers of sessions, shapes and texts that indexing keeps at hand: about 100 bytes each. */
  searchIdsKept: 200_000,
  /** Life of the key that sealed fields are under: who takes it from memory reads no more than this. ms. */
  contentKeyEveryMs: 3_600_000,
  /** Keys of sessions that are kept ready: 32 bytes each. */
  sessionKeysKept: 10_000,
  /** Events that may wait in memory between two writes (`async` durability, completions): past it the next one writes. */
  recordPendingBytesMax: 1_048_576,
  /** One fetch of a secret: a request to Vault, a command. Below `upstreamConnectTimeoutMs`. */
  secretTimeoutMs: 5_000,
  /** An answer that holds a secret, bytes. */
  secretBytesMax: 65_536,
  /** Between two fetches after one that failed, or whose result was refused. */
  secretRetryMs: 2_000,
  /** A secret is not renewed more often. */
  secretRenewMinMs: 1_000,
  /** Client skew that a token's times may have. */
  clockSkewMs: 60_000,
  /** An issuer's keys are fetched again after this. */
  jwksMaxAgeMs: 600_000,
  /** During an outage of the issuer its last keys are good for this long: a key that was withdrawn lives no longer. */
  jwksStaleMaxMs: 3_600_000,
  /** Between two fetches, also when tokens with unknown keys come in: nobody drives us against the issuer. */
  jwksCooldownMs: 5_000,
  /** One fetch of keys. Below `loginTimeoutMs`. */
  jwksTimeoutMs: 5_000,
  /** A JWK set or discovery document, bytes. */
  jwksBytesMax: 262_144,
  /** Quiet time after the last change in the policy folder before it is read: an editor saves in several steps. */
  policyReloadDebounceMs: 100,
  /** The policy folder is read at least this often: network file systems report no changes. */
  policyPollMs: 10_000,
  /** Lines of the function that is generated for one rule: a longer condition runs as closures, which need no compiler. */
  policyGeneratedLinesMax: 4_096,
  /** `input` of a Rego policy, bytes of JSON: beyond it the request is denied. Evaluation may be quadratic in it. */
  regoInputBytesMax: 1_048_576,
  /** Nesting of `input` and of `data` of a Rego policy: the parser inside the module is recursive on a small C stack. */
  regoJsonDepthMax: 64,
  /** A Rego policy's answer, bytes of JSON. */
  regoAnswerBytesMax: 262_144,
  /** Entries of one list of a Rego policy's answer. */
  regoAnswerEntriesMax: 10_000,
  /** A text (message, name) of a Rego policy's answer, UTF-16 units. */
  regoTextCharsMax: 2_048,
  /** Pages of 64 KiB that an instance of a Rego module may grow to. It never shrinks: past a quarter of it (or twice its start) it is renewed. */
  regoMemoryPagesMax: 4_096,
  /** A Rego bundle as it lies on disk, bytes. */
  bundleBytesMax: 67_108_864,
  /** The same unpacked: bounds what a small archive can blow up to. */
  bundleUnpackedBytesMax: 268_435_456,
  /** Files in a bundle. */
  bundleEntriesMax: 10_000,
  /** Bundles that were in force and are kept, to go back to and to know again. */
  bundleHistoryMax: 20,
  /** Time between two looks at a bundle's source, where the configuration gives none. */
  bundlePollMs: 30_000,
  /** A source that fails is asked again after this, twice as late each time, up to ten minutes. */
  bundleRetryMs: 1_000,
  bundleRetryMaxMs: 600_000,
  /** One fetch, from the first byte sent to the last byte read; a long poll has its wait besides. */
  bundleFetchMs: 30_000,
  /** Answers of a registry or a token server other than the bundle itself, bytes. */
  bundleAnswerBytesMax: 1_048_576,
  /** All tests of a bundle that is to be taken up, and the heap of the thread that runs them, MB. */
  bundleTestMs: 60_000,
  bundleTestHeapMbMax: 1_024,
  /** Sessions of a recording that are open at a time while it is decided again. Of an older one nothing is known any more. */
  replaySessionsMax: 100_000,
  /** Different texts whose analysis is kept while a recording is decided again: about 5 KB each. */
  replayAnalysesMax: 50_000,
  /** Requests to models of one recorded session that later tool uses may belong to. */
  replayModelsMax: 1_000,
  /** Statements that a replay keeps as examples of one kind of difference; beyond, they are counted. */
  replayExamplesMax: 20,
  /** Different things (tables and verbs, routes, tools, models) in a recording that a policy is learned from. */
  learnedThingsMax: 5_000,
  /** A WASM module of a Rego bundle, bytes. OPA's own run-time is 0.2 MB of it. */
  regoModuleBytesMax: 33_554_432,
  /** One evaluation of a Rego policy. The gateway's thread waits for it, so it bounds what a slow policy costs everybody. */
  regoDeadlineMs: 100,
  /** To start a worker thread for a Rego policy and load the policy in it; one is kept in reserve. */
  regoWorkerStartMs: 5_000,
  /** The gateway's thread waits this long for a worker that is still starting, after its predecessor was stopped. */
  regoWorkerWaitMs: 500,
  /** JavaScript heap of such a thread, MB: the policy's data as objects while it is loaded, and one answer. */
  regoWorkerHeapMbMax: 1_024,
  /** A failed login is answered after this, twice as late each time up to the second: guesses at one name from one address. */
  loginDelayMs: 100,
  loginDelayMaxMs: 10_000,
  /** A failed login is forgotten after this. */
  loginFailureMemoryMs: 600_000,
  /** Pairs of address and name whose failures are remembered, about 300 bytes each; the oldest is forgotten first. */
  loginFailureKeysMax: 20_000,
  /** Attempts at one name from one address that wait for their turn after a failure; more are refused unheard. */
  loginAttemptsWaitingMax: 16,
  /** Time between two checkpoints of the recording, where the configuration gives none. */
  checkpointEveryMs: 60_000,
  /** Copies of checkpoints that wait for one place that doesn't take them; the oldest go first. */
  checkpointsUnsentMax: 10_000,
  /** To send one copy. */
  checkpointSendMs: 10_000,
  dayMs: 86_400_000,
  /** Worker processes of one gateway. */
  workersMax: 64,
  /** A worker must be ready by then: it compiles the policies and reads every catalog. */
  workerStartMs: 60_000,
  /** A worker that dies is started again after the first of these, twice as late each time up to the second. */
  workerBackoffMs: 100,
  workerBackoffMaxMs: 30_000,
  /** A worker that lived this long starts again at once: its end has nothing to do with the one before. */
  workerSettledMs: 60_000,
  /** How often a worker says that it lives, with its metrics. */
  workerBeatMs: 1_000,
  /** A worker that says nothing for this long is stuck: it is killed, which ends its sessions. */
  workerSilentMsMax: 60_000,
  /** One step of a reload in one worker: reading and compiling. */
  workerReloadMs: 30_000,
  /** CancelRequests of one address that cancel nothing are one line of the recording in this time, with their number. */
  cancelNoteMs: 10_000,
  /** Addresses that are told apart meanwhile. */
  cancelNotesMax: 1_000,
  /** A cancel that another worker must take. */
  workerCancelMs: 2_000,
  /** Cancels that the primary asks the workers about at a time. */
  workerCancelsMax: 1_000,
  /** One MCP message, bytes: SDK servers refuse more too. */
  mcpMessageBytesMax: 4_194_304,
  /** One answer or event of an MCP server, bytes: results are larger than calls, and are held whole while they are masked. */
  mcpAnswerBytesMax: 16_777_216,
  /** Nesting of an MCP message. As deep as a policy may look. */
  mcpJsonDepthMax: 64,
  /** Open MCP sessions (2025-11-25) of a gateway: about 2 KB each. */
  mcpSessionsMax: 10_000,
  /** The same of one principal. */
  mcpSessionsPerOwnerMax: 500,
  /** A session that says nothing for this long is forgotten; its client starts another. */
  mcpSessionIdleMs: 3_600_000,
  /** Requests of one session whose answers may still be replayed. The oldest are forgotten: their replays are dropped. */
  mcpRequestsRememberedMax: 1_000,
  /** Tasks of one MCP server that are remembered, about 500 bytes each; a forgotten one is refused. */
  mcpTasksMax: 10_000,
  /** The same of one principal. */
  mcpTasksPerOwnerMax: 1_000,
  /** Arguments of a task's call, characters: a longer task is decided later as if they were unknown. */
  mcpTaskArgumentsCharsMax: 16_384,
  /** Tools of one server, over all pages. */
  mcpToolsMax: 2_000,
  /** Pages that are read to find a tool. */
  mcpToolPagesMax: 50,
  /** What is known of a server's tools is read again after this; `list_changed` does so at once. */
  mcpToolsMaxAgeMs: 300_000,
  /** A tool's JSON Schema, characters. */
  toolSchemaCharsMax: 65_536,
  /** Subschemas that may apply along all references of a schema: what checking one value can cost. */
  toolSchemaStepsMax: 10_000,
  /** Longest wait for an approval on MCP and the model channel: clients give up after about five minutes of silence. */
  trafficHoldMsMax: 240_000,
  /** Between two signs of life to a client that is held: MCP clients wait 60 s for a first byte, 300 s for the next. */
  holdBeatMs: 10_000,
  /** JSON inside of a string inside of JSON …: deeper can't be looked into, so it isn't passed under a mask. */
  nestedJsonDepthMax: 8,
  /** A request to the model, bytes: the API's own bound is 32 MB. */
  llmRequestBytesMax: 33_554_432,
  /** Nesting of a request to the model: schemas of tools are the deep part. */
  llmJsonDepthMax: 128,
  /** An answer of the model in one piece, bytes. */
  llmAnswerBytesMax: 33_554_432,
  /** One event of a streamed answer, bytes. */
  llmEventBytesMax: 4_194_304,
  /** Input of one tool use that is held back until it is whole, characters. */
  llmToolInputCharsMax: 4_194_304,
  /** Tool uses in one answer. */
  llmToolUsesMax: 256,
  /** Tokens of one image, in a bound on a request's input: what the largest image that the API takes comes to. */
  llmImageTokensMax: 5_000,
  /** Tokens that the provider puts before a request with tools, in a bound on its input. */
  llmToolPromptTokensMax: 1_000,
  /** Names of tools in the record of one request to a model. */
  llmToolNamesMax: 50,
  /** Denied tool uses of one principal that are put back into later requests; the oldest are forgotten. */
  llmDenialsRememberedMax: 1_000,
  /** Quiet time after which a session of HTTP traffic ends: it has no connection that would. */
  httpSessionIdleMs: 1_800_000,
  /** How often an HTTP exchange that lasts is asked whether its token still holds: a revoked one ends within this time. */
  httpSessionLookMs: 1_000,
  /** Sessions of one HTTP listener: past it the one that was quiet for longest ends. About 500 bytes each. */
  httpSessionsMax: 100_000,
  /** Header lines of a request together, bytes: a token of `passwordBytesMax` and 32 KiB for the rest. */
  httpHeaderBytesMax: 163_840,
  /** Header lines of one HTTP/2 request: above the 200 that are read, so that too many are told apart from a broken stream. */
  http2HeaderPairsMax: 256,
  /** Requests that one HTTP/2 connection has open at a time. */
  http2StreamsMax: 128,
  /** Requests that an HTTP/2 connection may cancel at once, and per second from then on (CVE-2023-44487). */
  http2ResetsMax: 200,
  http2ResetsPerSecond: 33,
  /** From the first byte of a request to the end of its head. */
  httpHeadTimeoutMs: 30_000,
  /** From the first byte of a request to its last: large uploads over slow lines, and no request for ever. */
  httpRequestTimeoutMs: 600_000,
  /** Requests of one HTTP listener that run at a time. */
  httpRequestsMax: 10_000,
  /** A request's body where the connection doesn't say, bytes. It is passed on in pieces: this bounds the upstream's work. */
  httpBodyBytesMax: 268_435_456,
  /** A body that a rule reads, bytes: it is held in memory and parsed. */
  httpReadBodyBytesMax: 4_194_304,
  /** A body that people are shown before they approve it, bytes. */
  httpApprovalBodyBytesMax: 65_536,
  /** From the request's last byte to the head of the upstream's answer. */
  httpUpstreamHeadTimeoutMs: 120_000,
  /** Between two pieces of an upstream's answer. */
  httpUpstreamIdleTimeoutMs: 300_000,
  /** Sockets to one upstream. */
  httpUpstreamConnectionsMax: 256,
  /** Nesting of JSON that is read or masked. */
  jsonDepthMax: 128,
  /** One string or number of JSON that is read or masked, UTF-16 units: a value is masked as a whole. */
  jsonScalarCharsMax: 4_194_304,
  /** One line of text, cell of CSV or server-sent event that is masked, UTF-16 units. */
  contentLineCharsMax: 1_048_576,
  /** A JSON answer whose items are filtered, UTF-16 units: it is held whole. */
  contentDocumentCharsMax: 16_777_216,
  /** What an answer may grow to when its content coding is undone, for one byte of it. A bomb of gzip does 1,000. */
  contentExpansionMax: 200,
  /** An answer that is masked or counted is held back up to this, so that what can't be read is a clean refusal. Bytes. */
  answerHoldBytes: 262_144,
} as const;

export type Limits = { readonly [K in keyof typeof limits]: number };
