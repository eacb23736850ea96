// Small helpers for elements, messages and dialogs.

export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (key === "style") element.style.cssText = value; // the content security policy forbids the attribute
    else if (key.startsWith("aria-")) element.setAttribute(key, String(value));
    else if (value === true) element.setAttribute(key, "");
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(key, value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

// Such as "1 picture", "2 pictures".
export const counted = (number, thing, things = `${thing}s`) => `${number} ${number === 1 ? thing : things}`;

// A button labelled with its text and key.
export function button(text, key, onclick, attributes = {}) {
  return make("button", { type: "button", onclick, ...attributes }, text, key ? " " : "",
    key ? make("kbd", {}, key) : null);
}

export const rgb = (colour) => `rgb(${colour.join(",")})`;

export function say(text, isError = false) {
  const box = document.getElementById("messages");
  const line = make("div", isError ? { class: "error" } : {}, text);
  for (const other of [...box.children]) if (other.textContent === text) other.remove();
  box.append(line);
  while (box.children.length > 4) box.firstChild.remove();
  setTimeout(() => line.remove(), isError ? 9000 : 3500);
}

// Asks for a line of text; resolves to null if the dialog is cancelled.
export function ask(question, action) {
  const dialog = document.getElementById("dialog");
  return new Promise((resolve) => {
    const input = make("input", { style: "width: 100%", maxlength: 500, autofocus: true });
    const form = make("form", { method: "dialog" }, make("p", {}, question), input,
      make("div", { class: "row" }, make("button", { class: "primary", value: "yes" }, action),
        make("button", { value: "no", type: "button", onclick: () => dialog.close("no") }, "Cancel")));
    dialog.replaceChildren(form);
    dialog.onclose = () => resolve(dialog.returnValue === "yes" ? input.value : null);
    dialog.returnValue = "no";
    dialog.showModal();
  });
}

export function showTable(title, rows) {
  const dialog = document.getElementById("dialog");
  const lines = rows.map(([key, text]) =>
    make("tr", {}, make("td", {}, make("kbd", {}, key)), make("td", {}, text)));
  dialog.onclose = null;
  dialog.replaceChildren(make("h2", {}, title), make("table", {}, ...lines),
    make("form", { method: "dialog" }, make("button", { class: "primary", autofocus: true }, "Close")));
  dialog.showModal();
  dialog.scrollTop = 0; // the button at the end has the focus
}
