// Says numbers and instants the way people do.
const WHOLE = new Intl.NumberFormat("en");
const SHORT = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });
const CLOCK = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit" });
const DAY = new Intl.DateTimeFormat("en-GB", { weekday: "short", day: "numeric", month: "short" });
const FULL = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "medium" });

export const number = (value) => WHOLE.format(value);
export const compact = (value) => SHORT.format(value);
export const plural = (count, one, many = `${one}s`) => `${number(count)} ${count === 1 ? one : many}`;
export const clock = (at) => CLOCK.format(new Date(at));
export const day = (at) => DAY.format(new Date(at));
export const full = (at) => FULL.format(new Date(at));

/** A duration in its largest unit: "40 s", "12 min", "3 h", "5 days". */
export function duration(seconds) {
  const whole = Math.round(Math.abs(seconds));
  if (whole < 90) return `${whole} s`;
  if (whole < 90 * 60) return `${Math.round(whole / 60)} min`;
  if (whole < 48 * 3600) return `${Math.round(whole / 3600)} h`;
  return `${Math.round(whole / 86400)} days`;
}

/** How far an instant is from now: "12 min ago", "in 40 s". */
export function away(at, now = Date.now()) {
  const seconds = (new Date(at) - now) / 1000;
  if (Math.abs(seconds) < 2) return "just now";
  return seconds < 0 ? `${duration(seconds)} ago` : `in ${duration(seconds)}`;
}
