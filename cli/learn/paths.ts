// paths as they were asked for -> routes: what looks like a value becomes a placeholder
const int = /^-?(?:0|[1-9][0-9]{0,15})$/;
/** A word of an API's own: letters, `v2`, `oauth2`. Digits in the middle, `@`, `%` and capitals with digits are values. */
const word = /^(?:[A-Za-z][A-Za-z_.-]{0,31}|[a-z][a-z_.-]{0,29}[0-9]{1,2})$/;

/** More different words than these in one place of otherwise equal paths are names, not an API's words. */
const wordsMax = 12;

export const isWord = (segment: string): boolean => word.test(segment);

/** `/v1/users/7` -> `/v1/users/{int}`. */
export const shapeOfPath = (path: string): string =>
  path
    .split("/")
    .map((segment) => (segment === "" || isWord(segment) ? segment : int.test(segment) ? "{int}" : "{text}"))
    .join("/");

type Node = { readonly children: Map<string, Node>; isEnd: boolean };

/** Each shape -> its route in the language. Places with too many words become placeholders, too. */
export function routesOf(shapes: Iterable<string>): ReadonlyMap<string, string> {
  const root: Node = { children: new Map(), isEnd: false };
  const all = [...shapes];
  for (const shape of all) {
    let node = root;
    for (const segment of shape.split("/").slice(1)) {
      const next = node.children.get(segment) ?? { children: new Map(), isEnd: false };
      node.children.set(segment, next);
      node = next;
    }
    node.isEnd = true;
  }
  return new Map(all.map((shape) => [shape, routeOf(root, shape.split("/").slice(1))]));
}

function routeOf(root: Node, segments: readonly string[]): string {
  /** Places that the segments so far may be: one, until a place has too many words. */
  let nodes: readonly Node[] = [root];
  let route = "";
  let placeholders = 0;
  for (const segment of segments) {
    const here = new Set(nodes.flatMap(({ children }) => [...children.keys()]));
    const words = [...here].filter((name) => !name.startsWith("{"));
    const isName = words.length > wordsMax && !segment.startsWith("{");
    if (segment.startsWith("{") || isName) {
      placeholders += 1;
      const isInt = words.length <= wordsMax && here.has("{int}") && !here.has("{text}");
      route += `/{id${placeholders === 1 ? "" : placeholders}${isInt ? ":int" : ""}}`;
      const isMerged = (name: string): boolean => name.startsWith("{") || words.length > wordsMax;
      nodes = nodes.flatMap(({ children }) => [...children].filter(([name]) => isMerged(name)).map(([, node]) => node));
    } else {
      route += `/${segment}`;
      nodes = nodes.flatMap(({ children }) => children.get(segment) ?? []);
    }
  }
  return route === "" ? "/" : route;
}

/** A path of a route, for a test. */
export const examplePath = (route: string): string =>
  route.replace(/\{[^}:]*:int\}/g, "1").replace(/\{[^}]*\}|\*\*?/g, "x");

/**
 * `file:///public/a.txt` -> the same, or up to what looks like a value: `crm://customers/*`. undefined: a pattern would mean
 * something else than the text.
 */
export function resourcePattern(uri: string): string | undefined {
  const [, head, rest] = /^([A-Za-z][A-Za-z0-9+.-]*:\/*)(.*)$/.exec(uri) ?? [];
  if (head === undefined || rest === undefined) return undefined;
  const kept: string[] = [];
  for (const segment of rest.split("/")) {
    if (segment !== "" && !isWord(segment)) return `${head}${kept.map((word) => `${word}/`).join("")}*`;
    kept.push(segment);
  }
  return `${head}${kept.join("/")}`;
}
