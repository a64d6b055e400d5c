// `approvals` of gw.yaml
import { limits } from "../../engine/limits.ts";
import type { ConfigReader } from "../config-reader.ts";
import { durationMs, durationSchema, secretSchema } from "../config-schema.ts";
import type { UpstreamTarget } from "../deps.ts";
import { z } from "../schema.ts";
import { buildCredential, credentialSchema } from "../secrets/config.ts";
import { withRecipe } from "../secrets/upstream.ts";
import type { Vault } from "../secrets/vault.ts";
import type { BreakGlassRules, RecordedState } from "./desk.ts";
import type { HookConfig } from "./webhooks.ts";

const events = [
  "requested",
  "approved",
  "granted",
  "refused",
  "expired",
  "withdrawn",
  "used",
  "glass-broken",
  "reviewed",
] as const satisfies readonly RecordedState[];

const hookUrl = z.union([z.url({ protocol: /^https?$/ }), secretSchema]);

export const approvalsSchema = z.strictObject({
  file: z.string().min(1).optional(),
  postgres: z
    .strictObject({
      host: z.string().min(1),
      port: z.int().min(1).max(65_535).default(5432),
      database: z.string().min(1),
      user: z.string().min(1),
      password: credentialSchema.optional(),
      sslmode: z.enum(["disable", "require", "verify-ca", "verify-full"]).default("verify-full"),
      ca: z.string().optional(),
    })
    .optional(),
  hold: durationSchema.optional(),
  break_glass: z
    .strictObject({
      groups: z.array(z.string().min(1)).min(1),
      unreviewed_max: z.int().min(1).default(3),
      review_within: durationSchema.default("24h"),
    })
    .optional(),
  webhooks: z
    .array(z.strictObject({ url: hookUrl, secret: secretSchema, events: z.array(z.enum(events)).min(1).optional() }))
    .optional(),
  slack: z.array(z.strictObject({ url: hookUrl, events: z.array(z.enum(events)).min(1).optional() })).optional(),
});

export const approvalsKeys: readonly string[] = [
  ...Object.keys(approvalsSchema.shape),
  ...["unreviewed_max", "review_within", "groups", "events", "url", "secret"],
];

export type ApprovalsConfig = {
  /** Where state lies, unless `postgres` is given. */
  readonly file: string;
  /** A database that several gateways share. */
  readonly postgres?: UpstreamTarget;
  readonly holdMs: number;
  readonly breakGlass?: BreakGlassRules;
  readonly hooks?: readonly HookConfig[];
};

export function buildApprovals(
  parsed: z.infer<typeof approvalsSchema>,
  defaultFile: string,
  pageOrigin: string | undefined,
  vault: Vault | undefined,
  at: ConfigReader,
): ApprovalsConfig {
  const { file, postgres, hold, break_glass: glass } = parsed;
  if (file !== undefined && postgres !== undefined) {
    at.complain(["approvals"], "approvals lie either in a `file` or in `postgres`");
  }
  const hooks = buildHooks(parsed, pageOrigin, at);
  return {
    file: at.path(file ?? defaultFile),
    ...(postgres === undefined ? {} : { postgres: buildStore(postgres, vault, at) }),
    holdMs: hold === undefined ? limits.approvalHoldMs : durationMs(hold),
    ...(glass === undefined
      ? {}
      : {
          breakGlass: {
            groups: new Set(glass.groups),
            unreviewedMax: glass.unreviewed_max,
            reviewWithinMs: durationMs(glass.review_within),
          },
        }),
    ...(hooks.length === 0 ? {} : { hooks }),
  };
}

function buildStore(
  parsed: NonNullable<z.infer<typeof approvalsSchema>["postgres"]>,
  vault: Vault | undefined,
  at: ConfigReader,
): UpstreamTarget {
  const path = ["approvals", "postgres"];
  const { host, port, database, user, password, sslmode, ca } = parsed;
  const place = {
    host,
    port,
    database,
    user,
    tls: { mode: sslmode, ca: ca === undefined ? undefined : at.file(ca, [...path, "ca"]) },
  };
  if (password === undefined) return { ...place, password: async () => "" };
  const recipe = buildCredential(password, vault, [...path, "password"], at);
  if (recipe.makesUser)
    at.complain([...path, "password"], "the store's user owns its tables: it can't be a made-up one");
  return withRecipe(place, recipe);
}

const toldByDefault: readonly RecordedState[] = events.filter((event) => event !== "approved");
const toldToPeople: readonly RecordedState[] = ["requested", "refused", "expired", "withdrawn", "glass-broken"];

function buildHooks(
  parsed: z.infer<typeof approvalsSchema>,
  pageOrigin: string | undefined,
  at: ConfigReader,
): readonly HookConfig[] {
  const urlOf = (url: z.infer<typeof hookUrl>, path: readonly (string | number)[]): (() => Promise<string>) =>
    typeof url === "string" ? async () => url : at.secret(url, [...path, "url"]);
  const webhooks = (parsed.webhooks ?? []).map((hook, i): HookConfig => {
    const path = ["approvals", "webhooks", i];
    return {
      name: `webhook ${i + 1}`,
      url: urlOf(hook.url, path),
      form: { kind: "signed", secret: at.secret(hook.secret, [...path, "secret"]) },
      events: new Set(hook.events ?? toldByDefault),
    };
  });
  const slack = (parsed.slack ?? []).map(
    (hook, i): HookConfig => ({
      name: `slack ${i + 1}`,
      url: urlOf(hook.url, ["approvals", "slack", i]),
      form: { kind: "slack", pageOrigin },
      events: new Set(hook.events ?? toldToPeople),
    }),
  );
  return [...webhooks, ...slack];
}
