// Faults planted into the gateway's own source, and whether the laws over the wire find them: each in a process of its own.
import { execFile } from "node:child_process";
import type { TestServer } from "./postgres.ts";

/** Every occurrence of `find` in `file` becomes `replace`. */
export type Plant = { readonly file: string; readonly find: string; readonly replace: string };
/** `seed`: of a world that shows the fault early; the five behind it are searched too. */
export type WireDefect = { readonly name: string; readonly plants: readonly Plant[]; readonly seed: number };

const plant = (file: string, find: string, replace: string): Plant => ({ file, find, replace });

export const masksForgotten = plant(
  "engine/sql/rewrite.ts",
  "const mask = p.masks.get(column.name);",
  "const mask = p.masks.get(' ' + column.name);",
);
export const netIsOff = plant(
  "proxy/postgres/upstream-side.ts",
  "hasOrigin(frame, rewritten.maskedOrigins)",
  "hasOrigin(frame, new Set())",
);

export const wireDefects: readonly WireDefect[] = [
  { name: "masks are forgotten where a relation is read", seed: 11, plants: [masksForgotten] },
  {
    name: "errors and notices pass with all their fields",
    seed: 11,
    plants: [
      plant(
        "proxy/postgres/scrub.ts",
        "const { rewritten, statement } = about;",
        "const { rewritten, statement } = about;\n  if (frame.length > 0) return frame;",
      ),
    ],
  },
  {
    name: "what is computed from a masked value is redacted, which keeps NULL",
    seed: 29,
    plants: [
      plant(
        "engine/sql/protection.ts",
        'masks.set(column.name, { kind: "nullify" })',
        'masks.set(column.name, { kind: "redact" })',
      ),
    ],
  },
  {
    name: "constraints over hidden rows judge writes",
    seed: 11,
    plants: [plant("engine/sql/rewrite-write.ts", "  checkConstraints(r, target, p);", "")],
  },
  {
    name: "a policy on a parent doesn't hold for its partitions and children",
    seed: 11,
    plants: [plant("engine/sql/protection.ts", "...ancestorsOf(relation, catalog), ", "")],
  },
  {
    name: "a deny is looked over",
    seed: 11,
    plants: [plant("engine/findings.ts", 'case "deny": {', 'case "deny": {\n        if (rule.id.length > 0) return;')],
  },
  {
    name: "statistics of the catalog are shown",
    seed: 11,
    plants: [
      plant(
        "engine/sql/protection.ts",
        "systemMasks(relation)",
        "systemMasks({ ...relation, schema: 'not ' + relation.schema })",
      ),
    ],
  },
  {
    name: "a filter isn't put around the target of a write",
    seed: 14,
    plants: [
      plant(
        "engine/sql/rewrite-write.ts",
        "if (p.filter) return { whereClause: guard(r, target, p, row, where) };",
        "",
      ),
    ],
  },
];

export type PlantedOutcome = {
  readonly found: string | undefined;
  readonly seed: number;
  readonly statements: number;
};

/** `mode` "net": plain columns only, which the server reports the origin of. */
export function runPlanted(
  plants: readonly Plant[],
  mode: "law" | "net",
  seed: number,
  server: TestServer,
): Promise<PlantedOutcome> {
  return new Promise((resolve, reject) => {
    execFile(
      process.execPath,
      ["--import", "./test/support/plant-defect.ts", "test/support/planted-run.ts", mode, String(seed)],
      {
        env: {
          ...process.env,
          GW_PLANT: JSON.stringify(plants),
          GW_TEST_PG: JSON.stringify(server),
          NODE_TEST_CONTEXT: "",
        },
        timeout: 120_000,
      },
      (error, out, err) => {
        const line = out.split("\n").find((l) => l.startsWith("{"));
        if (error || line === undefined || err.includes("never loaded"))
          reject(new Error(`${error?.message ?? ""}${out}${err}`));
        else resolve(JSON.parse(line) as PlantedOutcome);
      },
    );
  });
}
