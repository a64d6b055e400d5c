// a file that the command line names -> its bytes
import { readFileSync } from "node:fs";
import { causeCode, GatewayError } from "../proxy/errors.ts";

/** @throws GatewayError `config-unreadable` */
export function readBytes(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    throw new GatewayError("config-unreadable", `\`${path}\` can't be read: ${causeCode(error)}`, "check the path");
  }
}
