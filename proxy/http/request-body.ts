// bytes of a body + its headers -> what a policy may ask about it; or why it isn't what it says
import type { BodyFacts } from "../../engine/http/facts.ts";
import type { Field, HttpFault } from "../../engine/http/request.ts";
import { ok, type Result } from "../../engine/lib/result.ts";
import { Unknown } from "../../engine/lib/truth.ts";
import type { Limits } from "../../engine/limits.ts";

export async function readBodyFacts(
  bytes: Uint8Array,
  _headers: readonly Field[],
  _limits: Limits,
): Promise<Result<BodyFacts, HttpFault>> {
  return ok({ body: new Unknown("bodies of this content type are not understood"), bodySize: bytes.byteLength });
}
