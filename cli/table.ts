/** Rows under a header, columns padded to their widest cell: for people, so long cells are cut and say so. */
export function renderTable(header: readonly string[], rows: readonly (readonly string[])[], cellMax = 40): string {
  const cut = (cell: string) => (cell.length > cellMax ? `${cell.slice(0, cellMax - 1)}…` : cell);
  const all = [header, ...rows].map((row) => row.map(cut));
  const widths = header.map((_, i) => Math.max(...all.map((row) => row[i]?.length ?? 0)));
  const line = (row: readonly string[]) =>
    row
      .map((cell, i) => cell.padEnd(widths[i] ?? 0))
      .join("  ")
      .trimEnd();
  const [head = [], ...body] = all;
  return [line(head), widths.map((w) => "─".repeat(w)).join("  "), ...body.map(line)].join("\n");
}

/** A value of a result as psql would show it, near enough for a table. */
export function cellOf(value: unknown): string {
  if (value === null || value === undefined) return "∅";
  if (value instanceof Date) return value.toISOString().slice(0, 10);
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}
