// The engine's door to re2js: patterns that others wrote run in linear time.
import { RE2JS } from "re2js";

type LinearRegex = { readonly test: (text: string) => boolean };

/** In the form that ajv takes an engine of regular expressions in. @throws when the pattern isn't one of RE2 */
export const linearRegex = Object.assign(
  (pattern: string, _flags: string): LinearRegex => {
    const compiled = RE2JS.compile(pattern);
    return { test: (text) => compiled.matcher(text).find() };
  },
  { code: "linearRegex" },
);
