// The two time axes: a slider and a field for each. What they are set to is in the address.

import { addressOf } from "./address.js";
import { element } from "./elements.js";
import { day, fromDays, toDays } from "./figures.js";

/** The section of both axes. `extent` has the first and the last day that the ledger speaks of, and its head. */
export function timeSection(page, extent) {
  const { words } = page;
  return [
    element("h2", { class: "hidden" }, words.time),
    validAt(page, extent),
    knownAt(page, extent),
  ];
}

function validAt(page, extent) {
  const { state, words } = page;
  const last = toDays(extent.last);
  const at = inside(state.valid_at ? toDays(lastDay(state.valid_at)) : last, toDays(extent.first), last);
  const says = (days) => day(fromDays(days), words);
  const set = (days) => page.go({ valid_at: days === last ? null : fromDays(days) }, { replace: true });
  return axis(page, {
    id: "valid-at", title: words.validAt, help: words.validHelp, value: at,
    min: toDays(extent.first), max: last, says,
    shown: state.valid_at ? day(state.valid_at, words) : words.latest, set,
    field: dateField("valid-at-day", words.validAt, fromDays(at), (value) => page.go({ valid_at: value || null })),
    reset: state.valid_at && element("a", { href: addressOf(state, { valid_at: null }), "data-key": "valid-reset" }, words.latest),
  });
}

function knownAt(page, extent) {
  const { state, words } = page;
  const published = state.known_as === "published";
  const choice = element("fieldset", { class: "choice" },
    element("legend", { class: "hidden" }, words.knownAs),
    [["recorded", words.recorded], ["published", words.published]].map(([value, text]) =>
      element("label", null,
        element("input", {
          type: "radio", name: "known-as", value, checked: (value === "published") === published, "data-key": `known-as-${value}`,
          onchange: () => page.go(value === "published"
            ? { known_as: "published", known_at: extent.last }
            : { known_as: null, known_at: null }),
        }), text)));
  const reset = state.known_at && element("a", {
    href: addressOf(state, { known_at: null, known_as: null }), "data-key": "known-reset",
  }, words.everything);
  const common = { id: "known-at", title: words.knownAt, help: words.knownHelp, choice, reset };
  if (published) {
    const first = toDays(extent.first);
    const last = toDays(extent.last);
    return axis(page, {
      ...common, min: first, max: last, value: inside(toDays(lastDay(state.known_at)), first, last),
      says: (days) => day(fromDays(days), words), shown: words.byDay(day(state.known_at, words)),
      set: (days) => page.go({ known_at: fromDays(days) }, { replace: true }),
      field: dateField("known-at-day", words.knownAt, lastDay(state.known_at), (value) => value && page.go({ known_at: value })),
    });
  }
  const position = /^\d+$/.test(state.known_at ?? "") ? Number(state.known_at) : extent.head;
  const shown = !state.known_at ? words.everything
    : /^\d+$/.test(state.known_at) ? words.positionOf(state.known_at, extent.head) : state.known_at;
  return axis(page, {
    ...common, min: 0, max: extent.head, value: Math.min(position, extent.head), shown,
    says: (value) => words.positionOf(value, extent.head),
    set: (value) => page.go({ known_at: value === extent.head ? null : String(value) }, { replace: true }),
  });
}

function axis(page, { id, title, help, min, max, value, says, shown, set, field, choice, reset }) {
  const output = element("output", { for: id, id: `${id}-shown` }, shown);
  const slider = element("input", {
    type: "range", id, min, max, value, step: 1, "data-key": id, "aria-valuetext": says(value),
    "aria-describedby": `${id}-help`, disabled: max <= min,
    oninput: () => {
      const chosen = Number(slider.value);
      output.textContent = says(chosen);
      slider.setAttribute("aria-valuetext", says(chosen));
      page.soon(() => set(chosen));
    },
  });
  return element("div", { class: "axis" },
    element("label", { for: id }, title),
    element("span", { class: "help", id: `${id}-help` }, help),
    output,
    slider,
    element("div", { class: "exact" }, field, choice, reset));
}

function dateField(id, title, value, changed) {
  const field = element("input", {
    type: "date", id, "data-key": id, "aria-label": title, min: "1900-01-01", max: "9999-12-31",
    value,
    onchange: () => {
      if (field.value === "" || field.validity.valid) changed(field.value);
    },
  });
  return field;
}

const inside = (value, min, max) => (Number.isFinite(value) ? Math.min(max, Math.max(min, value)) : max);

/** The last day of a day, a month or a year. */
function lastDay(written) {
  if (/^\d{4}$/.test(written)) return `${written}-12-31`;
  const month = /^(\d{4})-(\d{2})$/.exec(written);
  if (!month) return written;
  return new Date(Date.UTC(Number(month[1]), Number(month[2]), 0)).toISOString().slice(0, 10);
}
