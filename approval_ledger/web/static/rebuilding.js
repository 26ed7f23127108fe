// Asking for a rebuild of a projection, with an admin token if that is needed, and following its outcome.

import { element } from "./elements.js";
import { moment } from "./figures.js";
import { ask, asking, Problem } from "./ledger.js";
import { tokenForm } from "./token.js";

let wanted = null; // the form that asks for a token, and the ledger, projection and language that it is for

/** The form that asks for a token, if the last request for a rebuild needed one; otherwise null. As long as that lasts it is the same
 * element, so that what is typed into it stays. */
export function adminForm(page) {
  const of = wanted && `${page.ledger} ${wanted.projection} ${page.words.language}`;
  if (wanted && wanted.of !== of) wanted = null;
  return wanted?.form ?? null;
}

/** A button that asks for a rebuild, and the state or outcome of the last one. */
export function rebuildOf(page, { projection, rebuild }) {
  const { words } = page;
  const name = words.views[projection];
  const goesOn = rebuild !== null && ["waiting", "running"].includes(rebuild.state);
  return [
    element("button", {
      type: "button", "data-key": `rebuild-${projection}`, "aria-label": words.rebuildOf(name), "aria-disabled": goesOn ? "true" : null,
      onclick: () => goesOn || start(page, projection),
    }, words.rebuild),
    rebuild && element("div", { class: rebuild.state === "failed" || rebuild.equal === false ? "wrong" : "note" }, told(rebuild, words)),
  ];
}

function told(rebuild, words) {
  if (rebuild.state === "waiting") return words.rebuildWaits;
  if (rebuild.state === "running") return words.rebuildRuns;
  const ended = moment(rebuild.ended_at, words);
  if (rebuild.state === "failed") return words.rebuildFailed(ended, rebuild.says);
  return words.rebuildDone(ended, rebuild.generation, rebuild.equal);
}

async function start(page, projection, token) {
  const address = asking(page.ledger, `projections/${projection}/rebuild`);
  try {
    await ask(address, { method: "POST", ...(token && { token }) });
  } catch (error) {
    if (!(error instanceof Problem && error.ofAccess)) return page.failed(error);
    return askForToken(page, projection, error, token);
  }
  wanted = null;
  if (token) page.takes(token); // the page reads with it, too
  else page.render();
}

async function askForToken(page, projection, error, token) {
  const { words } = page;
  const why = !token ? words.adminNeeded(words.views[projection]) : error.status === 401 ? words.adminUnknown : words.adminScope;
  const of = `${page.ledger} ${projection} ${words.language}`;
  wanted = {
    projection, of,
    form: tokenForm(words, {
      of, why, label: words.adminLabel, use: words.adminUse, help: words.adminHelp,
      take: (given) => start(page, projection, given),
    }),
  };
  await page.render();
  document.getElementById("token")?.focus();
}
