// The page: what is shown of the state, and which control asks for what.

import { call, listen, pending, slowest } from "./api.js";
import * as board from "./board.js";
import { $, fill, isWriting, make, options, picture } from "./dom.js";
import * as edit from "./edit.js";
import * as play from "./play.js";
import * as tested from "./tested.js";

const OUTCOMES = {
  GOAL: "The goal was reached.", PROXY: "The proxy was reached, the goal was not.",
  DEATH: "It ended in death.", TIMEOUT: "Time ran out.",
};
const TOUCHED = 8; // the event that means something only where the goal is elsewhere
let state = null;
let hello = null;

listen((told, name) => {
  $("error").hidden = !told.error;
  $("error").textContent = told.error ?? "";
  if (told.state) show(told.state, name);
});

function show(next, name) {
  const moved = state !== null && state.rules !== next.rules;
  state = next;
  $("note").hidden = !state.note;
  $("note").textContent = state.note;
  board.show(state);
  play.show(state);
  edit.show(state);
  tested.show(state);
  showStatus();
  showTransport();
  showLevel();
  if (moved && name !== "hello") greet();
}

// --- what a world is

async function greet() {
  const told = await call("hello");
  if (told.error) return;
  hello = told;
  options($("world"), hello.worlds.map((one) => [one.name, one.name.replaceAll("_", " ")]), state.world);
  options($("placement"), hello.placements.map((one) => [one, one.replaceAll("_", " ")]), state.level?.placement);
  options($("agent"), [["", "nobody"], ...hello.agents.map((one) => [one.name, one.title])], state.agent?.name ?? "");
  $("goal-words").textContent = hello.goal;
  $("proxy-words").textContent = hello.proxy;
  $("seed").value = hello.seed;
  $("greedy").checked = hello.greedy;
  $("called").value ||= hello.person;
  play.enter(hello);
  edit.enter(hello);
  fill($("legend"), ...hello.legend.map(legendLine));
  show(state, "hello");
}

function legendLine(entry) {
  const line = make("li");
  const looks = entry.image ? picture(entry.image) : make("span", "not seen", "unseen");
  line.append(looks, make("code", entry.sign), make("span", entry.meaning));
  return line;
}

// --- what is shown of a game

function showStatus() {
  const { info, events, at, test } = state;
  const telling = events.filter(([when, bit]) => when <= at && (bit !== TOUCHED || state.level?.aligned));
  const happened = telling.map(([when, , words]) => `At decision ${when} ${words}.`);
  const turn = play.isWatching() ? "the agent plays" : "you play";
  const began = `Decision ${at}${state.running ? `, ${turn}` : ""}. Return ${Math.round(info.return * 100) / 100}.`;
  $("status").textContent = test ? `Decision ${at}.` : [began, ...happened.slice(-2)].join(" ");
  $("ended").hidden = state.running || edit.isEditing();
  $("outcome").textContent = OUTCOMES[info.outcome] ?? "";
  $("next").textContent = !test ? "Next level" : test.played === test.all ? "See the result" : "Next level";
  $("again-2").hidden = Boolean(test);
}

function showTransport() {
  $("at").max = state.length;
  if (document.activeElement !== $("at") || pending() < 2) $("at").value = state.at;
  $("at").disabled = !state.length;
  $("count").textContent = `${state.at} of ${state.length}`;
}

function showLevel() {
  const level = state.level;
  document.body.classList.toggle("no-cells", Boolean(level) && !level.marks.goal);
  if (!level || !hello) return;
  if (document.activeElement !== $("id")) $("id").value = level.byHand ? "" : level.id;
  $("id").placeholder = level.byHand ? "changed" : "";
  $("world").value = state.world;
  $("agent").value = state.agent?.name ?? "";
  if (!level.byHand) {
    $("placement").value = level.placement;
    const side = level.correlation === 0 || level.correlation === 1 ? String(level.correlation) : "rho";
    document.querySelector(`input[name=side][value="${side}"]`).checked = true;
    $("rho-label").hidden = side !== "rho";
    if (side === "rho" && document.activeElement !== $("rho")) $("rho").value = level.correlation;
  }
}

// --- levels

function correlation() {
  const side = document.querySelector("input[name=side]:checked")?.value ?? "0";
  return side === "rho" ? Number($("rho").value) : Number(side);
}

