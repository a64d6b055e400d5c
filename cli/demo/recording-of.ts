import { type RecordedEvent, readEvents } from "../../proxy/recording/read.ts";
import { renderSession } from "../session-view.ts";

/** The newest session of `sub` in a recording, as `gw sessions show` prints it; "" when there is none. */
export async function recordingOf(directory: string, sub: string): Promise<string> {
  let events: RecordedEvent[] = [];
  let session: string | undefined;
  for await (const event of readEvents(directory)) {
    if (event.type === "session-start" && event.principal.sub === sub) {
      session = event.session;
      events = [];
    }
    if (event.session === session) events.push(event);
  }
  return session === undefined ? "" : renderSession(events);
}
