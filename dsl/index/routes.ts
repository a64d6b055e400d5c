// HTTP rules by method and by the segments of their routes: a request looks at its own path, however many rules there are.
import { matchPieces, type Route } from "../route.ts";
import { type Entry, entryOf, type Found, type Indexed, isEmpty } from "./entry.ts";

type Node = {
  readonly texts: Map<string, Node>;
  /** `{name}`, `{name:int}` and `*`. */
  any: Node | undefined;
  /** Routes that end here, and those whose `**` does. */
  readonly ends: Leaf[];
  readonly rests: Leaf[];
};

type Leaf = { readonly route: Route; readonly entry: Entry; readonly hasParams: boolean };

const newNode = (): Node => ({ texts: new Map(), any: undefined, ends: [], rests: [] });

type Tree = { readonly everywhere: Found; readonly root: Node };

export class RouteIndex {
  readonly #rules: readonly Indexed[];
  readonly #methods: ReadonlySet<string>;
  readonly #trees = new Map<string, Tree>();

  constructor(rules: readonly Indexed[]) {
    this.#rules = rules;
    this.#methods = new Set(rules.flatMap((r) => [...(methodsOf(r) ?? [])]));
  }

  find(method: string, path: string): readonly Found[] {
    // Methods that no rule names share a tree: what a client makes up grows nothing.
    const known = this.#methods.has(method) ? method : "";
    let tree = this.#trees.get(known);
    if (!tree) {
      tree = treeOf(this.#rules.filter((r) => methodsOf(r)?.has(known) ?? true));
      this.#trees.set(known, tree);
    }
    const found: Found[] = isEmpty(tree.everywhere.entry) ? [] : [tree.everywhere];
    collect(tree.root, path.split("/").slice(1), found);
    return found;
  }
}

const methodsOf = ({ checked: { scope } }: Indexed): ReadonlySet<string> | undefined =>
  scope.protocol === "http" ? scope.methods : undefined;

function treeOf(rules: readonly Indexed[]): Tree {
  const root = newNode();
  const everywhere: Indexed[] = [];
  const byRoute = new Map<string, { readonly route: Route; readonly rules: Indexed[] }>();
  for (const rule of rules) {
    const { scope } = rule.checked;
    if (scope.protocol !== "http" || !scope.routes) {
      everywhere.push(rule);
      continue;
    }
    for (const route of new Map(scope.routes.map((r) => [r.text, r])).values()) {
      const known = byRoute.get(route.text);
      if (known) known.rules.push(rule);
      else byRoute.set(route.text, { route, rules: [rule] });
    }
  }
  for (const { route, rules: own } of byRoute.values()) insert(root, route, own);
  return { everywhere: { entry: entryOf(everywhere), params: undefined }, root };
}

function insert(root: Node, route: Route, rules: readonly Indexed[]): void {
  const leaf = { route, entry: entryOf(rules), hasParams: route.segments.some((s) => s.kind === "param") };
  let node = root;
  for (const segment of route.segments) {
    if (segment.kind === "rest") {
      node.rests.push(leaf);
      return;
    }
    let next = segment.kind === "text" ? node.texts.get(segment.text) : node.any;
    if (!next) {
      next = newNode();
      if (segment.kind === "text") node.texts.set(segment.text, next);
      else node.any = next;
    }
    node = next;
  }
  node.ends.push(leaf);
}

/**
 * Breadth first: at most two nodes follow a node, and only as many nodes as routes of this length are there. A route
 * with placeholders is matched once more, for their values: `{id:int}` may still say no.
 */
function collect(root: Node, pieces: readonly string[], found: Found[]): void {
  let nodes: readonly Node[] = [root];
  for (const piece of pieces) {
    const next: Node[] = [];
    for (const node of nodes) {
      for (const leaf of node.rests) add(leaf, pieces, found);
      const text = node.texts.get(piece);
      if (text) next.push(text);
      if (node.any && piece !== "") next.push(node.any);
    }
    nodes = next;
    if (nodes.length === 0) return;
  }
  for (const node of nodes) {
    for (const leaf of node.rests) add(leaf, pieces, found);
    for (const leaf of node.ends) add(leaf, pieces, found);
  }
}

function add({ route, entry, hasParams }: Leaf, pieces: readonly string[], found: Found[]): void {
  const params = hasParams ? matchPieces(route, pieces) : none;
  if (params) found.push({ entry, params });
}

/** A route without placeholders has them all: `http.params` is known to be empty. */
const none: Readonly<Record<string, never>> = Object.freeze(Object.create(null));
