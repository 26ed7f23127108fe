// Files of a ledger that is read with a token: a link cannot send one, so the page fetches the file and saves it.
import { element } from "./elements.js";
import { ask } from "./ledger.js";

const TAKEN = 60_000; // milliseconds in which a browser has taken a file
const ENDINGS = { "application/json": "json", "application/atom+xml": "atom", "application/x-ndjson": "ndjson" };

/** Saves what is at an address. Throws what `ask` throws. */
export async function save(address) {
  const response = await ask(address);
  const file = URL.createObjectURL(await response.blob());
  element("a", { href: file, download: nameOf(response, address) }).click();
  setTimeout(() => URL.revokeObjectURL(file), TAKEN);
}

function nameOf(response, address) {
  const [, given] = /filename="([^"]+)"/.exec(response.headers.get("Content-Disposition") ?? "") ?? [];
  if (given) return given;
  const [, ledger, ...path] = address.split("?")[0].split("/");
  const kind = (response.headers.get("Content-Type") ?? "").split(";")[0];
  return `${ledger}-${path.at(-1)}.${ENDINGS[kind] ?? "json"}`;
}
