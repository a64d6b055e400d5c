// Revisions of MCP that we know how to read.

export const modernVersion = "2026-07-28";

export const versionMetaKey = "io.modelcontextprotocol/protocolVersion";

const known: ReadonlySet<string> = new Set(["2025-03-26", "2025-06-18", "2025-11-25", modernVersion]);

export const isKnownVersion = (version: string): boolean => known.has(version);

/** What a server may say that it speaks: a date, so that it can stand in a header. */
export const isVersion = (version: string): boolean => /^\d{4}-\d{2}-\d{2}$/.test(version);
