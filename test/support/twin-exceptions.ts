// Where the masked copy may be answered otherwise than the twins: each exception by name, and nothing beside them.
import { type Answer, type Seen, type Step, withoutOrder } from "./twin-transcript.ts";

/**
 * "execute-describes-plan": the server describes an EXECUTE by the prepared statement as it was parsed, where a set operation
 * of `varchar(24)` and `text` has no type modifier; what the gateway sends is the query itself, described by its plan, which
 * has one. https://www.postgresql.org/docs/18/protocol-message-formats.html (RowDescription, type modifier).
 */
export type ReferenceException = "execute-describes-plan";

const lengthTypes: ReadonlySet<string> = new Set(["1042", "1043"]);

/** The exception that covers all of the difference between two answers to `step`; undefined where none does. */
export function exceptionFor(
  steps: readonly Step[],
  step: Step,
  given: Answer,
  reference: Answer,
): ReferenceException | undefined {
  const [a, b] = withoutOrder([given, reference]);
  if (a?.kind !== "answered" || b?.kind !== "answered" || a.seen.length !== b.seen.length) return undefined;
  const executed = /^\s*EXECUTE\s+(\w+)/i.exec(step.text)?.[1];
  const isSetOperation = steps.some(
    ({ text }) => /^\s*PREPARE\s+(\w+)/i.exec(text)?.[1] === executed && /\b(UNION|EXCEPT|INTERSECT)\b/i.test(text),
  );
  if (executed === undefined || !isSetOperation) return undefined;
  const isCovered = a.seen.every((seen, i) => {
    const other = b.seen[i];
    if (JSON.stringify(seen) === JSON.stringify(other)) return true;
    return seen.kind === "fields" && other?.kind === "fields" && lacksModifiers(seen, other);
  });
  return isCovered ? "execute-describes-plan" : undefined;
}

type Fields = Extract<Seen, { readonly kind: "fields" }>;

/** Names and types are the same, and where a modifier differs, the reference has none. Columns are `name:type:modifier`. */
function lacksModifiers(given: Fields, reference: Fields): boolean {
  if (given.columns.length !== reference.columns.length) return false;
  return given.columns.every((column, i) => {
    const other = reference.columns[i] ?? "";
    if (column === other) return true;
    const [rest, type] = split(column);
    const [otherRest, , otherModifier] = split(other);
    return rest === otherRest && lengthTypes.has(type) && otherModifier === "-1";
  });
}

/** `name:type`, the type, the modifier. A name may hold colons. */
function split(column: string): readonly [rest: string, type: string, modifier: string] {
  const at = column.lastIndexOf(":");
  const rest = column.slice(0, at);
  return [rest, rest.slice(rest.lastIndexOf(":") + 1), column.slice(at + 1)];
}
