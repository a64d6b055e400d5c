// secrets of gw.yaml -> credentials that are kept fresh
import type { ConfigReader, Path } from "../config-reader.ts";
import { durationMs, durationSchema } from "../config-schema.ts";
import type { Clock, Log } from "../deps.ts";
import { z } from "../schema.ts";
import { secretOfCommand } from "./command.ts";
import { type CredentialSource, type Fetched, keepFresh, secretUnavailable } from "./credential.ts";
import type { LoginRecipe, PrincipalRow } from "./upstream.ts";
import { openVault, type Vault, type VaultConfig } from "./vault.ts";

const plainSecret = z.strictObject({ env: z.string().min(1).optional(), file: z.string().min(1).optional() });
const pathText = z.string().regex(/^[\w.-]+(?:\/[\w.-]+)*$/, "write a path like `app/db`");

/** Where Vault is, once for all secrets that lie there. */
export const vaultSchema = z.strictObject({
  address: z.url({ protocol: /^https?$/ }),
  namespace: z.string().min(1).optional(),
  token: plainSecret.optional(),
  approle: z
    .strictObject({ mount: pathText.default("approle"), role_id: z.string().min(1), secret_id: plainSecret })
    .optional(),
});

/** A password, or a user and a password, for an upstream. */
export const credentialSchema = z.strictObject({
  env: z.string().min(1).optional(),
  file: z.string().min(1).optional(),
  command: z.array(z.string()).min(1).optional(),
  /** Of a command whose output says none: AWS's tokens for databases live 15 minutes. */
  ttl: durationSchema.optional(),
  vault_kv: z.strictObject({ mount: pathText.default("secret"), path: pathText, field: z.string().min(1) }).optional(),
  vault_database: z.strictObject({ mount: pathText.default("database"), role: pathText }).optional(),
});

/** Rows, the first that fits counts: whom it is for, and either a role or a login of its own. */
export const principalsSchema = z
  .array(
    z.strictObject({
      group: z.string().min(1).optional(),
      sub: z.string().min(1).optional(),
      kind: z.enum(["human", "agent", "service"]).optional(),
      everyone: z.literal(true).optional(),
      role: z.string().min(1).max(63).optional(),
      user: z.string().min(1).max(63).optional(),
      password: credentialSchema.optional(),
    }),
  )
  .min(1);

export const secretsKeys: readonly string[] = [
  ...Object.keys(vaultSchema.shape),
  ...Object.keys(credentialSchema.shape),
  ...Object.keys(principalsSchema.element.shape),
  "principals",
  "mount",
  "path",
  "field",
  "role_id",
  "secret_id",
];

const defaultTtlMs = 600_000;

/** How a configured secret is fetched. `name` goes into logs and errors. */
export type SecretRecipe = {
  readonly name: string;
  /** It brings a user of its own. */
  readonly makesUser: boolean;
  /** False: read at each use. */
  readonly isKept: boolean;
  readonly fetch: (nowMs: number) => Promise<Fetched>;
};

export function buildVault(parsed: z.infer<typeof vaultSchema> | undefined, at: ConfigReader): Vault | undefined {
  if (parsed === undefined) return undefined;
  const path: Path = ["vault"];
  if ((parsed.token === undefined) === (parsed.approle === undefined)) {
    at.complain(path, "vault needs either a `token` or an `approle`");
  }
  if (!/^https:|^http:\/\/(?:127\.|localhost|\[::1\])/.test(parsed.address)) {
    at.complain([...path, "address"], "secrets travel by https only, but on loopback");
  }
  const login: VaultConfig["login"] =
    parsed.approle === undefined
      ? { kind: "token", token: at.secret(parsed.token ?? {}, [...path, "token"]) }
      : {
          kind: "approle",
          mount: parsed.approle.mount,
          roleId: parsed.approle.role_id,
          secretId: at.secret(parsed.approle.secret_id, [...path, "approle", "secret_id"]),
        };
  return openVault({ address: parsed.address, namespace: parsed.namespace, login });
}

