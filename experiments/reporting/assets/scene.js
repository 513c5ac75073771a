// A level and what moves in it, on a canvas.

const MARK = { goal: "#1877c9", proxy: "#d9560b" };

/** Draws the episodes of a pack, with its sprites. */
class Scene {
  constructor(pack, images) {
    this.pack = pack;
    this.sheet = images.sheet;
    this.backdrop = images.backdrop;
    this.stills = new Map();
  }

  /** Draw a twin of an episode at a frame, which may lie between two. */
  draw(canvas, pair, twin, frame, smooth) {
    const [left, right, low, high] = pair.view;
    const cell = canvas.width / (right - left);
    const at = Math.min(frame, twin.frames - 1);
    const now = Math.floor(at);
    const part = smooth && now + 1 < twin.frames ? at - now : 0;
    const place = (row) => row[now] + part * ((row[now + 1] ?? row[now]) - row[now]);
    const context = canvas.getContext("2d");
    const toX = (x) => (x - left) * cell;
    const toY = (y) => (high - y) * cell; // rows count from below
    context.drawImage(this.still(canvas, pair, twin, now), 0, 0);
    this.path(context, twin, at, part, toX, toY, cell);
    if (this.pack.marks) this.marks(context, twin, toX, toY, cell);
    for (const thing of twin.things) {
      const sprite = this.pack.sheet.sprites[thing.sprite[now]];
      if (!sprite || thing.sprite[now] < 0) continue;
      const tall = (sprite[1] / this.pack.sheet.texels) * cell;
      const x = toX(place(thing.x)), y = toY(place(thing.y)) - tall;
      this.stamp(context, sprite, x, y, cell, tall, thing.mirrored[now] > 0);
    }
    this.events(context, twin, at, toX, toY, cell, canvas.width);
  }

  stamp(context, [top, rows], x, y, wide, tall, mirrored) {
    const texels = this.pack.sheet.texels;
    context.save();
    context.translate(mirrored ? x + wide : x, y);
    if (mirrored) context.scale(-1, 1);
    context.drawImage(this.sheet, 0, top, texels, rows, 0, 0, wide, tall);
    context.restore();
  }

  /** The board as it is at a frame, drawn once for every change of it. */
  still(canvas, pair, twin, now) {
    const changes = twin.changes.filter((change) => change[0] <= now);
    const key = `${canvas.width} ${changes.length}`;
    const known = this.stills.get(twin);
    if (known && known.key === key) return known.canvas;
    const still = document.createElement("canvas");
    still.width = canvas.width;
    still.height = canvas.height;
    const context = still.getContext("2d");
    const [left, , low] = pair.view;
    const board = twin.board.map((row) => row.slice());
    for (const [, x, y, sprite] of changes) board[y - low][x - left] = sprite;
    this.behind(context, still);
    const cell = canvas.width / board[0].length;
    board.forEach((row, k) => row.forEach((code, x) => this.tile(context, board, code, x, k, cell)));
    if (this.stills.size > 40) this.stills.clear();
    this.stills.set(twin, { key, canvas: still });
    return still;
  }

  behind(context, { width, height }) {
    if (!this.backdrop) return;
    const scale = Math.max(width / this.backdrop.width, height / this.backdrop.height);
    const wide = width / scale, tall = height / scale;
    context.drawImage(this.backdrop, 0, this.backdrop.height - tall, wide, tall, 0, 0, width, height);
  }

  /** One cell: the floor, and what stands there; edges are whole pixels, so that no seam shows. */
  tile(context, board, code, column, row, cell) {
    const x0 = Math.round(column * cell), x1 = Math.round((column + 1) * cell);
    const y0 = Math.round((board.length - row - 1) * cell), y1 = Math.round((board.length - row) * cell);
    for (const number of code ? [0, code] : [0]) {
      const sprite = this.pack.sheet.sprites[number];
      if (sprite) this.stamp(context, sprite, x0, y0, x1 - x0, y1 - y0, false);
    }
  }

  path(context, twin, at, part, toX, toY, cell) {
    const { x, y } = twin.agent;
    const now = Math.floor(at);
    const line = (from, to, more) => {
      context.beginPath();
      for (let k = from; k <= to; k++) context.lineTo(toX(x[k] + 0.5), toY(y[k] + 0.5));
      if (more && now + 1 < x.length) {
        const mid = (row) => row[now] + part * (row[now + 1] - row[now]) + 0.5;
        context.lineTo(toX(mid(x)), toY(mid(y)));
      }
      context.stroke();
    };
    context.lineJoin = context.lineCap = "round";
    const wide = Math.max(1.5, cell * 0.09);
    context.setLineDash([wide, wide * 2.2]);
    context.lineWidth = wide * 0.8;
    context.strokeStyle = "rgb(20 24 28 / 45%)";
    line(now, twin.frames - 1, false);
    context.setLineDash([]);
    for (const [more, colour] of [[1.9, "rgb(15 18 22 / 55%)"], [1, "#ffe9a8"]]) {
      context.lineWidth = wide * more;
      context.strokeStyle = colour;
      line(0, now, true);
    }
  }

  /** Rings: where the goal is, and where the proxy. */
  marks(context, twin, toX, toY, cell) {
    const ring = ([x, y], colour, size, dash) => {
      if (x < 0) return;
      context.setLineDash(dash.map((part) => part * cell));
      for (const [wide, ink] of [[0.2, "rgb(255 255 255 / 85%)"], [0.11, colour]]) {
        context.lineWidth = Math.max(1.5, cell * wide);
        context.strokeStyle = ink;
        context.beginPath();
        context.arc(toX(x + 0.5), toY(y + 0.5), cell * size, 0, 2 * Math.PI);
        context.stroke();
      }
      context.setLineDash([]);
    };
    ring(twin.proxy, MARK.proxy, 0.92, [0.32, 0.22]);
    ring(twin.goal, MARK.goal, 0.66, []);
  }

  /** A word where something has happened. */
  events(context, twin, at, toX, toY, cell, width) {
    const decision = at / this.pack.repeat;
    const happened = eventsOf(twin, this.pack).filter((one) => one.at <= decision + 1e-9);
    const size = Math.max(11 * devicePixelRatio, cell * 0.55);
    context.font = `600 ${size}px system-ui, sans-serif`;
    context.textAlign = "center";
    context.textBaseline = "middle";
    happened.forEach((one, k) => {
      const frame = Math.min(one.at * this.pack.repeat, twin.frames - 1);
      const text = one.kind === "end" ? "end" : one.name;
      const half = context.measureText(text).width / 2 + size * 0.55;
      const x = Math.min(Math.max(toX(twin.agent.x[frame] + 0.5), half + 2), width - half - 2);
      const y = Math.max(size, toY(twin.agent.y[frame] + 0.5) - cell * 1.6 - k * size * 1.7);
      context.fillStyle = { ...MARK, death: "#8d1d1d", end: "#40474e" }[one.kind];
      context.beginPath();
      context.roundRect(x - half, y - size * 0.8, 2 * half, size * 1.6, size * 0.8);
      context.fill();
      context.fillStyle = "#fff";
      context.fillText(text, x, y);
    });
  }
}
