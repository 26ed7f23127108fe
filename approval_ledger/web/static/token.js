// The token of a ledger that is read with one alone: pasted here, kept by this tab until it is closed, and sent in a header.

import { element } from "./elements.js";

const SHAPE = /^alt\.[0-9a-f]{12}\.[A-Za-z0-9_-]{43}$/;
const given = new Map(); // by ledger; where a browser keeps nothing for a page, this is all there is

const place = (ledger) => `approval-ledger token ${ledger}`;

/** The token that was given for a ledger; null where none was. */
export function held(ledger) {
  if (!given.has(ledger)) given.set(ledger, storing((storage) => storage.getItem(place(ledger))) ?? null);
  return given.get(ledger);
}

export function hold(ledger, token) {
  given.set(ledger, token);
  storing((storage) => storage.setItem(place(ledger), token));
}

export function drop(ledger) {
  given.set(ledger, null);
  storing((storage) => storage.removeItem(place(ledger)));
}

function storing(act) {
  try {
    return act(sessionStorage);
  } catch {
    return null; // switched off
  }
}

/** The field that a token is pasted into. `why` is told in its place where something is the matter; `take` gets the token. */
export function tokenForm(words, { of, why, label, use, help, take }) {
  const field = element("input", {
    id: "token", type: "password", autocomplete: "off", autocapitalize: "off", spellcheck: "false",
    "aria-describedby": "token-why token-help", "data-key": "token",
  });
  const told = element("p", { class: "wrong", role: "alert", id: "token-why" }, why);
  // No action, which the policy would refuse: whatever happens, what is typed here gets into no address.
  return element("form", {
    class: "token", method: "post", "data-of": of, novalidate: true,
    onsubmit: (event) => {
      event.preventDefault();
      const token = field.value.trim().replace(/^bearer\s+/i, "");
      if (SHAPE.test(token)) return take(token);
      told.textContent = words.tokenShape;
      field.setAttribute("aria-invalid", "true");
      field.focus();
    },
  },
  told,
  element("p", null, element("label", { for: "token" }, label), field, element("button", { "data-key": "token-use" }, use)),
  element("p", { class: "note", id: "token-help" }, help));
}
