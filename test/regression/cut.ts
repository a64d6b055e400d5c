// a psql script + the lines that were refused -> the script without these statements, its lines numbered as before

/** One statement with its terminator (and its COPY data), or one backslash command. `line`: of its end, as psql counts. */
export type Segment = { readonly start: number; readonly end: number; readonly line: number };

const token =
  /'(?:[^'\\]|''|\\[\s\S])*'|"(?:[^"]|"")*"|\$([A-Za-z_]\w*)?\$[\s\S]*?\$\1\$|--[^\n]*|\/\*(?:[^*]|\*(?!\/))*\*\/|\\;|\\(?:g|gx|gset|gexec|gdesc|crosstabview|bind|bind_named|parse|watch|sendpipeline)\b[^\n]*|\\[^\n]*|[();]|\bbegin\s+atomic\b|[A-Za-z_]\w*|\s+|[\s\S]/giy;
const ends = /^\\(?:g|gx|gset|gexec|gdesc|crosstabview|watch)\b/i;
const takesData = /^\s*copy\b[\s\S]*\bfrom\s+stdin\b/i;

/** As psql's own lexer cuts it, near enough: what is cut wrongly shows up as a difference, never as an agreement. */
export function segmentsOf(script: string): readonly Segment[] {
  const segments: Segment[] = [];
  const lineAt = lineCounter(script);
  let start: number | undefined;
  let depth = 0;
  let isAtomic = false;
  let at = 0;
  while (at < script.length) {
    token.lastIndex = at;
    const text = token.exec(script)?.[0] ?? script.slice(at, at + 1);
    const begin = at;
    at += text.length;
    const isBlank = /^\s+$/.test(text) || text.startsWith("--") || text.startsWith("/*");
    if (start === undefined && !isBlank) start = begin;
    if (text === "(") depth += 1;
    else if (text === ")") depth = Math.max(0, depth - 1);
    else if (/^begin\s+atomic$/i.test(text)) isAtomic = true;
    else if (isAtomic && /^end$/i.test(text)) isAtomic = false;
    const isCommand = text.startsWith("\\") && text !== "\\;";
    const isAlone = isCommand && start === begin;
    if (!isAlone && !ends.test(text) && !(text === ";" && depth === 0 && !isAtomic)) continue;
    const line = lineAt(at - 1);
    const statement = script.slice(start ?? begin, at);
    if (takesData.test(statement)) at = endOfData(script, at);
    segments.push({ start: start ?? begin, end: at, line });
    start = undefined;
    depth = 0;
    isAtomic = false;
  }
  return segments;
}

function endOfData(script: string, from: number): number {
  const end = script.indexOf("\n\\.", from - 1);
  return end === -1 ? from : end + 3;
}

function lineCounter(script: string): (offset: number) => number {
  let line = 1;
  let counted = 0;
  return (offset) => {
    for (; counted < offset; counted += 1) if (script.charCodeAt(counted) === 10) line += 1;
    return line;
  };
}

/** Without the statements that end at one of these lines; the rest keeps its lines. */
export function cutLines(
  script: string,
  lines: ReadonlySet<number>,
): { readonly script: string; readonly cut: number } {
  let result = "";
  let at = 0;
  let cut = 0;
  for (const segment of segmentsOf(script)) {
    if (!lines.has(segment.line)) continue;
    result += script.slice(at, segment.start) + script.slice(segment.start, segment.end).replace(/[^\n]/g, "");
    at = segment.end;
    cut += 1;
  }
  return { script: result + script.slice(at), cut };
}
