/** What the page of a code says. */
export type CodeRow = {
  /** A phrase that goes on "this is about …". */
  readonly title: string;
  readonly explanation: string;
  /** A policy (without its `package` line) that is answered with the code; none where a short one cannot show it. */
  readonly wrong: string | undefined;
  /** The same, mended. */
  readonly right: string | undefined;
};
export type CodeTable = Readonly<Record<string, CodeRow>>;

export const row = (
  title: string,
  explanation: string,
  wrong: string | undefined,
  right: string | undefined,
): CodeRow => ({ title, explanation, wrong, right });
