// SessionEvent -> the text of its fields, as it stands in a line of the recording
import type { SessionEvent } from "../../engine/model/session-event.ts";

declare const eventTextBrand: unique symbol;

/** Fields as JSON without the braces. INVARIANT: equal to what `eventText` gives for the same event. */
export type EventText = string & { readonly [eventTextBrand]: true };

export const eventText = (event: SessionEvent): EventText => fieldsOf(event) as EventText;

/** The fields of an object as JSON, without the braces; those that are undefined are left out. */
export const fieldsOf = (fields: object): string => JSON.stringify(fields).slice(1, -1);

/** For what is written often: parts that were made by `fieldsOf` or are JSON by themselves, put together by the caller. */
export const eventTextOf = (fields: string): EventText => fields as EventText;
