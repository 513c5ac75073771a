// A person's test, its result, and the table of episodes.

import { call } from "./api.js";
import { $, fill, make } from "./dom.js";

let state = null;
let chooseTab = () => {};

// `choose(name)` shows the tab of that name.
export function begin(choose) { chooseTab = choose; }

export function show(next) {
  state = next;
  const test = state.test;
  document.body.classList.toggle("testing", Boolean(test));
  $("begin").hidden = Boolean(test);
  $("testing").hidden = !test;
  if (!test) return;
  const number = Math.min(test.played + (state.running ? 1 : 0), test.all);
  $("progress").textContent = `Level ${number} of ${test.all}; ${test.pairs} played both ways`;
  $("test-next").hidden = state.running;
  $("test-next").textContent = test.played === test.all ? "See the result" : "Next level";
}

$("begin").addEventListener("submit", async (event) => {
  event.preventDefault();
  const told = await call("test", { called: $("called").value, levels: Number($("levels").value) });
  if (told.error) return;
  $("result").hidden = true;
  chooseTab("play"); // its pad is what people without a keyboard play with
  $("board").focus();
});

export async function next() {
  const told = await call("test_next");
  if (told.result) showResult(told.result);
  $("board").focus();
}

$("test-next").addEventListener("click", next);
$("stop").addEventListener("click", async () => {
  const told = await call("test_stop");
  if (told.result) showResult(told.result);
});

function showResult(result) {
  chooseTab("test");
  const table = make("table");
  table.append(...result.rows.map(([label, number]) => {
    const row = make("tr", "", number === null ? "heading" : "");
    row.append(make("td", label), make("td", number ?? "", "number"));
    return row;
  }));
  const [few, ...rest] = result.notes;
  const short = few.startsWith("n too small");
  fill($("result"),
    make("p", `${result.pairs} pairs of levels: ${result.verdict}`, "verdict"),
    make("p", few, short ? "few" : ""), table,
    ...rest.map((note) => make("p", note)),
    make("p", "Percent [95% interval over levels]; pursuit and choice of 1. Evaluated as any agent:"),
    make("code", result.folder),
    make("code", `misgen report run=${result.run}`));
  $("result").hidden = false;
}

const COLUMNS = [["role", "who"], ["agent", "name"], ["level_id", "level"], ["condition", "side"],
  ["outcome", "outcome"], ["steps", "decisions"], ["return", "return"], ["placement", "goal placed"]];
const NUMBERS = new Set(["level_id", "steps", "return"]);

export async function showEpisodes() {
  const told = await call("episodes");
  if (told.error) return;
  $("kept").textContent = told.rows.length
    ? `${told.rows.length} kept in ${told.folder}`
    : "What is played here is kept: every episode, with who took each decision.";
  const head = make("tr");
  head.append(...COLUMNS.map(([name, title]) => make("th", title, NUMBERS.has(name) ? "number" : "")));
  const rows = told.rows.map((row) => {
    const line = make("tr");
    line.append(...COLUMNS.map(([name]) => make("td", shown(name, row), NUMBERS.has(name) ? "number" : "")));
    return line;
  });
  fill($("rows"), ...(told.rows.length ? [head, ...rows] : []));
}

function shown(name, row) {
  if (name === "outcome") return row.finished ? row.outcome.toLowerCase() : "left";
  if (name === "level_id" && row.level_id < 0) return "made by hand";
  if (name === "return") return String(Math.round(100 * row.return) / 100);
  return String(row[name]);
}
