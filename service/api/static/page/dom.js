// Makes elements. Text is always set as text: nothing that a stranger wrote is ever read as markup.
const SVG = "http://www.w3.org/2000/svg";

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value != null) element.setAttribute(name, value);
  }
  element.append(...children.flat().filter((child) => child != null && child !== false));
  return element;
}

/** An HTML element with attributes, listeners (`onclick`) and children, which are elements or text. */
export const h = (tag, attributes = {}, ...children) =>
  fill(document.createElement(tag), attributes, children);

/** The same in SVG. */
export const s = (tag, attributes = {}, ...children) =>
  fill(document.createElementNS(SVG, tag), attributes, children);

export const byId = (id) => document.getElementById(id);

/** Replace what an element holds, unless it would look the same: focus and selection stay where they are. */
export function show(element, ...children) {
  const made = h("div", {}, ...children);
  if (element.shownAs === made.outerHTML) return;
  element.shownAs = made.outerHTML;
  const opened = [...element.querySelectorAll("details")].map(({ open }) => open);
  element.replaceChildren(...made.childNodes);
  element.querySelectorAll("details").forEach((details, place) => (details.open = opened[place] ?? false));
}

/** Set an element's text if it is another one, so that a screen reader is told of changes alone. */
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}
