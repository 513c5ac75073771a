// Small helpers; whatever comes from outside is put into the page as text.

export const $ = (id) => document.getElementById(id);

export function make(tag, text = "", classes = "") {
  const node = document.createElement(tag);
  node.textContent = text;
  if (classes) node.className = classes;
  return node;
}

export function fill(node, ...children) { node.replaceChildren(...children); }

export function options(select, entries, chosen) {
  fill(select, ...entries.map(([value, text]) => {
    const option = make("option", text);
    option.value = value;
    return option;
  }));
  select.value = chosen;
}

export function picture(address) {
  const image = document.createElement("img");
  image.src = address;
  image.alt = "";
  return image;
}

// Whether somebody is writing something, so that keys are theirs.
export function isWriting(target) {
  return target.closest("textarea, select, input:not([type=checkbox]):not([type=radio]):not([type=range])") !== null;
}
