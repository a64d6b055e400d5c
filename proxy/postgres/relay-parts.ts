// What a relay is handed, and how much of a message it waits for on either side.
import type { Socket } from "node:net";
import type { PostgresListenerOptions } from "./options.ts";
import { backendType } from "./protocol/backend.ts";
import type { FrameRules } from "./protocol/frame.ts";
import { frontendType } from "./protocol/frontend.ts";
import type { GateSession } from "./sql-gate.ts";
import type { UpstreamSession } from "./upstream.ts";

export type RelayParts = {
  readonly options: PostgresListenerOptions;
  readonly session: GateSession;
  readonly client: Socket;
  /** Bytes that the client sent behind its password. */
  readonly clientRest: Buffer;
  readonly upstream: UpstreamSession;
  readonly searchPath: string;
  /** The session at the server may go to another client when this one has left it idle. */
  readonly isReusable: boolean;
  /** `upstream` is the server's session where that lives on: reset it, then use it again. */
  readonly onClosed: (upstream: Socket | undefined) => void;
};

/** Rows and COPY data above this size are handed on in pieces; smaller ones wait until they are whole. */
const streamedAboveBytes = 65_536;

export const fromServer: FrameRules = {
  lengthMax: () => 0x7fff_ffff,
  isStreamed: (type, total) =>
    total > streamedAboveBytes && (type === backendType.dataRow || type === backendType.copyData),
};

export const clientRules = ({ limits }: PostgresListenerOptions): FrameRules => ({
  lengthMax: (type) =>
    type === frontendType.bind || type === frontendType.copyData || type === frontendType.functionCall
      ? limits.frontendDataBytesMax
      : limits.frontendMessageBytesMax,
  isStreamed: (type) => type === frontendType.copyData,
});
