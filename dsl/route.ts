// `/v1/users/{id:int}`, `/v1/admin/**`
import { err, ok, type Result } from "../engine/lib/result.ts";

type Segment =
  | { readonly kind: "text"; readonly text: string }
  /** `{name}`, `{name:int}` or `*`. */
  | { readonly kind: "param"; readonly name: string | undefined; readonly isInt: boolean }
  /** `**`: the rest of the path, at least nothing. Only at the end. */
  | { readonly kind: "rest" };

export type Route = {
  readonly text: string;
  readonly segments: readonly Segment[];
  readonly params: ReadonlyMap<string, "string" | "int">;
};
export type RouteParams = Readonly<Record<string, string | number>>;

/** The error is one sentence for the label of a diagnostic. */
export function parseRoute(text: string): Result<Route, string> {
  if (!text.startsWith("/")) return err("a route starts with `/`");
  const params = new Map<string, "string" | "int">();
  const segments: Segment[] = [];
  const pieces = text.split("/").slice(1);
  for (const [i, piece] of pieces.entries()) {
    if (piece === "**") {
      if (i !== pieces.length - 1) return err("`**` stands only at the end of a route");
      segments.push({ kind: "rest" });
      continue;
    }
    const match = /^\{([A-Za-z_][A-Za-z0-9_]*)(?::(int|string))?\}$/.exec(piece);
    if (match) {
      const name = match[1] ?? "";
      if (params.has(name)) return err(`\`${name}\` stands twice in the route`);
      params.set(name, match[2] === "int" ? "int" : "string");
      segments.push({ kind: "param", name, isInt: match[2] === "int" });
    } else if (piece === "*") segments.push({ kind: "param", name: undefined, isInt: false });
    else if (/[{}*]/.test(piece)) return err("a placeholder fills a whole segment: `{name}`, `{name:int}` or `*`");
    else segments.push({ kind: "text", text: piece });
  }
  return ok({ text, segments, params });
}

/** The values of the placeholders, or undefined when the path is not of this route. */
export const matchRoute = (route: Route, path: string): RouteParams | undefined =>
  matchPieces(route, path.split("/").slice(1));

/** The same for a path that is in pieces already. */
export function matchPieces(route: Route, pieces: readonly string[]): RouteParams | undefined {
  const params: Record<string, string | number> = Object.create(null);
  for (const [i, segment] of route.segments.entries()) {
    if (segment.kind === "rest") return params;
    const piece = pieces[i];
    if (piece === undefined) return undefined;
    if (segment.kind === "text") {
      if (segment.text !== piece) return undefined;
      continue;
    }
    if (piece === "") return undefined;
    const value = segment.isInt ? readInt(piece) : piece;
    if (value === undefined) return undefined;
    if (segment.name !== undefined) params[segment.name] = value;
  }
  return pieces.length === route.segments.length ? params : undefined;
}

function readInt(text: string): number | undefined {
  const value = /^-?(0|[1-9][0-9]{0,15})$/.test(text) ? Number(text) : Number.NaN;
  return Number.isSafeInteger(value) ? value : undefined;
}
