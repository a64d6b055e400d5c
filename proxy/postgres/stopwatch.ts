/** A stopwatch, not a clock: microseconds since the process began. */
export const stopwatchUs = (): number => Math.round(performance.now() * 1000);
