// E0601: an obligation that the adapter of a connection cannot honour. Asked only where the connections are known.
import type { Capabilities, ConnectionCapabilities } from "../../engine/model/capabilities.ts";
import type { CheckedRule } from "../checked.ts";
import { anyMatches } from "../glob.ts";
import { report } from "./context.ts";
import type { RuleCheck } from "./rules.ts";

/** What a rule asks of an adapter, in the author's words, and what the adapter has of that kind. */
type Demand = {
  readonly what: string;
  readonly has: (adapter: Capabilities) => boolean;
  readonly offered: (adapter: Capabilities) => readonly string[];
};

export const capability: RuleCheck = (context, checked) => {
  const { connections } = context;
  if (connections === undefined) return;
  for (const rule of checked.rules) {
    const demand = demandOf(rule);
    const file = checked.files.get(rule.path);
    if (!demand || !file || rule.isShadow) continue;
    const reached = connections.filter((connection) => reaches(rule, connection));
    const unable = reached.filter(({ capabilities }) => !demand.has(capabilities));
    const [first] = unable;
    if (!first) continue;
    const names = (list: readonly ConnectionCapabilities[]): string => list.map((c) => `"${c.name}"`).join(", ");
    const able = reached.filter((connection) => !unable.includes(connection));
    const offered = demand.offered(first.capabilities);
    report(
      { context, file },
      "E0601",
      rule.decl.name.span,
      `${unable.length === 1 ? "connection" : "connections"} ${names(unable)} cannot apply \`${demand.what}\``,
      {
        label: `matches ${names(unable)}`,
        notes: [
          offered.length === 0
            ? `the adapter of "${first.name}" supports nothing of this kind`
            : `the adapter of "${first.name}" supports ${offered.join(", ")}`,
          "gw does not load policies whose obligations a connection cannot honour",
        ],
        help: [
          able.length > 0
            ? `say where it holds: \`at ${names(able)}\``
            : "say with `on` or `at` which connections are meant, or take another obligation",
        ],
      },
    );
  }
};

/** Masks of columns and filters of rows concern connections that have rows, whatever the rule's target says. */
function reaches({ at, scope, payload }: CheckedRule, { name, capabilities }: ConnectionCapabilities): boolean {
  if (!anyMatches(at, name)) return false;
  if (payload.effect === "mask" || payload.effect === "filter") return capabilities.protocol === "sql";
  return scope.protocol === "any" || scope.protocol === capabilities.protocol;
}

function demandOf({ payload }: CheckedRule): Demand | undefined {
  switch (payload.effect) {
    case "mask": {
      const { kind } = payload.mask;
      const what = `mask … using ${kind}`;
      return { what, has: (a) => a.columnMasks.has(kind), offered: (a) => [...a.columnMasks] };
    }
    case "content-mask": {
      const { kind } = payload.mask;
      if (payload.format === "tagged")
        return {
          what: `mask … of json tagged … using ${kind}`,
          has: (a) => a.masksTagged === true && a.contentMasks.has(kind),
          offered: () => [],
        };
      const what = `mask … of ${payload.format} … using ${kind}`;
      return { what, has: (a) => a.contentMasks.has(kind), offered: (a) => [...a.contentMasks] };
    }
    case "filter":
      return { what: "filter … where", has: (a) => a.filtersRows, offered: () => [] };
    case "item-filter":
      return { what: "filter … of json", has: (a) => a.filtersItems === true, offered: () => [] };
    case "limit": {
      const { unit, window } = payload;
      const units = (a: Capabilities) => (window ? a.windowLimits : a.resultLimits);
      const suffix = window ? " per …" : "";
      return {
        what: `limit … ${unit}${suffix}`,
        has: (a) => units(a).has(unit),
        offered: (a) => [...units(a)].map((each) => `${each}${suffix}`),
      };
    }
    case "allow":
    case "deny":
    case "approval":
    case "alert":
      return undefined;
    default:
      return payload satisfies never;
  }
}
