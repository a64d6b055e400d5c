// test/corpus/open-findings.md -> names of the rows that are known to fail
import { readFileSync } from "node:fs";

/** Lines `- corpus: file: row — what happens`. The corpus tests fail for any other row, and for a finding that is mended. */
export function openFindings(corpus: "sql-bypass" | "sql-benign"): readonly string[] {
  return readFileSync("test/corpus/open-findings.md", "utf8")
    .split("\n")
    .flatMap((line) => {
      const match = /^- (sql-bypass|sql-benign): (.*?) — /.exec(line);
      return match?.[1] === corpus && match[2] !== undefined ? [match[2]] : [];
    })
    .sort();
}
