// a place in a policy -> what the editor says about it

import type { Decl } from "../../dsl/ast.ts";
import { builtins } from "../../dsl/builtins.ts";
import { expressionsOf } from "../../dsl/bundle.ts";
import { childrenOf } from "../../dsl/check/cost.ts";
import type { Core } from "../../dsl/checked.ts";
import { showType } from "../../dsl/types.ts";
import type { Span } from "../../engine/lib/span.ts";
import { factSchema } from "../../engine/model/fact-schema.ts";
import { type Occurrence, occurrencesIn, symbolOf } from "./occurrences.ts";
import type { OpenBundle } from "./workspace.ts";

export type Hovered = { readonly span: Span; readonly markdown: string };

export function hoverAt(bundle: OpenBundle, path: string, offset: number): Hovered | undefined {
  const text = bundle.files.get(path) ?? "";
  return (
    ofFact(text, offset) ?? ofName(bundle, path, offset) ?? ofTable(bundle, text, offset) ?? ofBuiltin(text, offset)
  );
}

/** The dotted words around a place, cut off after the word that holds it. */
function chainAt(text: string, offset: number): { readonly chain: string; readonly span: Span } | undefined {
  let start = offset;
  while (start > 0 && /[\w.*]/.test(text[start - 1] ?? "")) start -= 1;
  let end = offset;
  while (/\w/.test(text[end] ?? "")) end += 1;
  const chain = text.slice(start, end);
  const word = /\w+$/.exec(chain)?.[0] ?? "";
  return word === "" ? undefined : { chain, span: { start: end - word.length, end } };
}

const code = (text: string): string => `\`\`\`policy\n${text}\n\`\`\``;

function ofFact(text: string, offset: number): Hovered | undefined {
  const at = chainAt(text, offset);
  if (!at) return undefined;
  const [root, field] = at.chain.split(".");
  const schema = root === undefined ? undefined : factSchema[root];
  if (!schema || root === undefined) return undefined;
  if (field === undefined) return { span: at.span, markdown: `${code(root)}\n\n${schema.doc}` };
  const known = schema.fields[field];
  return known && { span: at.span, markdown: `${code(`${root}.${field}: ${known.type}`)}\n\n${known.doc}` };
}

function ofName(bundle: OpenBundle, path: string, offset: number): Hovered | undefined {
  const at = occurrenceAt(bundle, path, offset);
  if (!at) return undefined;
  const definition = definitionOf(bundle, at);
  if (!definition) return undefined;
  if (at.role === "local") return { span: at.span, markdown: code(`${at.text}${typeAt(bundle, path, at.span)}`) };
  const { decl, file } = definition;
  if (!decl) return undefined;
  const doc = decl.doc === undefined ? "" : `\n\n${decl.doc}`;
  const from =
    decl.kind === "rule" || decl.kind === "test"
      ? headline(file.text, decl)
      : file.text.slice(decl.span.start, decl.span.end);
  const type = decl.kind === "let" && !decl.type ? typeAt(bundle, path, at.span) : "";
  return { span: at.span, markdown: `${code(`${from}${type === "" ? "" : `   # ${type.slice(2)}`}`)}${doc}` };
}

/** A rule without its tests and reasons: up to its first line break after the head. */
const headline = (text: string, decl: Decl): string =>
  text.slice(decl.span.start, decl.span.end).split("\n").slice(0, 6).join("\n");

/** `: T` of the smallest checked expression at a place. */
function typeAt({ bundle }: OpenBundle, path: string, span: Span): string {
  const stack: Core[] = bundle.checked.rules
    .filter((rule) => rule.path === path)
    .flatMap((rule) => expressionsOf({ ...bundle.checked, rules: [rule], counters: [], defaults: [] }));
  for (let core = stack.pop(); core !== undefined; core = stack.pop()) {
    if (core.span.start === span.start && core.span.end === span.end) return `: ${showType(core.type)}`;
    // the body of a `let` or function has its places in another text
    if (core.op !== "let") stack.push(...childrenOf(core));
  }
  return "";
}

function ofTable(bundle: OpenBundle, text: string, offset: number): Hovered | undefined {
  const at = chainAt(text, offset);
  const [schema, table, column] = at?.chain.split(".") ?? [];
  if (!at || table === undefined) return undefined;
  for (const catalog of bundle.bundle.checked.catalogs.values()) {
    const relation = [...catalog.relations.values()].find((r) => r.schema === schema && r.name === table);
    if (!relation) continue;
    const columns = relation.columns.filter((c) => column === undefined || c.name === column);
    const lines = columns.map((c) => `| \`${c.name}\` | ${c.type.sql} | ${c.isNullable ? "" : "not null"} |`);
    return {
      span: at.span,
      markdown: `**${relation.schema}.${relation.name}** (${relation.kind})\n\n| column | type | |\n|---|---|---|\n${lines.join("\n")}`,
    };
  }
  return undefined;
}

function ofBuiltin(text: string, offset: number): Hovered | undefined {
  const at = chainAt(text, offset);
  const builtin = at && Object.hasOwn(builtins, at.chain) ? builtins[at.chain] : undefined;
  return at && builtin && { span: at.span, markdown: `${code(builtin.signature)}\n\n${builtin.doc}` };
}

// ---- names

export function occurrenceAt(bundle: OpenBundle, path: string, offset: number): Occurrence | undefined {
  const file = bundle.sources.find((source) => source.path === path);
  if (!file) return undefined;
  return occurrencesIn(file).find(({ span }) => span.start <= offset && offset <= span.end);
}

/** Every place of the same name, its definition included. */
export function sameName(bundle: OpenBundle, at: Occurrence): readonly Occurrence[] {
  const symbol = symbolOf(bundle.sources, at);
  if (symbol === undefined) return [];
  return bundle.sources.flatMap((file) =>
    occurrencesIn(file).filter((other) => other.text === at.text && symbolOf(bundle.sources, other) === symbol),
  );
}

export const definitionOf = (bundle: OpenBundle, at: Occurrence): Occurrence | undefined =>
  sameName(bundle, at).find((other) => other.isDefinition);
