// The level on its canvas: the server's picture, and over it goal, proxy, ways, and what is dragged.

const canvas = document.getElementById("board");
const pen = canvas.getContext("2d");
const frame = document.getElementById("frame");
const picture = new Image();
let state = null;
let shownImage = "";
let drag = null;

export const showMarks = document.getElementById("show");

// Pixels that the page has room for: what the server is asked to draw.
export function room() {
  const width = Math.max(160, frame.clientWidth - 22);
  const height = Math.max(240, Math.min(window.innerHeight - 270, 760));
  return { width: width * ratio(), height: height * ratio() };
}

function ratio() { return Math.min(2, window.devicePixelRatio || 1); }

export async function show(next) {
  state = next;
  const image = state.view.image || "";
  if (image && image !== shownImage) {
    shownImage = image;
    picture.src = image;
    try { await picture.decode(); } catch { return; } // another one has come
  }
  if (state === next) draw();
}

export function setDrag(next) { drag = next; draw(); }

// Column and row of the cell under a pointer; null beside the level.
export function cellAt(event) {
  if (!state) return null;
  const box = canvas.getBoundingClientRect();
  const [left, bottom, across, up] = state.view.cells;
  const x = Math.floor(left + (event.clientX - box.left) / box.width * across);
  const y = Math.floor(bottom + up - (event.clientY - box.top) / box.height * up);
  const inside = event.clientX >= box.left && event.clientX < box.right
    && event.clientY >= box.top && event.clientY < box.bottom;
  return inside ? [x, y] : null;
}

export function pixelOf(x, y) {
  const [left, bottom, across, up] = state.view.cells;
  return [(x - left) / across * canvas.width, (bottom + up - y) / up * canvas.height];
}

export function draw() {
  if (!state) return;
  size();
  if (state.view.image) pen.drawImage(picture, 0, 0, canvas.width, canvas.height);
  else drawMap();
  if (showMarks.checked && state.level) { drawWays(); drawMarks(); }
  if (drag) drawDrag();
}

// Fit the picture's shape into the room that there is.
function size() {
  const there = room();
  const [, , across, up] = state.view.cells;
  const scale = Math.min(there.width / across, there.height / up);
  const width = Math.round(across * scale), height = Math.round(up * scale);
  if (canvas.width !== width || canvas.height !== height) { canvas.width = width; canvas.height = height; }
  canvas.style.width = `${width / ratio()}px`;
  canvas.style.height = `${height / ratio()}px`;
  pen.imageSmoothingQuality = "high";
}

function colour(name) { return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim(); }

function cellSize() { return canvas.height / state.view.cells[3]; }

function drawMap() {
  const rows = state.view.map, side = cellSize();
  pen.fillStyle = colour("card");
  pen.fillRect(0, 0, canvas.width, canvas.height);
  pen.fillStyle = colour("ink");
  pen.font = `${side * 0.8}px ui-monospace, monospace`;
  pen.textAlign = "center";
  pen.textBaseline = "middle";
  rows.forEach((row, k) => [...row].forEach((sign, j) => {
    pen.fillText(sign, (j + 0.5) * side, (k + 0.5) * side);
  }));
}

function drawWays() {
  const width = Math.max(2.5, cellSize() / 11);
  let from = 0;
  pen.lineJoin = pen.lineCap = "round";
  for (const [who, count] of state.turns) {
    const until = Math.min(from + count, state.at);
    if (until > from) {
      for (const [style, wide] of [["#0008", width + 2 * ratio()], [colour(who === "human" ? "human" : "agent"), width]]) {
        pen.strokeStyle = style;
        pen.lineWidth = wide;
        pen.beginPath();
        for (let k = from; k <= until; k += 1) pen.lineTo(...pixelOf(...state.path[k]));
        pen.stroke();
      }
    }
    from += count;
  }
}

function drawMarks() {
  const { goal, proxy } = state.level.marks;
  if (proxy) ring(proxy, colour("proxy"), true);
  if (goal) ring(goal, colour("goal"), false);
}

function ring([x, y], style, dashed) {
  const side = cellSize(), width = Math.max(2.5, side / 12);
  const radius = side * (dashed ? 0.64 : 0.54);
  for (const [stroke, wide] of [["#000a", width + 2 * ratio()], [style, width]]) {
    pen.beginPath();
    pen.setLineDash(dashed ? [side * 0.28, side * 0.16] : []);
    pen.strokeStyle = stroke;
    pen.lineWidth = wide;
    pen.arc(...pixelOf(x + 0.5, y + 0.5), radius, 0, 2 * Math.PI);
    pen.stroke();
  }
  pen.setLineDash([]);
}

function drawDrag() {
  const side = cellSize();
  const [x, y] = pixelOf(drag.from[0], drag.from[1] + 1);
  pen.fillStyle = "#0006";
  pen.fillRect(x, y, side, side);
  if (!drag.to) return;
  const [left, top] = pixelOf(drag.to[0], drag.to[1] + 1);
  if (state.view.image) {
    const scale = picture.naturalHeight / canvas.height;
    pen.drawImage(picture, x * scale, y * scale, side * scale, side * scale, left, top, side, side);
  }
  pen.strokeStyle = colour("main");
  pen.lineWidth = 3 * ratio();
  pen.strokeRect(left, top, side, side);
}
