// `text/csv; charset=utf-8; header=present` -> its parts (RFC 9110 section 8.3.1)
export type ContentType = {
  /** Lower case, without parameters. */
  readonly mime: string;
  readonly charset: string | undefined;
  readonly parameters: ReadonlyMap<string, string>;
};

/** Undefined for what isn't one content type in one spelling. */
export function parseContentType(text: string): ContentType | undefined {
  const [mime = "", ...rest] = text.split(";").map((part) => part.trim());
  if (!/^[\w!#$&^.+-]+\/[\w!#$&^.+-]+$/.test(mime)) return undefined;
  const parameters = new Map<string, string>();
  for (const part of rest) {
    if (part === "") continue;
    const match = /^([\w!#$&^.+-]+)=(?:"([^"\\]*)"|([\w!#$&^.+:/-]+))$/.exec(part);
    const name = match?.[1]?.toLowerCase();
    if (!match || name === undefined || parameters.has(name)) return undefined;
    parameters.set(name, match[2] ?? match[3] ?? "");
  }
  return { mime: mime.toLowerCase(), charset: parameters.get("charset"), parameters };
}
