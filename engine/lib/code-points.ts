/** Negative, 0 or positive. By code point: `<` on strings compares UTF-16 units, which differs above U+FFFF. */
export function compareCodePoints(a: string, b: string): number {
  let i = 0;
  while (i < a.length && i < b.length && a.charCodeAt(i) === b.charCodeAt(i)) i += 1;
  // Behind the first half of a pair: what the whole characters are decides.
  if (i > 0 && isHighSurrogate(a.charCodeAt(i - 1))) {
    const whole = (a.codePointAt(i - 1) ?? -1) - (b.codePointAt(i - 1) ?? -1);
    if (whole !== 0) return whole;
  }
  return (a.codePointAt(i) ?? -1) - (b.codePointAt(i) ?? -1);
}

const isHighSurrogate = (unit: number): boolean => unit >= 0xd800 && unit <= 0xdbff;
