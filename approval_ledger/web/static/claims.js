// What an event says, in one line: the text of each type of event.

import { day, number } from "./figures.js";

/** A count as its source put it: `more than 40`. */
export function count(reported, words) {
  const within = reported.within === undefined || reported.within === null ? "" : words.within(number(reported.within));
  return `${words.relations[reported.relation] ?? ""}${number(reported.value)}${within}`;
}

/** `CAC, filing (service)`. */
export function counted({ authority, instrument, unit }, words) {
  const what = words.language === "zh"
    ? `${words.term(instrument)}（${words.term(unit)}）`
    : `${words.term(instrument)} (${words.term(unit)})`;
  return `${authority}${words.comma}${what}`;
}

/** The name of a batch: its ordinal, or if it has none, its label. */
export function batchName({ ordinal, label }, words) {
  return ordinal === null || ordinal === undefined ? words.batchUnnumbered(label ?? "") : words.batch(ordinal);
}

const NAMED = 8; // companies that a line names at most

/** What an event of this type says. For a type that this page does not know, only the type. */
export function claim(type, says, words) {
  const tell = CLAIMS[type];
  return tell ? tell(says, words) : type;
}

/** The same, preceded by the kind of event, which what a batch says begins with anyway. */
export function typedClaim(type, says, words) {
  const told = claim(type, says, words);
  return type === "batch.announced.v1" ? told : `${words.types[type] ?? type}${words.colon}${told}`;
}

const listed = (texts, words) => texts.filter(Boolean).join(words.comma);

const CLAIMS = {
  __proto__: null,
  "approval.granted.v1": (s, w) =>
    listed([w.of(s.item.name, s.company.name), counted(s, w), day(s.approved_on, w)], w),
  "approval.amended.v1": (s, w) =>
    listed([
      w.number(s.registry_number),
      w.becomes(listed([s.changes.item?.name, s.changes.company?.name], w)),
      s.amended_on && day(s.amended_on, w),
    ], w),
  "approval.revoked.v1": (s, w) =>
    listed([
      s.registry_number ? w.number(s.registry_number) : w.of(s.item.name, s.company.name),
      w.kinds.revoked, day(s.revoked_on, w), s.reason,
    ], w),
  "batch.announced.v1": (s, w) => {
    const named = s.named.slice(0, NAMED).map((entry) => entry.company);
    const more = s.named.length - named.length;
    const names = more > 0 ? [...named, w.more(more)] : named;
    return listed([
      `${batchName(s, w)}${w.colon}${count(s.size, w)}`, counted(s, w), day(s.announced_on, w),
      named.length && w.naming(names.join(w.comma)),
    ], w);
  },
  "total.reported.v1": (s, w) =>
    listed([
      count(s.count, w), s.as_of ? w.asOf(day(s.as_of, w)) : w.period(day(s.from, w), day(s.to, w)),
      counted(s, w), s.basis === "in_force" && w.inForceBasis,
    ], w),
  "market.estimated.v1": (s, w) =>
    listed([
      s.estimator,
      s.count && w.models(count(s.count, w), w.term(s.unit), w.term(s.region)),
      s.share && `${s.count ? "" : `${w.term(s.region)} `}${s.share.percent} % (${w.rounding(s.share.rounding)})`,
      day(s.as_of, w),
    ], w),
  "usage.reported.v1": (s, w) =>
    listed([s.company, w.users(s.item, count(s.users, w)), day(s.as_of, w)], w),
  "company.identified.v1": (s, w) => w.same(s.names.map((name) => name.text).join(w.comma)),
  "company.merged.v1": (s, w) => listed([w.merged(s.from, s.into), day(s.on, w)], w),
  "terms.equated.v1": (s, w) =>
    listed([
      w.equals(counted({ authority: s.authority, ...s.a }, w), counted({ authority: s.authority, ...s.b }, w)), s.reason,
    ], w),
  "event.retracted.v1": (s, w) => listed([w.retracts(s.target.id), s.reason], w),
  "event.superseded.v1": (s, w) => listed([w.replaces(s.target.id, s.replacement.id), s.reason], w),
};
