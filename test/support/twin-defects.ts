// Faults planted into the rewriter, from outside: a test that can't find them proves nothing.
import type { Node } from "@pgsql/types";
import type { Catalog, Relation } from "../../engine/model/catalog.ts";
import type { Obligations } from "../../engine/model/decision.ts";
import { parseSql } from "../../engine/sql/pg-parser.ts";
import { printStatement } from "../../engine/sql/print-statement.ts";
import type { EngineHooks } from "./twin-engine.ts";

export type Defect = { readonly name: string; readonly hooks: EngineHooks };

type Tree = { [key: string]: unknown };
/** Keys from the statement down to a node: `RangeSubselect` below `JoinExpr`, `rarg` … with the nodes they belong to. */
type Path = readonly { readonly key: string; readonly parent: Tree }[];

const isTree = (value: unknown): value is Tree => typeof value === "object" && value !== null;

function walk(value: unknown, path: Path, visit: (node: Tree, path: Path) => void): void {
  if (Array.isArray(value)) {
    for (const [i, item] of value.entries()) walk(item, [...path, { key: String(i), parent: {} }], visit);
    return;
  }
  if (!isTree(value)) return;
  visit(value, path);
  for (const [key, child] of Object.entries(value)) walk(child, [...path, { key, parent: value }], visit);
}

const treeOf = (sql: string): Node | undefined => {
  const parsed = parseSql(sql);
  return parsed.ok ? parsed.value[0]?.stmt : undefined;
};

/** Changes the tree of what would be sent. A change that can't be printed leaves the text as it is. */
function edited(edit: (tree: Tree, client: Tree) => void): EngineHooks {
  return {
    text: (rewritten, clientText) => {
      const [tree, client] = [treeOf(rewritten.text), treeOf(clientText)];
      if (!isTree(tree) || !isTree(client)) return rewritten;
      edit(tree, client);
      try {
        return { ...rewritten, text: printStatement(tree as Node) };
      } catch {
        return rewritten;
      }
    },
  };
}

/** The SELECT that stands for a protected relation: its FROM is the relation under the engine's own alias. */
function imageOf(node: Tree): Tree | undefined {
  const select = node.RangeSubselect;
  if (!isTree(select) || !isTree(select.subquery) || !isTree(select.subquery.SelectStmt)) return undefined;
  const image = select.subquery.SelectStmt;
  const [from] = Array.isArray(image.fromClause) ? image.fromClause : [];
  if (!isTree(from)) return undefined;
  const body = from.RangeVar ?? from.RangeSubselect;
  return isTree(body) && isTree(body.alias) && body.alias.aliasname === "gw" ? image : undefined;
}

/** Reads the real columns and all rows wherever `where` says so. */
const unmasked = (where: (path: Path, tree: Tree) => boolean): EngineHooks =>
  edited((tree) =>
    walk(tree, [], (node, path) => {
      const image = imageOf(node);
      if (!image || !where(path, tree)) return;
      delete image.whereClause;
      image.targetList = (Array.isArray(image.targetList) ? image.targetList : []).map((target: unknown) => {
        const res = isTree(target) && isTree(target.ResTarget) ? target.ResTarget : {};
        if (typeof res.name !== "string") return target;
        return {
          ResTarget: { val: { ColumnRef: { fields: [{ String: { sval: "gw" } }, { String: { sval: res.name } }] } } },
        };
      });
    }),
  );

const below = (key: string) => (path: Path) => path.some((p) => p.key === key);

const joinSide = (type: string, side: "larg" | "rarg") =>
  unmasked((path) => path.some((p) => p.key === side && p.parent.jointype === type));

/** Puts a clause of the client's own statement back in the place of the rewritten one. */
const clientClause = (kinds: readonly string[], clauses: readonly string[]): EngineHooks =>
  edited((tree, client) => {
    for (const kind of kinds) {
      const [body, theirs] = [tree[kind], client[kind]];
      if (!isTree(body) || !isTree(theirs)) continue;
      for (const clause of clauses) if (theirs[clause] !== undefined) body[clause] = theirs[clause];
    }
  });

/** The catalog with some relations described otherwise. */
const relations = (change: (relation: Relation) => Relation): EngineHooks => ({
  catalog: (catalog: Catalog): Catalog => ({
    ...catalog,
    relations: new Map([...catalog.relations].map(([key, relation]) => [key, change(relation)])),
    relationsByOid: new Map([...catalog.relationsByOid].map(([oid, relation]) => [oid, change(relation)])),
  }),
});

