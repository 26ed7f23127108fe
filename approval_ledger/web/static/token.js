// The token of a ledger that can be read only with one: pasted here, kept by this tab until it is closed, and sent in a header.

import { element } from "./elements.js";

const SHAPE = /^alt\.[0-9a-f]{12}\.[A-Za-z0-9_-]{43}$/;
const given = new Map(); // by ledger; all there is if the browser stores nothing for pages

const place = (ledger) => `approval-ledger token ${ledger}`;

/** The token that was given for a ledger; null if there is none. */
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

/** The form into which a token is pasted. `why` is the message above the field; `take` gets the token. */
export function tokenForm(words, { of, why, label, use, help, take }) {
  const field = element("input", {
    id: "token", type: "password", autocomplete: "off", autocapitalize: "off", spellcheck: "false",
    "aria-describedby": "token-why token-help", "data-key": "token",
  });
  const told = element("p", { class: "wrong", role: "alert", id: "token-why" }, why);
  // Without an action, and with a policy that would refuse any: whatever happens, what is typed here never gets into an address.
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
