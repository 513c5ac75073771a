// What `replays/packing.py` packed, unpacked.

/** Inflate and parse what stands in the page; rejects where the browser cannot. */
async function unpack(text) {
  const bytes = Uint8Array.from(atob(text.trim()), (sign) => sign.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return JSON.parse(await new Response(stream).text());
}

/** A row of numbers: one for all, or a first and differences. */
function spread(track, length) {
  const row = new Array(length);
  if (typeof track === "number") return row.fill(track);
  let sum = 0;
  for (let k = 0; k < length; k++) row[k] = sum += track[k];
  return row;
}

/** A twin with its rows spread, which is done once. */
function unpackTwin(twin, pack) {
  if (twin.frames) return twin;
  const decisions = twin.actions.length;
  const lengths = twin.things.flat().map((track) => (typeof track === "number" ? 1 : track.length));
  twin.frames = Math.max(...lengths, decisions * pack.repeat);
  twin.things = twin.things.map(([x, y, sprite, mirrored]) => ({
    x: spread(x, twin.frames).map((place) => place / 64),
    y: spread(y, twin.frames).map((place) => place / 64),
    sprite: spread(sprite, twin.frames),
    mirrored: spread(mirrored, twin.frames),
  }));
  twin.agent = twin.things[twin.things.length - 1];
  twin.p = twin.p.map((track) => spread(track, decisions));
  twin.cut = twin.steps > decisions;
  return twin;
}

/** What happened in an episode, in order: where, and what it is called. */
function eventsOf(twin, pack) {
  const found = [];
  if (twin.goalAt) found.push({ kind: "goal", at: twin.goalAt, name: pack.goal });
  if (twin.proxyAt) found.push({ kind: "proxy", at: twin.proxyAt, name: pack.proxy });
  if (twin.died) found.push({ kind: "death", at: twin.steps, name: "death" });
  else if (!found.some((one) => one.at === twin.steps))
    found.push({ kind: "end", at: twin.steps, name: "end of the episode" });
  return found.sort((a, b) => a.at - b.at);
}
