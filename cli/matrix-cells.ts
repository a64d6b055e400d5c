// who × what -> what happens, for tables of catalogs and for the routes, tools and models that rules name
import type { Checked } from "../dsl/checked.ts";
import { interpretProgram } from "../dsl/interpret.ts";
import { Dice } from "../dsl/testing/generate.ts";
import type { Prepared } from "../dsl/testing/given.ts";
import { drawProbe, type Place, placesOf, wantsOf } from "../dsl/testing/probes.ts";
import { evaluate } from "../engine/evaluate.ts";
import type { Relation } from "../engine/model/catalog.ts";
import type { Decision } from "../engine/model/decision.ts";
import { quoteIdent } from "../engine/model/row-predicate.ts";
import { askAll, type Question } from "./ask-bundle.ts";
import { quoted } from "./question-file.ts";
import type { BundleFolder } from "./read-bundle.ts";

export const verbs = ["select", "insert", "update", "delete"] as const;
export type Verb = (typeof verbs)[number];

export type TableCell = { readonly who: string; readonly table: string; readonly verb: Verb; readonly mark: string };
/** `what` is like `GET /v1/orders/{id}` or `tool github.*`. */
export type PlaceCell = { readonly who: string; readonly what: string; readonly mark: string };

type Asked = Pick<Question, "given"> & { readonly people: readonly string[] };

export function tableCells(
  bundle: BundleFolder,
  checked: Checked,
  connection: string,
  { people, given }: Asked,
): readonly TableCell[] {
  const relations = [...(checked.catalogs.get(connection)?.relations ?? [])].filter(([, r]) =>
    ["table", "partitioned-table", "view", "materialized-view"].includes(r.kind),
  );
  const asked = relations.flatMap(([table, relation]) =>
    people.flatMap((who) => verbs.map((verb) => ({ who, table, verb, sql: statementFor(verb, relation) }))),
  );
  const answers = askAll(
    bundle,
    asked.map(({ who, sql }) => ({ as: who, action: { kind: "sql" as const, text: sql }, at: connection, given })),
  );
  return asked.map(({ who, table, verb }, i) => {
    const prepared = answers.ok ? answers.prepared[i] : undefined;
    const mark = answers.ok && prepared ? markOf(decisionsOf(answers.checked, prepared)) : "-";
    return { who, table, verb, mark };
  });
}

/** Requests with other contents that are tried at each place. */
const drawsPerPlace = 16;

/** By connection, as the rules' `at` names it. */
export function placeCells(
  bundle: BundleFolder,
  checked: Checked,
  { people, given }: Asked,
): ReadonlyMap<string, readonly PlaceCell[]> {
  const key = (p: Place): string => [p.protocol, p.pattern, p.word].join(" ");
  const places = [...placesOf(checked.rules)].sort((a, b) => (key(a) < key(b) ? -1 : 1));
  const asked = places.flatMap((place) => people.map((who) => ({ who, place })));
  const answers = askAll(
    bundle,
    asked.map(({ who, place }) => ({
      as: who,
      action: { kind: place.protocol, word: place.word, name: quoted(place.name), record: undefined },
      at: place.connection,
      given,
    })),
  );
  const cells = new Map<string, PlaceCell[]>();
  if (!answers.ok) return cells;
  for (const [i, { who, place }] of asked.entries()) {
    const prepared = answers.prepared[i];
    const decisions = prepared
      ? [...decisionsOf(answers.checked, prepared), ...others(answers.checked, prepared, place)]
      : [];
    const list = cells.get(place.connection) ?? [];
    cells.set(place.connection, list);
    list.push({ who, what: `${place.word} ${place.pattern}`, mark: markOf(decisions) });
  }
  return cells;
}

/** The same caller with bodies, headers and arguments that the rules ask for. */
function others(checked: Checked, prepared: Prepared, place: Place): readonly Decision[] {
  const [request] = prepared.requests;
  if (!request) return [];
  const dice = new Dice(1);
  const wants = wantsOf(
    checked.rules.filter((r) => r.scope.protocol === place.protocol),
    checked.data,
  );
  const program = interpretProgram(checked, { data: prepared.data });
  const { identity, connection, session, time, counter, approved } = request;
  const around = { identity, connection, session, time, counter, approved };
  return Array.from({ length: drawsPerPlace }, () =>
    evaluate(program, { ...around, ...drawProbe(dice, place, wants, [identity.sub, identity.on_behalf_of]).facts }),
  );
}

function decisionsOf(checked: Checked, prepared: Prepared): readonly Decision[] {
  const program = interpretProgram(checked, { data: prepared.data });
  return prepared.requests.map((request) => evaluate(program, request));
}

const strictness = { allow: 0, approval: 1, deny: 2 } as const;

/** `-` denied, `+` allowed, `a` after an approval, `m` with masks, `f` filtered; `?`: with other contents it is stricter. */
function markOf(decisions: readonly Decision[]): string {
  const [weakest] = [...decisions].sort((x, y) => strictness[x.effect] - strictness[y.effect]);
  if (!weakest || weakest.effect === "deny") return "-";
  const { masks, filters, content, items } = weakest.obligations;
  const isMasked = [...masks.values()].some((columns) => columns.size > 0) || (content?.length ?? 0) > 0;
  const isFiltered = filters.size > 0 || (items?.length ?? 0) > 0;
  const depends = decisions.some((d) => d.effect !== weakest.effect);
  return `${weakest.effect === "approval" ? "a" : "+"}${isMasked ? "m" : ""}${isFiltered ? "f" : ""}${depends ? "?" : ""}`;
}

function statementFor(verb: Verb, relation: Relation): string {
  const table = `${quoteIdent(relation.schema)}.${quoteIdent(relation.name)}`;
  const column = quoteIdent(relation.columns[0]?.name ?? "");
  const other = quoteIdent(relation.columns.at(-1)?.name ?? "");
  switch (verb) {
    case "select":
      return `select * from ${table}`;
    case "insert":
      return `insert into ${table} (${column}) values (null)`;
    case "update":
      return `update ${table} set ${other} = null where ${column} = $1`;
    case "delete":
      return `delete from ${table} where ${column} = $1`;
  }
}
