// what psql printed on both ways -> which lines the gateway refused, and whether the rest is the same

/** `psql:FILE:LINE: ERROR:  message` */
const errorLine = /^psql:\S+:(\d+): (?:ERROR|FATAL): {2}(.*)$/;
const ownDetail = /^DETAIL: {2}.*\bdecision dec_/;

/**
 * Lines of the script whose statement the gateway refused: by the decision that DETAIL names, else (VERBOSITY terse)
 * by one of the `messages` that the recording holds.
 */
export function refusedLines(output: string, messages: ReadonlySet<string>): ReadonlySet<number> {
  const lines = new Set<number>();
  let last: number | undefined;
  for (const text of output.split("\n")) {
    const error = errorLine.exec(text);
    if (error) {
      last = Number(error[1]);
      if (messages.has(error[2] ?? "")) lines.add(last);
    } else if (last !== undefined && ownDetail.test(text)) lines.add(last);
  }
  return lines;
}

/** Without the lines with which psql shows an error's position: the gateway drops positions in texts that it has rewritten. */
export function withoutPositions(output: string): string {
  const lines = output.split("\n");
  return lines.filter((text, i) => !/^LINE \d+: /.test(text) && !/^LINE \d+: /.test(lines[i - 1] ?? "")).join("\n");
}

export type Hunk = { readonly direct: readonly string[]; readonly through: readonly string[] };

/** Where two outputs part and meet again: a plain line difference, good enough to read. `linesMax`: how far it looks for a meeting. */
export function hunksOf(direct: string, through: string, linesMax = 200): readonly Hunk[] {
  const [a, b] = [direct.split("\n"), through.split("\n")];
  const hunks: Hunk[] = [];
  let [i, j] = [0, 0];
  while (i < a.length || j < b.length) {
    if (i < a.length && a[i] === b[j]) {
      [i, j] = [i + 1, j + 1];
      continue;
    }
    const [di, dj] = nextMeeting(a, b, i, j, linesMax);
    hunks.push({ direct: a.slice(i, i + di), through: b.slice(j, j + dj) });
    [i, j] = [i + di, j + dj];
  }
  return hunks;
}

function nextMeeting(
  a: readonly string[],
  b: readonly string[],
  i: number,
  j: number,
  linesMax: number,
): readonly [number, number] {
  for (let sum = 1; sum < linesMax; sum += 1) {
    for (let di = 0; di <= sum; di += 1) {
      const [x, y] = [i + di, j + sum - di];
      if (x > a.length || y > b.length) continue;
      if (a[x] === b[y] && a[x + 1] === b[y + 1]) return [di, sum - di];
    }
  }
  return [a.length - i, b.length - j];
}
