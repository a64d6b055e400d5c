// who used a thing -> the groups that say so best, or their names where no group does
import type { Caller } from "./observed.ts";

/** Whom a rule is about. */
export type Audience = {
  readonly key: string;
  readonly kind: string;
  readonly who:
    | {
        readonly by: "group";
        readonly group: string /** Groups that have the same people in this recording. */;
        readonly alike: readonly string[];
      }
    | { readonly by: "name"; readonly subs: readonly string[] };
  /** All of them acted for a person. */
  readonly isOnBehalf: boolean;
  /** Keys of those who used it. */
  readonly users: ReadonlySet<string>;
};

/**
 * Per kind: the group whose members are most nearly the users, then the next for those who are left. A group that holds
 * somebody of `blocked` isn't taken; whoever is in no group that can be taken is named.
 */
export function audiencesOf(
  users: readonly Caller[],
  everyone: readonly Caller[],
  blocked: ReadonlySet<string>,
): readonly Audience[] {
  const found: Audience[] = [];
  for (const [kind, ofKind] of Map.groupBy(users, (caller) => caller.kind)) {
    const same = everyone.filter((caller) => caller.kind === kind);
    const userKeys = new Set(ofKind.map(({ key }) => key));
    let left = ofKind;
    while (left.length > 0) {
      const best = bestGroup(left, same, userKeys, blocked);
      if (best === undefined) break;
      const covered = left.filter(({ groups }) => groups.includes(best.group));
      found.push(audience(kind, { by: "group", ...best }, covered));
      left = left.filter((caller) => !covered.includes(caller));
    }
    if (left.length === 0) continue;
    const subs = [...new Set(left.map(({ sub }) => sub))].sort();
    for (let i = 0; i < subs.length; i += namesMax) {
      const some = subs.slice(i, i + namesMax);
      const named = left.filter(({ sub }) => some.includes(sub));
      found.push(audience(kind, { by: "name", subs: some }, named));
    }
  }
  return found;
}

/** Names in one rule. */
const namesMax = 100;

function audience(kind: string, who: Audience["who"], users: readonly Caller[]): Audience {
  const isOnBehalf = kind === "agent" && users.every((caller) => caller.isOnBehalf);
  const name = who.by === "group" ? who.group : who.subs;
  return {
    key: JSON.stringify([kind, who.by, name, isOnBehalf]),
    kind,
    who,
    isOnBehalf,
    users: new Set(users.map(({ key }) => key)),
  };
}

/** The harmonic mean of "members who use it" and "users who are members" is highest; then fewest members, then by name. */
function bestGroup(
  left: readonly Caller[],
  everyone: readonly Caller[],
  users: ReadonlySet<string>,
  blocked: ReadonlySet<string>,
): { readonly group: string; readonly alike: readonly string[] } | undefined {
  const rows = [...new Set(left.flatMap(({ groups }) => groups))].flatMap((group) => {
    const members = everyone.filter(({ groups }) => groups.includes(group));
    if (members.some(({ key }) => blocked.has(key) && !users.has(key))) return [];
    const using = members.filter(({ key }) => users.has(key)).length;
    const of = left.filter(({ groups }) => groups.includes(group)).length;
    const score = (using + of) / (members.length + left.length);
    return [{ group, score, members: members.map(({ key }) => key).join(), size: members.length }];
  });
  const [best] = rows.sort((a, b) => b.score - a.score || a.size - b.size || (a.group < b.group ? -1 : 1));
  if (best === undefined) return undefined;
  const alike = rows.filter((row) => row !== best && row.members === best.members).map(({ group }) => group);
  return { group: best.group, alike };
}
