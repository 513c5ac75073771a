// What the page asks its server, one thing after the other.

let last = Promise.resolve();
const begun = []; // when each request that is under way or waiting was made
let heard = () => {};

// `listener(told)` is given every answer: { state, error, ... }.
export function listen(listener) { heard = listener; }

// How many requests are under way or waiting.
export function pending() { return begun.length; }

// Milliseconds that the oldest of them has taken so far.
export function slowest() { return begun.length ? performance.now() - begun[0] : 0; }

// Ask for something; resolves to the answer, or to null where there was none.
export function call(name, fields = {}) {
  begun.push(performance.now());
  const answer = last.then(() => send(name, fields));
  const end = () => { begun.shift(); };
  last = answer.then(end, end);
  return answer;
}

async function send(name, fields) {
  let told;
  try {
    const response = await fetch(`do/${name}`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(fields),
    });
    told = response.ok ? await response.json() : { error: (await response.text()).trim() };
  } catch {
    told = { error: "misgen play no longer answers: start it again in the terminal, and open its new address" };
  }
  heard(told, name);
  return told;
}
