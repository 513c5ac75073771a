// What a term means, where it stands: shown on hover, focus and tap, and closed by Escape.

const tip = document.createElement("div");
tip.className = "tip";
tip.id = "tip";
tip.setAttribute("role", "tooltip");
tip.hidden = true;
document.body.append(tip);

function showTip(term) {
  tip.textContent = term.dataset.tip;
  tip.hidden = false;
  const box = term.getBoundingClientRect(), own = tip.getBoundingClientRect();
  const wide = document.documentElement.clientWidth;
  const left = Math.min(Math.max(8, box.left + box.width / 2 - own.width / 2), wide - own.width - 8);
  const above = box.top - own.height - 8;
  tip.style.left = `${left + scrollX}px`;
  tip.style.top = `${(above > 4 ? above : box.bottom + 8) + scrollY}px`;
  term.setAttribute("aria-describedby", "tip");
}

function hideTip() {
  tip.hidden = true;
}

for (const term of document.querySelectorAll("abbr[title], td[title], [data-tip]")) {
  if (term.title) {
    term.dataset.tip = term.title;
    term.removeAttribute("title");
  }
  if (term.tagName === "ABBR") term.tabIndex = 0;
  term.addEventListener("pointerenter", () => showTip(term));
  term.addEventListener("pointerleave", hideTip);
  term.addEventListener("focus", () => showTip(term));
  term.addEventListener("blur", hideTip);
  term.addEventListener("click", () => showTip(term));
}
addEventListener("keydown", (event) => event.key === "Escape" && hideTip());
addEventListener("scroll", hideTip, { passive: true });
addEventListener("beforeprint", () => {
  for (const part of document.querySelectorAll("details")) part.open = true;
});
