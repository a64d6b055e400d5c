// --recording or --config -> where the recording lies
import { readRecordingDirectory } from "../proxy/config.ts";

export type RecordingOptions = { readonly recording?: string; readonly config: string };

/** Secrets that the configuration names need not be there to read a recording. */
export const recordingFolder = async (options: RecordingOptions): Promise<string> =>
  options.recording ?? (await readRecordingDirectory(options.config));
