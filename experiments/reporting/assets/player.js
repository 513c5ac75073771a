// The replay player: two twins of a level in step.

const DID = { goal: "reaches the goal first", proxy: "reaches the proxy first", death: "dies", time: "runs out of time" };
const PACE = 6; // decisions a second

class Player {
  constructor(root, pack, images) {
    this.root = root;
    this.pack = pack;
    this.scene = new Scene(pack, images);
    this.still = matchMedia("(prefers-reduced-motion: reduce)");
    this.shown = pack.replays.map((_, k) => k);
    this.now = 0;
    this.frame = 0;
    this.playing = false;
    this.part = (name) => root.querySelector(`[data-part="${name}"]`);
    this.lanes = [...root.querySelectorAll(".lane")].map((lane) => ({
      lane, canvas: lane.querySelector(".level"), strip: lane.querySelector(".strip"),
    }));
    this.filters = [...root.querySelectorAll("select[data-filter]")];
    this.listen();
    this.fill();
    this.show(0);
    root.classList.add("ready");
  }

  get pair() { return this.pack.replays[this.now]; }
  get last() { return Math.max(...this.pair.twins.map((twin) => twin.frames)) - 1; }
  get decision() { return this.frame / this.pack.repeat; }

  listen() {
    const { root } = this;
    root.addEventListener("click", (event) => {
      const act = event.target.closest("button")?.dataset.act;
      if (act) this[act]();
    });
    this.part("scrub").addEventListener("input", (event) => this.seek(event.target.value * this.pack.repeat));
    for (const filter of this.filters) filter.addEventListener("change", () => this.choose());
    root.addEventListener("keydown", (event) => this.key(event));
    for (const { strip, canvas } of this.lanes) {
      strip.addEventListener("pointerdown", (event) => this.point(event, strip));
      strip.addEventListener("pointermove", (event) => event.buttons && this.point(event, strip));
      canvas.addEventListener("click", () => this.toggle());
    }
    new ResizeObserver(() => this.size()).observe(this.part("stage"));
    const redraw = () => this.draw();
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
    addEventListener("beforeprint", redraw);
    this.still.addEventListener("change", redraw);
  }

  // What is shown --------------------------------------------------------------------------------

  value(pair, name) {
    const agent = this.pack.agents[pair.agent];
    return String({ rho: agent.rho, seed: agent.seed, placement: pair.placement, did: pair.did, level: pair.level }[name]);
  }

  fits(pair, but) {
    return this.filters.every(
      (one) => one === but || one.value === "" || one.value === this.value(pair, one.dataset.filter),
    );
  }

  /** Offer what there is, given the other filters. */
  fill() {
    for (const filter of this.filters) {
      const name = filter.dataset.filter, kept = filter.value;
      const counts = new Map(this.pack.replays.map((pair) => [this.value(pair, name), 0]));
      for (const pair of this.pack.replays)
        if (this.fits(pair, filter)) counts.set(this.value(pair, name), counts.get(this.value(pair, name)) + 1);
      const values = [...counts.keys()];
      if (name === "level" || name === "seed") values.sort((a, b) => a - b);
      filter.replaceChildren(new Option("all", ""));
      for (const value of values) {
        const option = new Option(`${name === "did" ? DID[value] : value} (${counts.get(value)})`, value);
        option.disabled = !counts.get(value);
        filter.add(option);
      }
      filter.value = kept;
    }
  }

  choose() {
    this.fill();
    const shown = this.pack.replays.map((_, k) => k).filter((k) => this.fits(this.pack.replays[k]));
    if (!shown.length) return;
    this.shown = shown;
    this.show(shown.includes(this.now) ? this.now : shown[0]);
  }

  clear() {
    for (const filter of this.filters) filter.value = "";
    this.choose();
  }

  show(number) {
    this.pause();
    this.now = number;
    this.frame = 0;
    this.pair.twins.forEach((twin) => unpackTwin(twin, this.pack));
    const [left, right, low, high] = this.pair.view;
    this.root.classList.toggle("wide", (right - left) / (high - low) > 1.8);
    this.part("scrub").max = Math.ceil(this.last / this.pack.repeat);
    this.part("count").textContent = `${this.shown.indexOf(number) + 1} of ${this.shown.length}`;
    this.say();
    this.size();
  }

  previous() { this.turn(-1); }
  next() { this.turn(1); }

  turn(by) {
    const at = this.shown.indexOf(this.now) + by;
    this.show(this.shown[(at + this.shown.length) % this.shown.length]);
  }

  /** Say in words what can be seen. */
  say() {
    const { pair, pack } = this, agent = pack.agents[pair.agent];
    const told = pair.twins.map((twin) => {
      const events = eventsOf(twin, pack).map((one) => `${one.name} at decision ${one.at}`);
      return events.join(", ") + (twin.cut ? ` (${twin.actions.length} of its ${twin.steps} decisions are shown)` : "");
    });
    this.lanes.forEach(({ lane, canvas }, k) => {
      lane.querySelector(".happens").textContent = told[k];
      canvas.setAttribute("aria-label", `Level ${pair.level}, ${k ? "in conflict" : "aligned"}: ${told[k]}`);
    });
    const verdict = agent.verdicts[pair.placement];
    this.part("who").textContent =
      `Agent trained at ρ = ${agent.rho}, seed ${agent.seed}${verdict ? ` (${verdict})` : ""}. ` +
      `Level ${pair.level}, goal moved to ${pair.placement}.`;
    this.part("why").textContent =
      `In conflict it ${DID[pair.did]}. Picked by rule: ${pair.why}.` +
      (pair.same ? "" : " It came out other than the evaluation has it stored.");
  }

