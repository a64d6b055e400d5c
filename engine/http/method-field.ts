// a form that passes unread, in pieces -> whether one of its fields asks for another method than the request's
import { isMethodField } from "./field-names.ts";

/** `push` tells at once: nothing of the piece in which the field's name ends has to be sent. */
export type MethodFieldScanner = { readonly push: (piece: Uint8Array) => boolean };

/** Longer than every spelling of the name, leading blanks aside. */
const nameCharsMax = 64;
const partHeadCharsMax = 16_384;

const latin1 = (piece: Uint8Array): string =>
  Buffer.from(piece.buffer, piece.byteOffset, piece.byteLength).toString("latin1");

export function scanForm(): MethodFieldScanner {
  let name: string | undefined = "";
  return {
    push: (piece) => {
      for (const c of latin1(piece)) {
        if (c === "&" || c === ";") name = "";
        else if (c === "=") {
          if (name !== undefined && isMethodField(decoded(name))) return true;
          name = undefined;
        } else if (name !== undefined) {
          name += c;
          if (name === "+" || name === " " || name === "%20" || /^%0[9a-d]$/i.test(name)) name = "";
          else if (name.length > nameCharsMax) name = undefined;
        }
      }
      return false;
    },
  };
}

const decoded = (name: string): string =>
  name
    .replaceAll("+", " ")
    .replace(/%([0-9A-Fa-f]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));

/** Reads the heads of parts; a head without an end is as suspicious as the field. */
export function scanMultipart(boundary: string): MethodFieldScanner {
  const mark = `--${boundary}`;
  let text = "";
  let isInHead = false;
  return {
    push: (piece) => {
      text += latin1(piece);
      for (;;) {
        if (isInHead) {
          const end = /\r?\n\r?\n/.exec(text);
          if (end === null) return text.length > partHeadCharsMax;
          if (namesMethod(text.slice(0, end.index))) return true;
          text = text.slice(end.index + end[0].length);
          isInHead = false;
        }
        const at = text.indexOf(mark);
        if (at < 0) {
          text = text.slice(-mark.length);
          return false;
        }
        text = text.slice(at + mark.length);
        isInHead = true;
      }
    },
  };
}

/** A name in another notation than `name="…"` is refused with it: servers differ in what they make of it. */
function namesMethod(head: string): boolean {
  const unfolded = head.replace(/\r?\n[ \t]+/g, " ");
  const names = unfolded.matchAll(/[;\s]name([^\s=]*)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^;\r\n]*))/gi);
  for (const [, notation = "", quoted, plain = ""] of names) {
    if (notation !== "" || isMethodField(decoded((quoted ?? plain).replace(/\\(.)/g, "$1").replace(/^'|'$/g, ""))))
      return true;
  }
  return false;
}
