// The two time axes, each a slider and a field. The address says what they are set to.

import { addressOf } from "./address.js";
import { element } from "./elements.js";
import { day, fromDays, lastDay, toDays } from "./figures.js";

/** Shows both axes in `section`. `extent` is how far they reach, `position` the position of the answer on the screen.
 *
 * The elements stay, and keep the focus; only their values change, except those of a slider that is `moving` and of a day that is
 * being typed. */
export function showTime(section, page, extent, position, moving) {
  const { words, state } = page;
  const made = `${page.ledger} ${words.language} ${state.known_as ?? ""}`;
  const key = document.activeElement?.dataset.key;
  if (section.dataset.made !== made) {
    section.replaceChildren(
      element("h2", { class: "hidden" }, words.time),
      axis("valid-at", words.validAt, words.validHelp),
      axis("known-at", words.knownAt, words.knownHelp));
    section.dataset.made = made;
  }
  validAt(page, extent, moving);
  knownAt(page, extent, position, moving);
  if (key && document.activeElement === document.body) section.querySelector(`[data-key="${CSS.escape(key)}"]`)?.focus({ preventScroll: true });
}

function axis(id, title, help) {
  return element("div", { class: "axis" },
    element("label", { for: id }, title),
    element("span", { class: "help", id: `${id}-help` }, help),
    element("output", { for: id, id: `${id}-shown` }),
    element("input", { type: "range", id, step: 1, "data-key": id, "aria-describedby": `${id}-help` }),
    element("div", { class: "exact" },
      ["exactly", "choice", "reset"].map((part) => element("div", { id: `${id}-${part}` }))));
}

function validAt(page, extent, moving) {
  const { state, words } = page;
  const [first, last] = [toDays(extent.days.first), toDays(extent.days.last)];
  set(page, "valid-at", moving, {
    value: inside(state.valid_at ? toDays(lastDay(state.valid_at)) : last, first, last), min: first, max: last,
    says: (days) => day(fromDays(days), words),
    shown: state.valid_at ? day(state.valid_at, words) : words.latest,
    go: (days) => page.go({ valid_at: days === last ? null : fromDays(days) }, { by: "valid-at" }),
    reset: state.valid_at && [words.latest, { valid_at: null }],
  });
  setDay("valid-at", words.validAt, state.valid_at ? lastDay(state.valid_at) : extent.days.last, (value) => page.go({ valid_at: value || null }));
}

function knownAt(page, extent, position, moving) {
  const { state, words } = page;
  const published = state.known_as === "published";
  setChoice(page, published);
  const reset = state.known_at && [words.everything, { known_at: null, known_as: null }];
  if (published) {
    const [first, last] = [toDays(extent.published.first), toDays(extent.published.last)];
    set(page, "known-at", moving, {
      value: inside(toDays(lastDay(state.known_at)), first, last), min: first, max: last, reset,
      says: (days) => day(fromDays(days), words),
      shown: words.byDay(day(state.known_at, words)),
      go: (days) => page.go({ known_at: fromDays(days) }, { by: "known-at" }),
    });
    setDay("known-at", words.knownAt, lastDay(state.known_at), (value) => value && page.go({ known_at: value }));
    return;
  }
  const byPosition = /^\d+$/.test(state.known_at ?? "");
  const at = byPosition ? Number(state.known_at) : state.known_at ? position ?? extent.head : extent.head;
  set(page, "known-at", moving, {
    value: Math.min(at, extent.head), min: 0, max: extent.head, reset,
    says: (value) => words.positionOf(value, extent.head),
    shown: !state.known_at ? words.everything
      : byPosition ? words.positionOf(state.known_at, extent.head)
      : position === undefined ? state.known_at : `${state.known_at}${words.comma}${words.positionOf(position, extent.head)}`,
    go: (value) => page.go({ known_at: value === extent.head ? null : String(value) }, { by: "known-at" }),
  });
}

function set(page, id, moving, { value, min, max, says, shown, go, reset }) {
  const slider = document.getElementById(id);
  const output = document.getElementById(`${id}-shown`);
  slider.min = min;
  slider.max = max;
  slider.disabled = max <= min;
  if (!moving(id)) {
    slider.value = value;
    slider.setAttribute("aria-valuetext", says(value));
    output.textContent = shown;
  }
  slider.oninput = () => {
    const chosen = Number(slider.value);
    output.textContent = says(chosen);
    slider.setAttribute("aria-valuetext", says(chosen));
    page.soon(() => go(chosen), id);
  };
  document.getElementById(`${id}-reset`).replaceChildren(...(reset
    ? [element("a", { href: addressOf(page.state, reset[1]), "data-key": `${id}-reset` }, reset[0])]
    : []));
}

/** The field for a day. Its parts are typed one after another, and each makes a different day, so a typed day applies on Enter or when
 * the field is left. A day chosen in the calendar applies at once. */
function setDay(id, title, asked, changed) {
  let value = Number.isFinite(toDays(asked)) ? asked : "";
  const place = document.getElementById(`${id}-exactly`);
  if (!place.firstChild) {
    place.append(element("input", {
      type: "date", id: `${id}-day`, "data-key": `${id}-day`, "aria-label": title, min: "1900-01-01", max: "9999-12-31",
    }));
  }
  const field = place.firstChild;
  const commit = () => {
    delete field.dataset.typed;
    if (!field.validity.valid || field.value === value) return;
    value = field.value;
    changed(value);
  };
  field.onkeydown = (key) => {
    if (key.key === "Enter") commit();
    else if (!key.altKey && !key.ctrlKey && !key.metaKey && key.key !== "Tab") field.dataset.typed = "";
  };
  field.onpointerdown = () => delete field.dataset.typed;
  field.onchange = () => "typed" in field.dataset || commit();
  field.onblur = commit;
  if (!("typed" in field.dataset)) field.value = value;
}

let chosen = null; // the last choice that was made: the answer for an earlier one may arrive after it

function setChoice(page, published) {
  const { words } = page;
  const place = document.getElementById("known-at-choice");
  if (!place.firstChild) {
    place.append(element("fieldset", { class: "choice" },
      element("legend", { class: "hidden" }, words.knownAs),
      [["recorded", words.recorded], ["published", words.published]].map(([value, text]) =>
        element("label", null,
          element("input", { type: "radio", name: "known-as", value, "data-key": `known-as-${value}` }), text))));
  }
  for (const choice of place.querySelectorAll("input")) {
    choice.checked = (choice.value === "published") === published;
    choice.onchange = async () => {
      chosen = choice;
      if (choice.value === "recorded") return page.go({ known_as: null, known_at: null });
      const { last } = await page.published().catch(page.failed) ?? {};
      if (last && chosen === choice) page.go({ known_as: "published", known_at: last });
    };
  }
}

const inside = (value, min, max) => (Number.isFinite(value) ? Math.min(max, Math.max(min, value)) : max);
