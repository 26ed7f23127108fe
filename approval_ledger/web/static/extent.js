// How far the axes reach, whatever they are set to: the days that a view mentions, the days of publication, and the head of the log.

import { firstDay, lastDay } from "./figures.js";
import { Problem } from "./ledger.js";

const LISTED = "300"; // claims, as many as the view of sources lists
const ABOUT = ["as_of", "to", "approved_on", "amended_on", "revoked_on", "announced_on", "on"]; // the fields for the day of a claim

/** What an extent depends on, besides the log: if two pages have the same, they have the same extent. */
export const extentIsOf = ({ ledger, state }) =>
  [ledger, state.view, state.view === "companies" ? state.name : "", state.known_as].join("\n");

/** The head, the `kinds` that are counted, the `days` of the view, and the days of publication (`published`) if the axis is set by them. */
export async function extentOf(page) {
  const [totals, others, published] = await Promise.all([
    page.get("totals", { steps: "true" }),
    (OTHERS[page.state.view] ?? (() => []))(page),
    page.state.known_as === "published" ? publication(page) : null,
  ]);
  const counting = page.state.view === "shares" ? [] : totals.answers.flatMap((each) => [each.as_of, ...each.steps.map((step) => step.on)]);
  return {
    ledger: page.ledger,
    head: totals.position,
    kinds: totals.answers.map(({ authority, instrument, unit }) => ({ authority, instrument, unit })),
    days: span([...counting, ...others]),
    published,
  };
}

/** The first and the last day on which anything was published. */
export async function publication(page) {
  const { first, last } = await page.get("publication");
  return span([first, last]);
}

/** The days that a view mentions in addition to those of totals. */
const OTHERS = {
  shares: async (page) => (await page.get("shares")).answers.map((each) => each.as_of),
  sources: async (page) => {
    const [shares, { answers }] = await Promise.all([OTHERS.shares(page), page.get("sources", { limit: LISTED })]);
    return [...shares, ...answers.map(({ says }) => says[ABOUT.find((part) => part in says)])];
  },
  companies: async (page) => {
    if (!page.state.name) return [];
    const found = await page.get("companies", { name: page.state.name }).catch(nobody);
    return found.answers.flatMap((each) => [...each.history, ...each.merges].map(dayOf));
  },
};

/** The answer for a company that does not exist: the axes are shown all the same. Throws any other error. */
function nobody(error) {
  if (error instanceof Problem && error.status === 404) return { answers: [] };
  throw error;
}

/** The day that an entry of a history, or a merger, is about. */
export const dayOf = (entry) => entry.approved_on ?? entry.as_of ?? entry.amended_on ?? entry.batch?.announced_on ?? entry.on;

function span(written) {
  const days = written.filter(Boolean);
  const today = new Date().toISOString().slice(0, 10);
  return { first: days.map(firstDay).sort()[0] ?? today, last: days.map(lastDay).sort().at(-1) ?? today };
}
