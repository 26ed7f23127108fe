// The address is the state: whatever is seen can be cited, opened again, and left by the Back button.

export const VIEWS = ["totals", "batches", "companies", "shares", "sources", "log", "projections"];

const PARTS = [
  "ledger", "view", "authority", "instrument", "unit", "name", "search",
  "valid_at", "known_at", "known_as", "before", "evidence", "more", "of", "language",
];

/** The state that a query string stands for. Unknown parts, and values that a part cannot have, are left out. */
export function stateOf(query) {
  const given = new URLSearchParams(query);
  const state = {};
  for (const part of PARTS) {
    const value = given.get(part);
    if (value) state[part] = value;
  }
  if (!VIEWS.includes(state.view)) state.view = "totals";
  if (state.known_as !== "published" || !state.known_at) delete state.known_as;
  if (!["en", "zh"].includes(state.language)) delete state.language;
  if (!/^[a-z0-9][a-z0-9_-]{0,63}$/.test(state.ledger ?? "")) delete state.ledger;
  if (!/^[1-9][0-9]{0,15}$/.test(state.before ?? "") || !mayBePosition(state.before)) delete state.before;
  if (state.evidence === "all" && !figureOf(state)) delete state.evidence;
  if (!state.evidence || !/^[0-9]{1,9}$/.test(state.more ?? "")) delete state.more;
  if (!state.evidence) delete state.of;
  return state;
}

const mayBePosition = (digits) => Number.isSafeInteger(Number(digits));

/** The unknown parts of a query string, and the values that a part cannot have, as they are written there. */
export function passedOver(query) {
  const state = stateOf(query);
  const understood = ([part, value]) => !value || state[part] === value || value === DEFAULTS[part];
  const wrong = [...new URLSearchParams(query)].filter((given) => !understood(given) || (given[0] === "evidence" && !named(state)));
  return wrong.map(([part, value]) => `${part}=${value}`);
}

const DEFAULTS = { known_as: "recorded" };

const named = (state) => state.evidence === "all" || positionsOf(state).length > 0;

/** The address of a state with these changes. Parts that are null or empty are left out. `more` and `of` belong to the evidence:
 * a change of it drops them. */
export function addressOf(state, changes = {}) {
  const query = new URLSearchParams();
  const changed = { ...state, ...("evidence" in changes && { more: null, of: null }), ...changes };
  for (const part of PARTS) {
    const value = changed[part];
    if (value && !(part === "view" && value === "totals")) query.set(part, value);
  }
  return `?${query}`;
}

/** The figure whose whole evidence an address asks for: `[view, authority, ...]`; null if it names none. */
export function figureOf(state) {
  try {
    const figure = JSON.parse(state.of ?? "null");
    return Array.isArray(figure) && ["totals", "batches"].includes(figure[0]) ? figure : null;
  } catch {
    return null;
  }
}

/** The positions that an address names as evidence. */
export function positionsOf(state) {
  const numbers = (state.evidence ?? "").split(/[ ,]/).filter((part) => /^[1-9][0-9]{0,15}$/.test(part) && mayBePosition(part)).map(Number);
  return [...new Set(numbers)];
}