const obligations = (change: (given: Obligations) => Obligations): EngineHooks => ({ obligations: change });

const withoutMask = (relation: string, column: string): EngineHooks =>
  obligations((given) => ({
    ...given,
    masks: new Map(
      [...given.masks].map(([key, masks]) => [
        key,
        key === relation ? new Map([...masks].filter(([name]) => name !== column)) : masks,
      ]),
    ),
  }));

export const defects: readonly Defect[] = [
  { name: "the right operand of a RIGHT JOIN is left as it is", hooks: joinSide("JOIN_RIGHT", "rarg") },
  { name: "the left operand of a LEFT JOIN is left as it is", hooks: joinSide("JOIN_LEFT", "larg") },
  { name: "operands of a FULL JOIN are left as they are", hooks: joinSide("JOIN_FULL", "rarg") },
  { name: "relations in a CTE are left as they are", hooks: unmasked(below("ctequery")) },
  {
    name: "relations in the second CTE are left as they are",
    hooks: unmasked((path) => path.some((p, i) => p.key === "ctes" && path[i + 1]?.key === "1")),
  },
  {
    name: "relations in a derived table are left as they are",
    hooks: unmasked((path) => path.some((p, i) => p.key === "subquery" && i < path.length - 1)),
  },
  {
    name: "relations in a LATERAL subquery are left as they are",
    hooks: unmasked((path) => path.some((p) => p.key === "subquery" && p.parent.lateral === true)),
  },
  { name: "relations in a scalar subquery, EXISTS or ANY are left as they are", hooks: unmasked(below("subselect")) },
  {
    name: "the right branch of a set operation is left as it is",
    hooks: unmasked((path) =>
      path.some((p) => p.key === "rarg" && p.parent.op !== undefined && p.parent.jointype === undefined),
    ),
  },
  { name: "the query of COPY is left as it is", hooks: unmasked(below("CopyStmt")) },
  { name: "the query of a cursor is left as it is", hooks: unmasked(below("DeclareCursorStmt")) },
  { name: "the source of INSERT is left as it is", hooks: unmasked(below("InsertStmt")) },
  { name: "the source of MERGE is left as it is", hooks: unmasked(below("sourceRelation")) },
  {
    name: "RETURNING is left as it is",
    hooks: clientClause(["InsertStmt", "UpdateStmt", "DeleteStmt", "MergeStmt"], ["returningClause", "returningList"]),
  },
  {
    name: "WHERE of UPDATE and DELETE is left as it is",
    hooks: clientClause(["UpdateStmt", "DeleteStmt"], ["whereClause"]),
  },
  { name: "SET of UPDATE is left as it is", hooks: clientClause(["UpdateStmt"], ["targetList"]) },
  {
    name: "row filters have no fence",
    hooks: edited((tree) =>
      walk(tree, [], (node) => {
        const image = imageOf(node);
        if (!image?.limitOffset) return;
        delete image.limitOffset;
        image.limitOption = "LIMIT_OPTION_DEFAULT";
      }),
    ),
  },
  { name: "partitions and children have no parents", hooks: relations((r) => ({ ...r, parents: [] })) },
  {
    name: "views are taken for tables",
    hooks: relations((r) => (r.kind === "view" ? { ...r, kind: "table", definition: undefined } : r)),
  },
  {
    name: "materialized views are taken for tables",
    hooks: relations((r) => (r.kind === "materialized-view" ? { ...r, kind: "table", definition: undefined } : r)),
  },
  {
    name: "generated columns are taken for plain ones",
    hooks: relations((r) => ({ ...r, columns: r.columns.map((c) => ({ ...c, generated: undefined })) })),
  },
  { name: "row filters are forgotten", hooks: obligations((given) => ({ ...given, filters: new Map() })) },
  { name: "masks of dates are forgotten", hooks: withoutMask("clinic.patients", "born") },
  { name: "masks of documents are forgotten", hooks: withoutMask("clinic.patients", "cover") },
  { name: "masks of numbers are forgotten", hooks: withoutMask("staff.people", "wage") },
  {
    name: "a filter is only applied to statements without a join",
    hooks: {
      obligations: (given, statement) => (statement.facts.joins > 0 ? { ...given, filters: new Map() } : given),
    },
  },
];
