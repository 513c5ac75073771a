// Playing: the pad of actions with the agent's probabilities, the keys, and the clock.

import { call, pending } from "./api.js";
import { $, fill, make } from "./dom.js";

const DIRECTIONS = {
  ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1],
  q: [-1, 1], e: [1, 1], z: [-1, -1], c: [1, -1], " ": [0, 0],
};
const AHEAD = 2; // requests that may be under way when a held key asks for another decision
let actions = [];
let buttons = new Map(); // Procgen's code to button
let noOp = 0;
let state = null;
let watching = false;
let timer = 0;
const held = new Map(); // key to direction
let clockStarted = false;

export function isWatching() { return watching; }

// Begin with a world: its actions.
export function enter(hello) {
  actions = hello.actions;
  noOp = hello.noOp;
  $("time").checked = hello.inTime;
  buttons = new Map();
  const cells = [2, 5, 8, 1, 4, 7, 0, 3, 6].map((code) => {
    const action = actions.find((one) => one.code === code);
    if (!action) return make("span");
    const button = make("button");
    button.type = "button";
    button.title = action.words;
    button.setAttribute("aria-label", action.words);
    button.append(document.createElement("i"), make("span", action.sign), make("small"));
    button.addEventListener("click", () => act(action.index));
    buttons.set(code, { button, action });
    return button;
  });
  fill($("pad"), ...cells);
  showKeys();
}

function showKeys() {
  const known = new Set(actions.map((one) => one.code));
  const rows = [["← ↑ ↓ →", "move"]];
  if (known.has(8)) rows.push(["→ + ↑", "both at once"]);
  if ([0, 2, 6, 8].some((code) => known.has(code))) rows.push(["Q E Z C", "diagonals"]);
  rows.push(["Space", "wait"], ["A", "let the agent play"], ["P", "stop it; so does any move"],
    ["B", "back one decision"], ["S", "start again"], ["N", "next level"]);
  fill($("keys"), ...rows.flatMap(([key, words]) => {
    const name = make("dt");
    name.append(make("kbd", key));
    return [name, make("dd", words)];
  }));
}

export function show(next) {
  state = next;
  const agent = state.agent;
  for (const { button, action } of buttons.values()) {
    const p = agent?.probabilities ? action.all.reduce((sum, k) => sum + agent.probabilities[k], 0) : null;
    button.disabled = !state.running;
    button.querySelector("i").style.height = p === null ? "0" : `${100 * p}%`;
    button.querySelector("small").textContent = p === null ? "" : `${Math.round(100 * p)}%`;
    button.classList.toggle("chosen", p !== null && action.all.includes(agent.action));
  }
  showMind(agent);
  if (!state.running) stop();
  $("hand").textContent = watching ? "❚❚ Take over" : "▶ Let the agent play";
  $("hand").disabled = !agent;
  $("one").disabled = !agent || !state.running;
}

function showMind(agent) {
  $("who").textContent = agent
    ? "Shades: what the agent would do here, and how probably."
    : "No agent: choose one to watch it, and to hand over to it.";
  fill($("value"));
  if (agent && agent.value !== null && agent.value !== undefined) {
    $("value").append("Value ", make("b", agent.value.toFixed(2)));
  } else if (agent?.probabilities) {
    $("value").textContent = "It has no critic, so no value.";
  }
  drawSpark(agent ? agent.values : []);
}

function drawSpark(values) {
  const svg = $("spark");
  svg.style.display = values.length > 1 ? "" : "none";
  if (values.length < 2) { fill(svg); return; }
  const last = Math.max(1, values[values.length - 1][0]);
  const low = Math.min(0, ...values.map(([, v]) => v)), high = Math.max(...values.map(([, v]) => v), low + 1e-6);
  const x = (at) => 200 * at / last, y = (v) => 56 - 52 * (v - low) / (high - low);
  const path = document.createElementNS(svg.namespaceURI, "path");
  path.setAttribute("d", values.map(([at, v], k) => `${k ? "L" : "M"}${x(at).toFixed(1)} ${y(v).toFixed(1)}`).join(""));
  const now = document.createElementNS(svg.namespaceURI, "line");
  for (const [name, value] of [["x1", x(state.at)], ["x2", x(state.at)], ["y1", 0], ["y2", 60]]) now.setAttribute(name, value);
  fill(svg, path, now);
}

// --- who acts

export function act(index) {
  stop();
  if (state?.running && pending() < AHEAD) call("act", { action: index });
}

// Let the agent play on until somebody takes over, or the episode ends.
export async function watch() {
  if (watching || !state?.agent || !state.running) return;
  watching = true;
  show(state);
  while (watching && state.running && state.agent) {
    const began = performance.now();
    const told = await call("let");
    if (told.error) break;
    const rest = 1000 / Number($("speed").value) - (performance.now() - began);
    await new Promise((resolve) => { timer = setTimeout(resolve, Math.max(0, rest)); });
  }
  stop();
}

export function stop() {
  if (!watching) return;
  watching = false;
  clearTimeout(timer);
  $("hand").textContent = "▶ Let the agent play";
}

// --- keys

// Take a key that moves; return whether it is one.
export function keyDown(event) {
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  if (!(key in DIRECTIONS)) return false;
  stop();
  const fresh = !held.has(key);
  held.set(key, DIRECTIONS[key]);
  if (runsByItself()) { clockStarted = true; return true; }
  if (fresh || event.repeat) move();
  return true;
}

export function keyUp(event) {
  held.delete(event.key.length === 1 ? event.key.toLowerCase() : event.key);
}

export function release() { held.clear(); clockStarted = false; }

function runsByItself() { return $("time").checked; }

// The action of the keys that are held: both at once where the world has that.
function heldAction() {
  const pressed = [...held.values()];
  const code = ([x, y]) => 3 * (x + 1) + y + 1;
  const sum = pressed.reduce(([x, y], [dx, dy]) => [Math.sign(x + dx), Math.sign(y + dy)], [0, 0]);
  const found = [sum, ...pressed.reverse()].map(code).find((one) => buttons.has(one));
  return found === undefined ? null : buttons.get(found).action.index;
}

function move() {
  const action = heldAction();
  if (action !== null) act(action);
}

// The clock of worlds that do not wait: a decision every so often, whatever is held.
export function startClock() {
  const tick = () => {
    if (runsByItself() && clockStarted && !watching && state?.running && !document.hidden) {
      act(heldAction() ?? noOp);
    }
    setTimeout(tick, 1000 / Math.max(4, Number($("speed").value)));
  };
  tick();
}

export function stopClock() { clockStarted = false; }