  // Time -----------------------------------------------------------------------------------------

  toggle() { if (this.playing) this.pause(); else this.play(); }

  play() {
    if (this.frame >= this.last) this.frame = 0;
    this.playing = true;
    this.button();
    let before = performance.now();
    const tick = (time) => {
      if (!this.playing) return;
      const pace = PACE * this.pack.repeat * Number(this.part("speed").value);
      this.frame = Math.min(this.last, this.frame + (Math.max(0, time - before) / 1000) * pace);
      before = time;
      this.draw();
      if (this.frame >= this.last) this.pause();
      else requestAnimationFrame(tick);
    };
    requestAnimationFrame(tick);
  }

  pause() {
    this.playing = false;
    this.button();
  }

  button() {
    const button = this.part("play");
    button.textContent = this.playing ? "❚❚" : "▶";
    button.setAttribute("aria-label", this.playing ? "Pause" : "Play");
  }

  seek(frame) {
    this.pause();
    this.frame = Math.min(this.last, Math.max(0, frame));
    this.draw();
  }

  step(by) {
    const { repeat } = this.pack;
    this.seek((by > 0 ? Math.floor(this.decision + 1e-9) + by : Math.ceil(this.decision - 1e-9) + by) * repeat);
  }

  back() { this.step(-1); }
  forth() { this.step(1); }
  start() { this.seek(0); }
  end() { this.seek(this.last); }

  faster(by) {
    const speed = this.part("speed");
    speed.selectedIndex = Math.min(speed.length - 1, Math.max(0, speed.selectedIndex + by));
  }

  key(event) {
    const field = event.target.closest("select, input");
    if (event.altKey || event.ctrlKey || event.metaKey || field?.tagName === "SELECT") return;
    const far = event.shiftKey ? 10 : 1;
    const acts = {
      " ": () => this.toggle(), ArrowLeft: () => this.step(-far), ArrowRight: () => this.step(far),
      Home: () => this.start(), End: () => this.end(), "[": () => this.previous(), "]": () => this.next(),
      "-": () => this.faster(-1), "+": () => this.faster(1),
    };
    if (!acts[event.key] || (event.key === " " && event.target.closest("button"))) return;
    event.preventDefault();
    acts[event.key]();
  }

  point(event, strip) {
    const box = strip.getBoundingClientRect();
    const part = (event.clientX - box.left - STRIP.label) / (box.width - STRIP.label);
    this.seek(Math.round(part * Math.ceil(this.last / this.pack.repeat)) * this.pack.repeat);
  }

  // Drawing --------------------------------------------------------------------------------------

  /** Fit both canvases into the room that there is. */
  size() {
    const [left, right, low, high] = this.pair.view;
    const ratio = devicePixelRatio, tall = stripHeight(this.pair);
    for (const { canvas, strip } of this.lanes) {
      const room = canvas.parentElement.clientWidth, beside = strip.parentElement.clientWidth;
      const most = parseFloat(getComputedStyle(this.root).getPropertyValue("--tallest")) || 400;
      const cell = Math.min(room / (right - left), most / (high - low));
      canvas.style.width = `${Math.floor(cell * (right - left))}px`;
      canvas.width = Math.floor(cell * (right - left)) * ratio;
      canvas.height = Math.round((canvas.width * (high - low)) / (right - left));
      strip.style.height = `${tall}px`;
      strip.width = Math.floor(beside * ratio);
      strip.height = tall * ratio;
    }
    this.draw();
  }

  draw() {
    const smooth = this.playing && !this.still.matches;
    const frame = smooth ? this.frame : Math.floor(this.frame + 1e-9);
    const span = Math.ceil(this.last / this.pack.repeat);
    this.lanes.forEach(({ canvas, strip }, k) => {
      const twin = this.pair.twins[k];
      this.scene.draw(canvas, this.pair, twin, frame, smooth);
      drawStrip(strip, this.pair, twin, this.pack, this.decision, span);
    });
    const decision = Math.floor(this.decision + 1e-9);
    const scrub = this.part("scrub");
    scrub.value = decision;
    scrub.setAttribute("aria-valuetext", `decision ${decision} of ${span}`);
    this.part("time").textContent = `${decision} / ${span}`;
  }
}

/** Load a picture that the page carries. */
function loaded(source) {
  return new Promise((done, failed) => {
    const image = new Image();
    image.onload = () => done(image);
    image.onerror = () => failed(new Error("a picture in this page is damaged"));
    image.src = source;
  });
}

async function startPlayer(root) {
  const data = document.getElementById("replays");
  if (!root || !data) return;
  try {
    const pack = await unpack(data.textContent);
    const { image, backdrop } = pack.sheet;
    const images = { sheet: await loaded(image), backdrop: backdrop && (await loaded(backdrop)) };
    root.player = new Player(root, pack, images);
  } catch (error) {
    root.querySelector('[data-part="why"]').textContent = `The replays cannot be shown: ${error.message}`;
  }
}
startPlayer(document.querySelector(".player"));
