import type { Span } from "../../engine/lib/span.ts";
import type { Checked, CheckedRule } from "../checked.ts";
import { type Atom, atomsOf, both, isNone, isWithin, type Values } from "./atoms.ts";
import type { Finding, LintRule } from "./rule.ts";
import { connectionsWithin, within } from "./scopes.ts";

/** A rule whose conditions exclude each other, or an allow of what a deny always denies. */
export const unreachableRule: LintRule = {
  name: "unreachable-rule",
  code: "L0309",
  find: (checked) => {
    const denies = checked.rules.filter((rule) => rule.payload.effect === "deny" && !rule.isShadow);
    return checked.rules.flatMap((rule) => {
      const atoms = atomsOf(rule);
      const found = contradictionIn(checked, rule, atoms) ?? denialOf(rule, atoms, denies);
      return found ? [found] : [];
    });
  },
};

function contradictionIn(checked: Checked, rule: CheckedRule, atoms: readonly Atom[]): Finding | undefined {
  const left = new Map<string, Values>();
  const isAsserted = new Map<string, Atom>();
  for (const [i, atom] of atoms.entries()) {
    const earlier = atoms.slice(0, i);
    if (atom.key !== undefined) {
      const same = isAsserted.get(atom.key);
      if (same && same.isTrue !== atom.isTrue) return contradiction(checked, rule, same, atom);
      isAsserted.set(atom.key, atom);
    }
    const { demand } = atom;
    if (!demand) continue;
    const before = left.get(demand.subject);
    const now = before ? both(before, demand.values) : demand.values;
    left.set(demand.subject, now);
    if (!before || !isNone(now)) continue;
    const others = earlier.filter((e) => e.demand?.subject === demand.subject);
    const other = others.find((e) => e.demand && isNone(both(e.demand.values, demand.values))) ?? others.at(-1);
    if (other) return contradiction(checked, rule, other, atom);
  }
  return undefined;
}

function contradiction(checked: Checked, rule: CheckedRule, earlier: Atom, atom: Atom): Finding {
  const text = checked.files.get(rule.path)?.text ?? "";
  const show = ({ start, end }: Pick<Span, "start" | "end">): string => text.slice(start, end);
  const words = equalities(earlier, atom);
  return {
    path: rule.path,
    span: atom.span,
    message: `\`${rule.name}\` can never apply`,
    label: "these two leave nothing",
    related: [{ path: rule.path, span: earlier.span, label: "with this" }],
    help: [
      words
        ? `to accept either write \`${show(words.subject)} in [${words.values.map(show).join(", ")}]\``
        : "write `or` where either is enough, or delete the rule",
    ],
  };
}

/** `x == a` and `x == b`, both written in the rule. */
function equalities(earlier: Atom, atom: Atom) {
  const [a, b] = [earlier.core, atom.core];
  if (a.op !== "compare" || b.op !== "compare" || a.how !== "equal" || b.how !== "equal") return undefined;
  const isWritten = [earlier, atom].every((each) => each.isTrue && each.span === each.core.span);
  if (!isWritten) return undefined;
  const subject = { start: Math.min(b.left.span.start, b.span.start), end: b.left.span.end };
  return { subject, values: [a.right.span, b.right.span] };
}

function denialOf(rule: CheckedRule, atoms: readonly Atom[], denies: readonly CheckedRule[]): Finding | undefined {
  if (rule.payload.effect !== "allow") return undefined;
  const deny = denies.find(
    (other) =>
      connectionsWithin(rule, other) &&
      within(rule.scope, other.scope) &&
      atomsOf(other).every((demanded) => isImplied(demanded, atoms)),
  );
  if (!deny) return undefined;
  return {
    path: rule.path,
    span: rule.decl.name.span,
    message: `\`${rule.name}\` allows nothing: \`${deny.name}\` denies all of it`,
    label: "has no effect",
    related: [{ path: deny.path, span: deny.decl.name.span, label: "a deny beats every allow" }],
    help: [`add an \`unless\` to \`${deny.name}\`, or delete \`${rule.name}\``],
  };
}

function isImplied(demanded: Atom, atoms: readonly Atom[]): boolean {
  if (atoms.some((atom) => atom.key !== undefined && atom.key === demanded.key && atom.isTrue === demanded.isTrue))
    return true;
  const { demand } = demanded;
  if (!demand) return false;
  const given = atoms.flatMap((atom) => (atom.demand?.subject === demand.subject ? [atom.demand.values] : []));
  return given.length > 0 && isWithin(given.reduce(both), demand.values);
}
