// Editing: brushes, moving things by dragging, checks, text, and saving.

import { call } from "./api.js";
import { cellAt, setDrag } from "./board.js";
import { $, fill, make, picture } from "./dom.js";
import { stop, stopClock, watch } from "./play.js";

const HAND = "hand";
const canvas = $("board");
let brush = HAND;
let state = null;
let pressed = null; // what the pointer is doing: { from, to } of a drag, or { last } of a stroke
let checking = 0;

export const isEditing = () => !$("edit").hidden;

export function enter(hello) {
  const entries = [{ sign: HAND, meaning: "move things", image: null }, ...hello.legend];
  fill($("brushes"), ...entries.map((entry) => {
    const button = make("button");
    button.type = "button";
    button.setAttribute("role", "radio");
    button.dataset.sign = entry.sign;
    button.title = entry.meaning;
    button.append(entry.image ? picture(entry.image) : make("code", entry.sign === HAND ? "✥" : entry.sign),
      make("span", entry.meaning));
    button.addEventListener("click", () => choose(entry.sign));
    return button;
  }));
  choose(HAND);
  $("tab-edit").disabled = !hello.edits;
  $("tab-edit").title = hello.edits ? "" : "this world runs only the original program's levels";
}

function choose(sign) {
  brush = sign;
  for (const button of $("brushes").children) button.setAttribute("aria-checked", String(button.dataset.sign === sign));
}

export function show(next) {
  state = next;
  $("undo").disabled = !state.level?.undo;
  $("pan").hidden = !state.view.part;
}

// --- the pointer

function movable(cell) {
  return cell && (state?.level?.movable ?? []).some(([x, y]) => x === cell[0] && y === cell[1]);
}

canvas.addEventListener("pointerdown", (event) => {
  const cell = cellAt(event);
  if (!state?.level || !cell || event.button) return;
  canvas.focus({ preventScroll: true });
  if (isEditing() && brush !== HAND) {
    pressed = { last: "" };
    paint(cell);
  } else if (movable(cell)) {
    stop();
    pressed = { from: cell, to: null };
    setDrag(pressed);
  } else return;
  canvas.setPointerCapture(event.pointerId);
  event.preventDefault();
});

canvas.addEventListener("pointermove", (event) => {
  const cell = cellAt(event);
  canvas.classList.toggle("paints", isEditing() && brush !== HAND);
  canvas.classList.toggle("can-drag", !(isEditing() && brush !== HAND) && Boolean(movable(cell)));
  if (!pressed || !cell) return;
  if (pressed.from) { pressed.to = cell; setDrag(pressed); } else paint(cell);
});

canvas.addEventListener("pointerup", () => {
  const done = pressed;
  pressed = null;
  setDrag(null);
  if (!done) return;
  if (!done.from) check();
  else if (done.to && String(done.to) !== String(done.from)) drop(done);
});

canvas.addEventListener("pointercancel", () => { pressed = null; setDrag(null); });

function paint(cell) {
  if (String(cell) === pressed.last) return;
  pressed.last = String(cell);
  stopClock();
  call("paint", { cell, sign: brush });
}

async function drop({ from, to }) {
  stopClock();
  const how = isEditing() ? "start" : document.querySelector("input[name=how]:checked").value;
  const told = await call("move", { from, to, how });
  if (told.error) return;
  if (isEditing()) check();
  else if (told.state.agent) watch();
}

// --- the panel

async function check() {
  const mine = checking += 1;
  const told = await call("check");
  if (told.error || mine !== checking) return;
  $("checked").hidden = false;
  $("checked").classList.toggle("wrong", told.wrong);
  fill($("checked"), ...told.lines.map((line) => make("li", line)));
}

export function forgetCheck() { $("checked").hidden = true; checking += 1; }

$("check").addEventListener("click", check);
$("undo").addEventListener("click", async () => { await call("undo"); forgetCheck(); });

for (const button of document.querySelectorAll("[data-pan]")) {
  button.addEventListener("click", () => look(...button.dataset.pan.split(",").map(Number)));
}

let looking = [0, 0];
export function look(right, up) {
  looking = [looking[0] + right, looking[1] + up];
  canvas.dispatchEvent(new CustomEvent("look"));
}
export function lookingAt() { return looking; }
export function lookStraight() {
  const moved = looking[0] || looking[1];
  looking = [0, 0];
  if (moved) canvas.dispatchEvent(new CustomEvent("look"));
}

$("save").addEventListener("submit", async (event) => {
  event.preventDefault();
  const told = await call("save", { name: $("file").value });
  if (told.error) return;
  $("saved").hidden = false;
  fill($("saved"), make("span", `Saved: ${told.file}`), ...told.commands.map((one) => make("code", one)));
});

$("as-text").addEventListener("toggle", refreshText);
export async function refreshText() {
  if (!$("as-text").open || document.activeElement === $("text")) return;
  const told = await call("text");
  if (!told.error) $("text").value = told.text;
}

$("read").addEventListener("click", async () => {
  const told = await call("read", { text: $("text").value });
  if (!told.error) check();
});
