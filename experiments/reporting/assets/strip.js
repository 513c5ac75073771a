// What the critic values and what the actor would do, over an episode: a strip below the level.

const STRIP = { value: 30, row: 10, gap: 5, label: 22, least: 12 };

/** The kinds of action that are ever likely in a pair of twins. */
function likely(pair) {
  const most = (column) => Math.max(...pair.twins.flatMap((twin) => twin.p[column]), 0);
  const columns = pair.twins[0].p.map((_, column) => column);
  return columns.filter((column) => most(column) >= STRIP.least);
}

/** How high a strip is, in CSS pixels. */
function stripHeight(pair) {
  const value = pair.twins.some((twin) => twin.values.length) ? STRIP.value + STRIP.gap : 0;
  return value + STRIP.row * likely(pair).length + 2;
}

/** Draw the strip of a twin; `decision` is where the episode is. */
function drawStrip(canvas, pair, twin, pack, decision, span) {
  const ratio = devicePixelRatio;
  const context = canvas.getContext("2d");
  const wide = canvas.width / ratio, tall = canvas.height / ratio;
  const style = getComputedStyle(canvas);
  const ink = style.color, accent = style.getPropertyValue("--value").trim();
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, wide, tall);
  const toX = (step) => STRIP.label + (step / span) * (wide - STRIP.label - 1);
  let top = 1;
  if (pair.twins.some((one) => one.values.length)) {
    drawValue(context, pair, twin, toX, top, accent, ink);
    top += STRIP.value + STRIP.gap;
  }
  context.font = "10px system-ui, sans-serif";
  context.textBaseline = "middle";
  for (const column of likely(pair)) {
    context.fillStyle = ink;
    context.textAlign = "center";
    context.fillText(pack.actions[column], STRIP.label / 2, top + STRIP.row / 2);
    twin.p[column].forEach((percent, k) => {
      context.globalAlpha = percent / 100;
      context.fillStyle = accent;
      const x = toX(k);
      context.fillRect(x, top + 1, Math.max(1, toX(k + 1) - x + 0.3), STRIP.row - 2);
      context.globalAlpha = 1;
    });
    top += STRIP.row;
  }
  drawEvents(context, twin, pack, toX, tall);
  context.fillStyle = ink;
  context.fillRect(toX(Math.min(decision, twin.actions.length)) - 0.75, 0, 1.5, tall);
}

function drawValue(context, pair, twin, toX, top, accent, ink) {
  const all = pair.twins.flatMap((one) => one.values);
  const low = Math.min(0, ...all), high = Math.max(...all, low + 1);
  const toY = (value) => top + STRIP.value * (1 - (value - low) / (high - low));
  context.fillStyle = ink;
  context.font = "10px system-ui, sans-serif";
  context.textAlign = "center";
  context.textBaseline = "middle";
  context.fillText("V", STRIP.label / 2, top + STRIP.value / 2);
  context.beginPath();
  twin.values.forEach((value, k) => context.lineTo(toX(k + 0.5), toY(value)));
  context.strokeStyle = accent;
  context.lineWidth = 1.6;
  context.stroke();
  if (!twin.values.length) return;
  context.lineTo(toX(twin.values.length - 0.5), toY(low));
  context.lineTo(toX(0.5), toY(low));
  context.globalAlpha = 0.14;
  context.fillStyle = accent;
  context.fill();
  context.globalAlpha = 1;
}

/** A line for each event, of its colour. */
function drawEvents(context, twin, pack, toX, tall) {
  for (const one of eventsOf(twin, pack)) {
    if (one.at > twin.actions.length) continue;
    context.fillStyle = { ...MARK, death: "#b3261e", end: "#8a9199" }[one.kind];
    context.fillRect(toX(one.at) - 1.5, 0, 2.5, tall);
    context.beginPath();
    context.arc(toX(one.at) - 0.5, 4, 4, 0, 2 * Math.PI);
    context.fill();
  }
}
