// `:oid(kind name)` in a corpus row -> the OID of that object in the database at hand

import { withClient } from "./postgres.ts";
import type { Database } from "./twin-databases.ts";
import type { Step } from "./twin-transcript.ts";

const placeholder = /:oid\((\w+) ((?:[^()]|\([^()]*\))+)\)/g;
const casts: Readonly<Record<string, string>> = {
  clinic: "regclass",
  proc: "regprocedure",
  type: "regtype",
  namespace: "regnamespace",
};

/** Replaces every placeholder. Throws when there is no such object: the row is wrong then. */
export async function withOids(database: Database, steps: readonly Step[]): Promise<readonly Step[]> {
  if (!steps.some((s) => s.text.includes(":oid("))) return steps;
  return withClient(database, async (client) => {
    const resolved: Step[] = [];
    for (const step of steps) {
      let text = step.text;
      for (const [whole, kind = "", name = ""] of step.text.matchAll(placeholder)) {
        const result = await client.query({
          text: `SELECT ($1::text)::${casts[kind] ?? "regclass"}::oid`,
          values: [name],
          rowMode: "array",
        });
        text = text.replaceAll(whole, String(result.rows[0]?.[0]));
      }
      resolved.push({ ...step, text });
    }
    return resolved;
  });
}
