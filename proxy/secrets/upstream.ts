// a connection's upstream, its secret and its principals -> where each session logs in
import { isKnown } from "../../engine/lib/truth.ts";
import type { IdentityFacts } from "../../engine/model/principal.ts";
import type { Clock, Log, UpstreamTarget } from "../deps.ts";
import { openCredential, type SecretRecipe } from "./config.ts";
import type { Credential, CredentialSource } from "./credential.ts";

/** The first row that fits says what a session is at the database. */
export type PrincipalRow = {
  readonly fits: { readonly kind: "group" | "sub" | "kind"; readonly value: string } | { readonly kind: "everyone" };
  readonly as: /** Logs in as the gateway and becomes this role. */
    | { readonly kind: "role"; readonly role: string }
    | { readonly kind: "login"; readonly user: string; readonly secret: SecretRecipe };
};

/** An upstream without its secret. */
export type UpstreamPlace = Omit<UpstreamTarget, "password" | "login" | "role" | "refused">;

export type LoginRecipe = {
  readonly secret: SecretRecipe;
  /** undefined: every session is the gateway's own user. */
  readonly principals?: readonly PrincipalRow[];
};

export type OpenedUpstream = {
  /** The gateway's own: for the catalog. */
  readonly target: UpstreamTarget;
  /** undefined: no row fits. */
  readonly targetFor: (identity: IdentityFacts) => UpstreamTarget | undefined;
  readonly close: () => void;
};

export function openUpstreamSecrets(place: UpstreamPlace, recipe: LoginRecipe, clock: Clock, log: Log): OpenedUpstream {
  const sources: CredentialSource[] = [];
  const open = (secret: SecretRecipe): CredentialSource => {
    const source = openCredential(secret, clock, log);
    sources.push(source);
    return source;
  };
  const target = withSecret(place, recipe.secret, open(recipe.secret));
  const rows = recipe.principals?.map(({ fits, as }) => ({
    fits,
    target:
      as.kind === "role"
        ? { ...target, role: as.role }
        : withSecret({ ...place, user: as.user }, as.secret, open(as.secret)),
  }));
  return {
    target,
    targetFor: (identity) => (rows === undefined ? target : rows.find(({ fits }) => isFitting(fits, identity))?.target),
    close: () => {
      for (const source of sources) source.close();
    },
  };
}

/** For a command that connects once: nothing is kept. */
export function withRecipe(place: UpstreamPlace, secret: SecretRecipe): UpstreamTarget {
  const get = async (): Promise<Credential> => (await secret.fetch(Date.now())).credential;
  return withSecret(place, secret, { get, refused: () => undefined, close: () => undefined });
}

function withSecret(place: UpstreamPlace, secret: SecretRecipe, source: CredentialSource): UpstreamTarget {
  let last: Credential | undefined;
  const get = async (): Promise<Credential> => {
    last = await source.get();
    return last;
  };
  return {
    host: place.host,
    port: place.port,
    ...(place.others === undefined ? {} : { others: place.others }),
    ...(place.attributes === undefined ? {} : { attributes: place.attributes }),
    database: place.database,
    // Rows whose users are made up must not look like one login: a pool hands sessions on by this name.
    user: secret.makesUser ? secret.name : place.user,
    tls: place.tls,
    password: async () => (await get()).password,
    ...(secret.makesUser
      ? {
          login: async () => {
            const { user, password } = await get();
            return { user: user ?? place.user, password };
          },
        }
      : {}),
    refused: () => {
      if (last !== undefined) source.refused(last);
    },
  };
}

function isFitting(fits: PrincipalRow["fits"], { sub, kind, groups }: IdentityFacts): boolean {
  switch (fits.kind) {
    case "everyone":
      return true;
    case "sub":
      return isKnown(sub) && sub === fits.value;
    case "kind":
      return isKnown(kind) && kind === fits.value;
    case "group":
      return isKnown(groups) && groups.has(fits.value);
  }
}
