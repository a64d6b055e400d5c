// a psql script -> its statements, without psql's own commands and COPY data

const token =
  /'(?:[^']|'')*'|"(?:[^"]|"")*"|\$(\w*)\$[\s\S]*?\$\1\$|--[^\n]*|\/\*[\s\S]*?\*\/|;|\([^()'"$;]*\)|[^'"$;/(-]+|./gy;

/** Good enough for scripts in which no statement holds a bare `;`: what is cut wrongly is a syntax error, no more. */
export function splitScript(script: string): readonly string[] {
  const text = script
    .replace(/^(copy\b[^;]*from stdin[^;]*;)\n[\s\S]*?\n\\\.$/gim, "$1")
    .replace(/^\\.*$/gm, "")
    .replace(/\\(gset|gexec|g|gdesc|crosstabview|bind)\b.*$/gm, ";");
  const statements: string[] = [];
  let current = "";
  for (const [part] of text.matchAll(token)) {
    if (part === ";") {
      if (current.trim() !== "") statements.push(current.trim());
      current = "";
    } else current += part.startsWith("--") ? " " : part;
  }
  if (current.trim() !== "") statements.push(current.trim());
  return statements;
}
