// recorded text -> what a terminal may show: nothing invisible, nothing that moves the cursor

/** Control, zero-width and bidirectional characters as `\u{202e}`; line feeds and tabs are kept. */
export const showText = (text: string): string =>
  text.replaceAll(
    /(?![\n\t])[\p{Cc}\p{Cf}\p{Co}\p{Cn}\u2028\u2029]/gu,
    (c) => `\\u{${(c.codePointAt(0) ?? 0).toString(16)}}`,
  );

/** On one line: white space becomes single spaces. */
export const showLine = (text: string): string => showText(text.replaceAll(/\s+/g, " ").trim());
