// Making elements. All text goes through textContent, so nothing that comes from outside can become markup.

/** An element: h("button", {class: "play", onclick: f, "aria-label": "Play"}, "▶"). */
function h(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "class") element.className = value;
    else if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name.startsWith("--")) element.style.setProperty(name, value);
    else if (name === "value" || name === "checked") element[name] = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

const SVG = "http://www.w3.org/2000/svg";

function svg(tag, attributes = {}, ...children) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

/** Replace what an element holds, and give the focus back to the control that had it (by its data-key). */
function refill(element, ...children) {
  const focused = element.contains(document.activeElement) ? document.activeElement : null;
  const key = focused && focused.dataset.key, place = focused && focusables(element).indexOf(focused);
  const caret = focused && focused.tagName === "INPUT" && focused.type === "text" ? focused.selectionStart : null;
  element.replaceChildren(...children.flat(Infinity).filter(Boolean));
  if (!focused) return;
  const now = focusables(element);
  const again = now.find((other) => key && other.dataset.key === key) || now[Math.min(place, now.length - 1)];
  if (again) again.focus({ preventScroll: true });
  if (again && caret !== null && again.setSelectionRange) again.setSelectionRange(caret, caret);
}

function focusables(element) {
  return [...element.querySelectorAll("a[href], button, input, select, textarea, summary, [tabindex='0']")];
}

/** A button. */
function button(text, onclick, properties = {}) {
  return h("button", { type: "button", onclick, ...properties }, text);
}

/** Buttons of which one is pressed: `choices` are [value, text] pairs. */
function choice(label, choices, chosen, onchoose, properties = {}) {
  const buttons = choices.map(([value, text, title]) =>
    button(text, () => onchoose(value), {
      "aria-pressed": String(value === chosen), "data-key": `${label}:${value}`, title,
    }));
  return h("div", { class: "choice", role: "group", "aria-label": label, ...properties }, buttons);
}
