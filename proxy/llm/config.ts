// `kind: llm` in gw.yaml -> the model API behind it, and what its models cost
import type { PriceTable } from "../../engine/llm/usage.ts";
import type { ConfigReader, Path } from "../config-reader.ts";
import { keysIn } from "../config-schema.ts";
import { buildHttpBase, type HttpConnectionBase, httpConnectionKeys } from "../http/config.ts";
import { z } from "../schema.ts";

export type LlmConnectionConfig = HttpConnectionBase & {
  readonly kind: "llm";
  /** `llm.provider` in policies. */
  readonly provider: string;
  readonly prices: PriceTable;
};

const usd = z.number().min(0);

const priceSchema = z.strictObject({
  model: z.string().min(1),
  /** US dollars for a million tokens. */
  input: usd,
  output: usd,
  cache_write: usd.optional(),
  cache_read: usd.optional(),
});

export const llmConnectionSchema = z.strictObject({
  ...httpConnectionKeys,
  kind: z.literal("llm"),
  provider: z.string().min(1).default("anthropic"),
  prices: z.array(priceSchema).default([]),
});

/** What a mistyped key is compared with. */
export const llmConfigKeys: readonly string[] = [...keysIn(llmConnectionSchema), ...keysIn(priceSchema)];

export function buildLlmConnection(
  parsed: z.infer<typeof llmConnectionSchema>,
  path: Path,
  at: ConfigReader,
): LlmConnectionConfig {
  return {
    ...buildHttpBase(parsed, path, at),
    kind: "llm",
    provider: parsed.provider,
    prices: parsed.prices.map(({ model, input, output, cache_write, cache_read }) => ({
      model,
      // What a cache costs where the table doesn't say: as much as plain input, which is never too little to count for reads.
      price: { input, output, cacheWrite: cache_write ?? input * 1.25, cacheRead: cache_read ?? input },
    })),
  };
}
