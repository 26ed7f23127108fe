// Elements with their text. Everything that comes from a ledger goes through here as a text node, never as markup.

/** An element. Attributes that are null, undefined or false are left out; `onclick` and the like are listeners. */
export function element(tag, attributes, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else made.setAttribute(name, value === true ? "" : String(value));
  }
  made.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false)
    .flatMap((child) => (typeof child === "string" ? isolated(child) : [child])));
  return made;
}

// Letters that are written from right to left, with the spaces, digits and marks between them. Charts have the same pattern.
const LETTER = "\\u0590-\\u08ff\\ufb1d-\\ufdff\\ufe70-\\ufefc\\u{10800}-\\u{10fff}\\u{1e800}-\\u{1efff}";
const RIGHT_TO_LEFT = new RegExp(`([${LETTER}](?:[ .'’&_+\\-\\u200c\\u200d]?[${LETTER}0-9])*)`, "u");

/** A text as nodes, in which a name that is written from right to left does not take the figure beside it to its other side. */
export function isolated(text) {
  return text.split(RIGHT_TO_LEFT).map((part, index) => {
    if (index % 2 === 0) return part;
    const name = document.createElement("bdi");
    name.textContent = part;
    return name;
  });
}

/** A link to another site if the address is http or https; otherwise only the text. */
export function outside(address, text) {
  let url;
  try {
    url = new URL(address);
  } catch {
    return text;
  }
  if (url.protocol !== "http:" && url.protocol !== "https:") return text;
  return element("a", { href: url.href, rel: "noopener noreferrer", target: "_blank" }, text);
}

/** A table with a caption. Each row is a list of cells, each a text or nodes. `figures` are the columns aligned to the right;
 * `texts` says that the first cells hold texts, which may wrap anywhere. On a narrow screen each row becomes a card. */
export function table(caption, columns, rows, { figures = [], empty = "", texts = false } = {}) {
  const side = (index) => (figures.includes(index) ? "figure" : null);
  // These are the elements' own roles, which they would lose when a narrow screen lays them out as cards.
  const body = rows.map((cells) =>
    element("tr", { role: "row" }, cells.map((cell, index) =>
      index === 0
        ? element("th", { scope: "row", role: "rowheader", class: side(index) }, cell)
        : element("td", { role: "cell", class: side(index), "data-column": columns[index] }, cell))));
  if (!rows.length) body.push(element("tr", { role: "row" }, element("td", { role: "cell", colspan: columns.length }, empty)));
  return element("div", { class: texts ? "scrolls texts" : "scrolls", tabindex: "0", role: "region", "aria-label": caption },
    element("table", { role: "table" },
      element("caption", null, caption),
      element("thead", { role: "rowgroup" }, element("tr", { role: "row" }, columns.map((column, index) =>
        element("th", { scope: "col", role: "columnheader", class: side(index) }, column)))),
      element("tbody", { role: "rowgroup" }, body)));
}