export function buildCredential(
  parsed: z.infer<typeof credentialSchema>,
  vault: Vault | undefined,
  path: Path,
  at: ConfigReader,
): SecretRecipe {
  const { env, file, command, vault_kv: kv, vault_database: database } = parsed;
  const given = [env, file, command, kv, database].filter((one) => one !== undefined);
  if (given.length !== 1) {
    at.complain(path, "a secret is one of `env`, `file`, `command`, `vault_kv`, `vault_database`");
    return noSecret;
  }
  if ((kv !== undefined || database !== undefined) && vault === undefined) {
    at.complain(path, "this secret lies in Vault: say where that is, with `vault` at the top of the configuration");
    return noSecret;
  }
  if (kv !== undefined && vault !== undefined) {
    const fetch = () => vault.kv(kv.mount, kv.path, kv.field);
    return { name: `vault kv ${kv.mount}/${kv.path}`, makesUser: false, isKept: true, fetch };
  }
  if (database !== undefined && vault !== undefined) {
    const fetch = () => vault.database(database.mount, database.role);
    return { name: `vault database ${database.mount}/${database.role}`, makesUser: true, isKept: true, fetch };
  }
  if (command !== undefined) {
    const ttlMs = parsed.ttl === undefined ? defaultTtlMs : durationMs(parsed.ttl);
    return {
      name: `command ${command[0]}`,
      makesUser: false,
      isKept: true,
      fetch: (nowMs) => secretOfCommand(command, ttlMs, at.environment, nowMs),
    };
  }
  const read = at.secret({ env, file }, path);
  // A file that was replaced counts from the next login on.
  const fetch = async (): Promise<Fetched> => ({ credential: { password: await read() }, ttlMs: undefined });
  return { name: env === undefined ? `file ${file}` : `env ${env}`, makesUser: false, isKept: false, fetch };
}

type ParsedUpstream = {
  readonly user?: string | undefined;
  readonly password?: z.infer<typeof credentialSchema> | undefined;
  readonly principals?: z.infer<typeof principalsSchema> | undefined;
};

export function buildUpstreamSecrets(
  parsed: ParsedUpstream,
  vault: Vault | undefined,
  path: Path,
  at: ConfigReader,
): Pick<LoginRecipe, "secret"> & {
  readonly target: { readonly user: string };
  readonly principals: readonly PrincipalRow[] | undefined;
} {
  const secret =
    parsed.password === undefined ? noSecret : buildCredential(parsed.password, vault, [...path, "password"], at);
  if (parsed.user === undefined && !secret.makesUser)
    at.complain(path, "`user` is missing: whom the gateway logs in as");
  return {
    target: { user: parsed.user ?? "" },
    secret,
    principals: parsed.principals?.flatMap((row, i) => buildPrincipal(row, vault, [...path, "principals", i], at)),
  };
}

function buildPrincipal(
  row: z.infer<typeof principalsSchema>[number],
  vault: Vault | undefined,
  path: Path,
  at: ConfigReader,
): readonly PrincipalRow[] {
  const { group, sub, kind, everyone, role, user, password } = row;
  const fits: PrincipalRow["fits"][] = [];
  if (group !== undefined) fits.push({ kind: "group", value: group });
  if (sub !== undefined) fits.push({ kind: "sub", value: sub });
  if (kind !== undefined) fits.push({ kind: "kind", value: kind });
  if (everyone !== undefined) fits.push({ kind: "everyone" });
  const [only] = fits;
  if (only === undefined || fits.length > 1) {
    at.complain(path, "a row is for one of `group`, `sub`, `kind`, `everyone: true`");
    return [];
  }
  if (role !== undefined && user === undefined && password === undefined) {
    if (role === "none") at.complain([...path, "role"], "`none` is no role to PostgreSQL: it would undo the others");
    return [{ fits: only, as: { kind: "role", role } }];
  }
  if (role !== undefined || password === undefined) {
    at.complain(path, "a row gives either a `role`, or a `user` with a `password`");
    return [];
  }
  const secret = buildCredential(password, vault, [...path, "password"], at);
  if (user === undefined && !secret.makesUser) at.complain(path, "`user` is missing: whom these log in as");
  return [{ fits: only, as: { kind: "login", user: user ?? "", secret } }];
}

export const noSecret: SecretRecipe = {
  name: "none",
  makesUser: false,
  isKept: false,
  fetch: async () => ({ credential: { password: "" }, ttlMs: undefined }),
};

export function openCredential(recipe: SecretRecipe, clock: Clock, log: Log): CredentialSource {
  const fetch = () => recipe.fetch(clock.nowMs());
  if (recipe.isKept) return keepFresh(recipe.name, fetch, clock, log);
  return {
    get: async () => {
      try {
        return (await fetch()).credential;
      } catch (error) {
        throw secretUnavailable(recipe.name, error);
      }
    },
    refused: () => undefined,
    close: () => undefined,
  };
}