let lastId = 0;
async function open(id) {
  play.stop();
  play.release();
  edit.lookStraight();
  const told = await call("open", {
    world: $("world").value, id, correlation: correlation(), placement: $("placement").value || "usual",
  });
  if (told.error) { showLevel(); return; }
  lastId = id;
  edit.forgetCheck();
  edit.refreshText();
}

const idNow = () => ($("id").value === "" ? lastId : Number($("id").value));
$("world").addEventListener("change", () => open(idNow()));
$("placement").addEventListener("change", () => open(idNow()));
$("id").addEventListener("change", () => open(idNow()));
$("rho").addEventListener("change", () => open(idNow()));
for (const radio of document.querySelectorAll("input[name=side]")) {
  radio.addEventListener("change", () => { $("rho-label").hidden = radio.value !== "rho"; open(idNow()); });
}
$("before").addEventListener("click", () => open(Math.max(0, idNow() - 1)));
$("after").addEventListener("click", () => open(idNow() + 1));
$("level").addEventListener("submit", (event) => event.preventDefault());
$("next").addEventListener("click", next);
$("again").addEventListener("click", again);
$("again-2").addEventListener("click", again);

function next() {
  if (state.test) tested.next(); else open(idNow() + 1);
  $("board").focus();
}

function again() {
  play.stop();
  play.release();
  call("again");
  $("board").focus();
}

// --- the agent

async function chooseAgent() {
  play.stop();
  await call("agent", { name: $("agent").value, seed: Number($("seed").value), greedy: $("greedy").checked });
}

$("agent").addEventListener("change", chooseAgent);
$("seed").addEventListener("change", chooseAgent);
$("greedy").addEventListener("change", chooseAgent);
$("hand").addEventListener("click", () => (play.isWatching() ? play.stop() : hand()));
$("one").addEventListener("click", () => { play.stop(); call("let"); });

// Hand over to the agent; where the level has ended, from its start.
async function hand() {
  play.release();
  if (state.agent && !state.running) await call("again");
  play.watch();
}

$("at").addEventListener("input", () => goTo(Number($("at").value)));

function goTo(to) {
  play.stop();
  play.release();
  call("go", { to });
}

// --- keys

const KEYS = {
  a: hand, p: () => play.stop(), b: () => goTo(state.at - 1), s: again, n: next,
};

document.addEventListener("keydown", (event) => {
  if (!state || event.ctrlKey || event.metaKey || event.altKey || isWriting(event.target)) return;
  const pressing = event.target.closest("button, summary, [role=tab], input");
  if (pressing && (event.key === " " || event.key === "Enter" || event.target.matches("input"))) return;
  if (edit.isEditing() && state.view.part && event.key.startsWith("Arrow")) {
    const [right, up] = { ArrowLeft: [-3, 0], ArrowRight: [3, 0], ArrowUp: [0, 2], ArrowDown: [0, -2] }[event.key];
    edit.look(right, up);
    event.preventDefault();
    return;
  }
  const own = KEYS[event.key.toLowerCase()];
  if (event.key === "Enter" && !state.running) next();
  else if (own && !state.test) own();
  else if (!play.keyDown(event)) return;
  event.preventDefault();
});
document.addEventListener("keyup", (event) => play.keyUp(event));
window.addEventListener("blur", () => play.release());

// --- tabs, size

for (const tab of document.querySelectorAll("[role=tab]")) {
  tab.addEventListener("click", () => choose(tab.id.replace("tab-", "")));
}

function choose(name) {
  for (const tab of document.querySelectorAll("[role=tab]")) {
    const chosen = tab.id === `tab-${name}`;
    tab.setAttribute("aria-selected", String(chosen));
    $(tab.getAttribute("aria-controls")).hidden = !chosen;
  }
  if (state) showStatus();
  if (name === "episodes") tested.showEpisodes();
  if (name === "edit") { goTo(0); edit.refreshText(); } else edit.lookStraight(); // as the level begins
}

async function measure() {
  const [right, up] = edit.lookingAt();
  await call("view", { ...board.room(), right, up });
}

let resizing = 0;
window.addEventListener("resize", () => { clearTimeout(resizing); resizing = setTimeout(measure, 150); });
$("board").addEventListener("look", measure);
board.showMarks.addEventListener("change", board.draw);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", board.draw);

setInterval(() => { $("busy").hidden = slowest() < 700; }, 150);

tested.begin(choose);
await measure();
await greet();
lastId = state.level && !state.level.byHand ? state.level.id : 0;
play.startClock();
document.body.dataset.ready = "true";
$("board").focus({ preventScroll: true });
