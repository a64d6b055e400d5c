// Names of statements and portals: which of them the server could not tell apart.
import type { FrontendMessage } from "./protocol/frontend.ts";

/**
 * The server's tables of statements and portals look at the first 63 bytes of a name only. INVARIANT: two names that
 * differ here differ there, else one would be decided and the other run.
 */
const nameBytesMax = 63;

/** A character has at most three bytes per UTF-16 unit: most names need not be measured. */
const isLong = (name: string): boolean => name.length > nameBytesMax / 3 && Buffer.byteLength(name) > nameBytesMax;

export function hasLongName(message: FrontendMessage): boolean {
  switch (message.kind) {
    case "parse":
      return isLong(message.name);
    case "bind":
      return isLong(message.portal) || isLong(message.statement);
    case "execute":
      return isLong(message.portal);
    case "describe":
    case "close":
      return isLong(message.target.name);
    default:
      return false;
  }
}
