// `users` in gw.yaml -> users with a SCRAM verifier, for tools that can't bring a token
import type { ConfigReader, Path } from "../config-reader.ts";
import { z } from "../schema.ts";
import { parseVerifier } from "./scram-verifier.ts";
import type { StaticUser } from "./static-users.ts";

export const usersSchema = z.array(
  z.strictObject({
    name: z.string().min(1).max(63),
    verifier: z.string(),
    kind: z.enum(["human", "agent", "service"]).default("service"),
    groups: z.array(z.string()).default([]),
    connections: z.array(z.string()).min(1).optional(),
    expires: z.iso.date().optional(),
  }),
);

export function buildUsers(
  parsed: z.infer<typeof usersSchema>,
  connections: ReadonlySet<string>,
  at: ConfigReader,
): readonly StaticUser[] {
  const users: StaticUser[] = [];
  const names = new Set<string>();
  parsed.forEach(({ name, verifier: text, kind, groups, connections: only, expires }, i) => {
    const path: Path = ["users", i];
    if (names.has(name)) at.complain([...path, "name"], `two users are called \`${name}\``);
    names.add(name);
    only?.forEach((connection, j) => {
      if (!connections.has(connection)) {
        at.complain([...path, "connections", j], `there is no connection \`${connection}\``);
      }
    });
    const verifier = parseVerifier(text);
    if (verifier === undefined) {
      // The text may be a password that somebody wrote here: it isn't repeated.
      at.complain([...path, "verifier"], `this is no SCRAM-SHA-256 verifier: \`gw user verifier ${name}\` makes one`);
      return;
    }
    const expiresAtS = expires === undefined ? undefined : Math.floor(Date.parse(expires) / 1_000) + 86_400;
    users.push({ name, verifier, kind, groups, connections: only, expiresAtS });
  });
  return users;
}
