// How high a chart will be, estimated from the answer beside it, so that its space can be reserved until it is drawn.

import { dayOf } from "./extent.js";

const NARROW = 480; // pixels, below which titles and legends take the most lines
const MIDDLE = 850; // pixels, below which they take some more lines than otherwise

const LEGENDS = ["totals", "batches"]; // charts with a legend

const least = (most, number) => Math.min(most, number);
const distinct = (texts) => new Set(texts).size;

/** The height of a chart `wide` pixels wide: rather too much than too little, so that what is below it does not move. */
export function heightOf(name, answers, wide) {
  const lines = LEGENDS.includes(name) ? [66, 48] : [36, 18];
  return BODIES[name](answers, wide) + (wide < NARROW ? lines[0] : wide < MIDDLE ? lines[1] : 0);
}

const BODIES = {
  totals: (answers, wide) => {
    const panels = Math.max(1, least(8, answers.filter((each) => each.steps.length).length));
    return 166 + panels * (wide < NARROW ? 200 : 181);
  },
  batches: (answers) => 147 + 44 * Math.max(1, least(40, answers.length)),
  companies: (answers) => {
    if (answers.some((each) => each.history)) {
      // What became of an approval has a row of its own; what has no day is not drawn.
      const told = answers.flatMap((each) => [...each.history.flatMap((entry) => [entry, ...(entry.later ?? [])]), ...each.merges]);
      return 124 + 40 * Math.max(1, least(60, told.filter(dayOf).length));
    }
    const terms = Map.groupBy(answers.flatMap((each) => each.approvals), (each) => each.terms);
    return 105 + [...terms.values()].reduce((sum, held) => sum + 74 + 24 * least(30, held.length), 0);
  },
  shares: (answers, wide) => {
    const rows = Math.max(1, least(40, answers.flatMap((each) => each.regions).length));
    return 135 + 40 * rows + (wide < 620 ? 80 + 40 * rows : 0);
  },
  sources: (answers) => {
    // Who repeats a repeater stands with the origin of both.
    const originOf = (claim, report) => claim.independent.length === 1 ? claim.independent[0] : (report.derived_from ?? report).publisher;
    const pairs = distinct(answers.flatMap((claim) =>
      claim.reports.map((each) => `${originOf(claim, each)}\n${each.publisher}`.toLowerCase())));
    return 103 + 24 * (1 + Math.max(2, least(60, pairs)));
  },
};
