// Figures and days in words, as they are written in the reader's language.

const DAY = 86_400_000; // milliseconds

const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

export const number = (value) => value.toLocaleString("en-US");

/** `≥ 41`, `86`, `321–329`. */
export function bounds({ low, high }) {
  if (high === null) return `≥ ${number(low)}`;
  return low === high ? number(low) : `${number(low)}–${number(high)}`;
}

/** `39.5–40.5 %`. */
export function percent({ low, high }) {
  return low === high ? `${low} %` : `${low}–${high} %`;
}

/** A day, a month, a year, or two of these with a slash between them: `26 Jan 2024`, `2024年1月26日`. */
export function day(written, words) {
  if (written.includes("/")) {
    const [first, last] = written.split("/");
    return `${day(first, words)} – ${day(last, words)}`;
  }
  const match = /^(\d{4})(?:-(\d{2})(?:-(\d{2}))?)?$/.exec(written);
  if (!match) return written;
  const [, year, month, date] = match;
  if (words.language === "zh") return `${year}年${month ? `${Number(month)}月` : ""}${date ? `${Number(date)}日` : ""}`;
  return [date && Number(date), month && MONTHS[Number(month) - 1], year].filter(Boolean).join(" ");
}

/** An instant to the minute, in UTC. */
export function moment(written, words) {
  return `${day(written.slice(0, 10), words)}, ${written.slice(11, 16)} UTC`;
}

/** The first and the last day of a day, a month or a year; of two with a slash between them, of both together. */
export const firstDay = (written) => `${written.split("/")[0]}-01-01`.slice(0, 10);
export function lastDay(written) {
  const last = written.split("/").at(-1);
  if (/^\d{4}$/.test(last)) return `${last}-12-31`;
  const month = /^(\d{4})-(\d{2})$/.exec(last);
  return month ? fromDays(Date.UTC(Number(month[1]), Number(month[2]), 0) / DAY) : last;
}

/** The number of days from 1970-01-01 to a date; and back. */
export const toDays = (written) => Math.round(Date.parse(`${written}T00:00:00Z`) / DAY);
export const fromDays = (days) => new Date(days * DAY).toISOString().slice(0, 10);
