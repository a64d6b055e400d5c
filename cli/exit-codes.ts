/** What `gw` ends with. Scripts rely on these: docs/guide.md has the same table, and a test compares them. */
export const exitCodes = {
  /** All is well. */
  ok: 0,
  /** What was asked about is not in order: a policy has errors, a test failed, a file isn't formatted. */
  failed: 1,
  /** The question could not be put: wrong flags, a missing file, an unreadable configuration. */
  usage: 2,
  /** `gw policy diff`: the new version permits or reveals more. */
  widened: 3,
  /** A bug of ours. */
  bug: 70,
} as const;

export type ExitCode = (typeof exitCodes)[keyof typeof exitCodes];
