// server-sent events, cut anywhere -> events with masked data (the door to eventsource-parser)
import { createParser, type EventSourceMessage } from "eventsource-parser";
import { limits } from "../limits.ts";
import { Counted, type CountLimit, type Transformer, unreadable } from "./content-fault.ts";
import { JsonTransformer } from "./json-stream.ts";
import { type ContentMasks, maskText } from "./masker.ts";

/** Written anew: fields that nobody knows and the text of comments are left out. */
export class EventStreamTransformer implements Transformer {
  readonly #masks: ContentMasks;
  readonly #counted: Counted;
  readonly #parser;
  #out = "";
  /** Characters since the last event: one event is held as a whole. */
  #held = 0;

  constructor(masks: ContentMasks, events: CountLimit | undefined) {
    this.#masks = masks;
    this.#counted = new Counted(events);
    this.#parser = createParser({
      onEvent: (event) => {
        this.#held = 0;
        this.#out += this.#event(event);
      },
      onRetry: (ms) => {
        this.#out += `retry: ${ms}\n\n`;
      },
      onComment: () => {
        this.#out += ":\n\n";
      },
    });
  }

  count = (): number => this.#counted.count;

  push = (piece: string): string => {
    this.#held += piece.length;
    this.#parser.feed(piece);
    if (this.#held > limits.contentLineCharsMax * 2) throw unreadable("an event that is too long");
    return this.#take();
  };

  /** An event without its blank line was never sent, says the specification. */
  end = (): string => this.#take();

  #take(): string {
    const out = this.#out;
    this.#out = "";
    return out;
  }

  #event({ id, event, data }: EventSourceMessage): string {
    this.#counted.add();
    const lines: string[] = [];
    if (event !== undefined) lines.push(`event: ${oneLine(maskText(event, this.#masks))}`);
    if (id !== undefined) lines.push(`id: ${oneLine(maskText(id, this.#masks))}`);
    for (const line of this.#data(data).split("\n")) lines.push(`data: ${line}`);
    return `${lines.join("\n")}\n\n`;
  }

  #data(data: string): string {
    const isDocument = /^\s*[{["]/.test(data) || this.#masks.paths.length > 0;
    // The end mark of model APIs.
    if (data === "" || data === "[DONE]") return data;
    if (!isDocument) return maskText(data, this.#masks);
    try {
      const json = new JsonTransformer({ masks: this.#masks, items: undefined });
      return json.push(data) + json.end();
    } catch (error) {
      if (this.#masks.paths.length > 0) throw error;
      return maskText(data, this.#masks);
    }
  }
}

const oneLine = (text: string): string => text.replaceAll(/[\r\n]/g, " ");
