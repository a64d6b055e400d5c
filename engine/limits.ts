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
  /** Bytes of a frontend message other than Bind and CopyData. Above `sqlTextBytesMax`, so that the SQL limit answers first. */
  frontendMessageBytesMax: 4_194_304,
  /** Bytes of a Bind or CopyData message (PostgreSQL's own maximum is 1 GB). */
  frontendDataBytesMax: 268_435_456,
  /** Bytes of a startup packet (PostgreSQL's own MAX_STARTUP_PACKET_LENGTH). */
  startupPacketBytesMax: 10_000,
  /** Bytes of a password message. A JWT with many groups is long: agents send up to 64 KiB. */
  passwordBytesMax: 131_072,
  /** From accept to a finished login. */
  loginTimeoutMs: 30_000,
  /** To reach and log in to the upstream. Below `loginTimeoutMs`, so that the client still gets an answer. */
  upstreamConnectTimeoutMs: 10_000,
  /** Concurrent sessions of a listener. */
  sessionsMax: 2_000,
  /** Prepared statements and portals of one session. */
  preparedStatementsMax: 20_000,
  /** Bytes that may wait in one direction before reading stops. */
  relayHighWaterBytes: 1_048_576,
  /** The catalog is read again at least this often; changes that come through the gateway are read at once. */
  catalogPollMs: 15_000,
  /** Between two reads of the catalog that unknown names cause. */
  catalogCooldownMs: 1_000,
  /** Analysed statements kept for one connection. */
  statementCacheEntriesMax: 5_000,
  /** Texts longer than this are analysed each time: with the entries' bound this bounds the cache's memory. */
  statementCacheTextCharsMax: 8_192,
  /** Rewritten forms kept of one cached statement: one per set of obligations. */
  rewriteCacheFormsMax: 16,
  /** Keys (counter and value of its `by`) that are counted at a time. About 600 bytes each. */
  counterKeysMax: 100_000,
  /** Different items that a `distinct` counter tells apart for one key; beyond, its value is unknown and rules on it deny. */
  counterItemsMax: 10_000,
  /** The same over all keys of a gateway. About 150 bytes each. */
  counterItemsTotalMax: 500_000,
  /** Default hold for an approval on the PostgreSQL wire. Agents' shells give up at 120 s. */
  approvalHoldMs: 110_000,
  /** Requests that wait for an approval at a time. */
  approvalsPendingMax: 1_000,
  /** Body of a request to the admin interface, bytes: a reason and little else. */
  adminBodyBytesMax: 16_384,
  /** Requests that one listing shows, newest first. */
  approvalsListMax: 500,
  /** How often requests and grants past their life are put on record as expired. They are refused at once regardless. */
  approvalSweepMs: 1_000,
  /** How often a waiting statement looks for votes that came through another gateway. */
  approvalPollMs: 1_000,
  /** One line of the recording, bytes: longer statements are recorded by digest and prefix, marked. */
  recordLineBytesMax: 262_144,
  /** A segment of the recording, bytes: a new file starts after it. Small enough to copy and to verify alone. */
  recordSegmentBytesMax: 67_108_864,
  /** `batched` durability: the recording reaches the disk at least this often. */
  recordSyncIntervalMs: 50,
  /** Events that may wait in memory between two writes (`async` durability, completions): past it the next one writes. */
  recordPendingBytesMax: 1_048_576,
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
} as const;

export type Limits = { readonly [K in keyof typeof limits]: number };
