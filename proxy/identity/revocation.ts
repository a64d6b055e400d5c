// a deny list, in the configuration and in a file -> who is turned away
import { readFileSync, statSync } from "node:fs";
import { isKnown } from "../../engine/lib/truth.ts";
import type { IdentityFacts } from "../../engine/model/principal.ts";
import type { Clock, Log } from "../deps.ts";
import { causeCode, GatewayError } from "../errors.ts";

export type Revocation = {
  /** Nobody is turned away: asked before each statement, so that it costs nothing where there is no list. */
  readonly isEmpty: () => boolean;
  /** `subs`: everyone behind the request. */
  readonly isRevoked: (who: {
    readonly tokenId: string | undefined;
    readonly subs: readonly string[];
    readonly session?: string;
  }) => boolean;
};

/** How often the file is looked at, at most: a revoked session ends with its first statement after that. */
const lookAgainMs = 1_000;

/**
 * A line of the file is `jti:…`, `sub:…` or `session:…`, or a value that stands for either of the first two; `#` starts a
 * comment. A file that can't be read any more leaves the last list in force.
 * @throws GatewayError `config-unreadable` when it can't be read at start
 */
export function openRevocation(
  config: { readonly revoked: ReadonlySet<string>; readonly revokedFile?: string },
  clock: Clock,
  log: Log,
): Revocation {
  const { revoked, revokedFile } = config;
  let fromFile: ReadonlySet<string> = new Set();
  let seen = "";
  let lookedAtMs = Number.NEGATIVE_INFINITY;
  let isFailing = false;
  const read = (path: string): void => {
    const { mtimeMs, size, ino } = statSync(path);
    const version = `${mtimeMs} ${size} ${ino}`;
    if (version === seen) return;
    fromFile = new Set(
      readFileSync(path, "utf8")
        .split(/\r?\n/)
        .map((line) => line.replace(/#.*/, "").trim())
        .filter((line) => line !== ""),
    );
    seen = version;
  };
  const look = (): void => {
    // A clock that was set back must not keep the file from being read.
    if (revokedFile === undefined || Math.abs(clock.nowMs() - lookedAtMs) < lookAgainMs) return;
    lookedAtMs = clock.nowMs();
    try {
      read(revokedFile);
      isFailing = false;
    } catch (error) {
      if (!isFailing) log.error({ code: "config-unreadable", cause: causeCode(error) }, "the deny list can't be read");
      isFailing = true;
    }
  };
  if (revokedFile !== undefined) {
    try {
      read(revokedFile);
    } catch (error) {
      throw new GatewayError(
        "config-unreadable",
        `the deny list \`${revokedFile}\` can't be read: ${causeCode(error)}`,
        "make the file, empty if need be, or leave out `identity.revoked_file`",
        error,
      );
    }
  }
  const has = (kind: "jti" | "sub" | "session", value: string): boolean => {
    const isBare = kind !== "session" && !/^(?:jti|sub|session):/.test(value);
    const names = isBare ? [value, `${kind}:${value}`] : [`${kind}:${value}`];
    return names.some((name) => revoked.has(name) || fromFile.has(name));
  };
  return {
    isEmpty: () => {
      look();
      return revoked.size === 0 && fromFile.size === 0;
    },
    isRevoked: ({ tokenId, subs, session }) => {
      look();
      return (
        (tokenId !== undefined && has("jti", tokenId)) ||
        subs.some((sub) => has("sub", sub)) ||
        (session !== undefined && has("session", session))
      );
    },
  };
}

/** What the list is asked about somebody who is logged in. */
export function revocable({ sub, on_behalf_of, chain, claims }: IdentityFacts): {
  readonly tokenId: string | undefined;
  readonly subs: readonly string[];
} {
  const subs = new Set(chain ?? []);
  for (const name of [sub, on_behalf_of]) if (isKnown(name) && name !== undefined) subs.add(name);
  const jti = isKnown(claims) ? claims.jti : undefined;
  return { tokenId: typeof jti === "string" ? jti : undefined, subs: [...subs] };
}
