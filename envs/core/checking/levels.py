"""Checks of a world's levels: what depends on what, how they are written, what an agent sees."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..level import LevelBatch
from ..level_text.text import level_from_text, level_to_text
from .subject import Subject, require, require_same

CORRELATIONS = (1.0, 0.8, 0.4, 0.0)
_LEAST_PARTED = 0.2  # of levels, at correlation 0


def check_correlation(subject: Subject) -> None:
    """Raising the correlation only turns conflict levels into their aligned twins."""
    for placement in subject.placements:
        batches = [subject.levels(rho, placement) for rho in CORRELATIONS]
        aligned = np.stack([batch.aligned for batch in batches])
        require(aligned[0].all(), f"{placement}: some levels of correlation 1 are not aligned")
        nested = (aligned[:-1] >= aligned[1:]).all()
        require(nested, f"{placement}: a level is aligned at a low correlation, not at a high one")
        can_part = ~aligned[-1]
        parted = can_part.mean() > _LEAST_PARTED
        require(parted, f"{placement}: the goal hardly ever parts from the proxy")
        for rho, row in zip(CORRELATIONS, aligned, strict=True):
            spread = 4 * np.sqrt(max(rho * (1 - rho), 1e-9) / can_part.sum())
            share = row[can_part].mean()
            require(abs(share - rho) <= spread, f"{placement}: {share:.2f} are aligned at {rho}")


def check_twins(subject: Subject) -> None:
    """The terrain depends on the id alone; a level is one of its two twins, whole."""
    for placement in subject.placements:
        batches = [subject.levels(rho, placement) for rho in CORRELATIONS]
        digests = [batch.digests(terrain=True) for batch in batches]
        same = all(one == digests[0] for one in digests)
        require(same, f"{placement}: the correlation changes the terrain")
        for batch in batches:  # nothing but the twins occurs
            twins = batches[-1].data.copy()
            twins[batch.aligned] = batches[0].data[batch.aligned]
            for name in twins.dtype.names or ():  # not the bytes: they hold gaps between fields
                broken = f"{placement}: {name} is that of neither twin"
                require_same(batch.data[name], twins[name], broken)


def check_purity(subject: Subject) -> None:
    """A level depends on its id, and not on those asked for with it; levels differ."""
    ids = np.random.default_rng(0).permutation(40)
    placement = subject.placements[0]
    together = subject.world.levels(np.arange(40), 0.5, placement)
    apart = subject.world.levels(ids, 0.5, placement)
    for k, level_id in enumerate(ids):
        same = apart.data[k].tobytes() == together.data[level_id].tobytes()
        require(same, f"level {level_id} depends on the ids that are asked for with it")
    different = len(set(subject.levels(1.0).digests()))
    require(different > 100, f"of 200 levels only {different} differ")


def check_text(subject: Subject) -> None:
    """A level that is written as text and read again is the same level."""
    for placement in subject.placements:
        for correlation in (1.0, 0.0):
            for level in subject.levels(correlation, placement, count=12):
                text = level_to_text(level, subject.world)
                again = level_from_text(text, subject.world)
                same = again == level and again.aligned == level.aligned
                where = f"level {level.id} at {correlation}, {placement}"
                require(same, f"{where} is another one once written and read:\n{text}")


def check_export(subject: Subject) -> None:
    """Levels and motion come as arrays: a row a level, a row a slot."""
    levels = subject.levels(0.0, count=20)
    arrays = subject.world.export_levels(levels)
    require({"seed", "grid"} <= set(arrays), "export_levels gives no seed or no grid")
    require_same(arrays["seed"], levels.ids, "export_levels: seed is not the ids")
    require(len(arrays["grid"]) == 20, "export_levels: grid has not a row for each level")
    plain = all(one.dtype != object for one in arrays.values())
    require(plain, "export_levels: an array holds objects, which no file can")
    motion = subject.world.export_motion(subject.states(levels))
    require(motion.shape == (20, 4), f"export_motion gives {motion.shape}, not one row of 4 a slot")
    require(not np.isnan(motion).any(), "export_motion gives NaN")


def check_motion(subject: Subject) -> None:
    """Actions move the agent, and slots that were used start like fresh ones."""
    world, count = subject.world, 12
    levels, others = subject.levels(0.0, count=count), subject.levels(1.0, count=2 * count)
    slots, engine = np.arange(count), world.make_engine(count)
    chosen = np.random.default_rng(1).integers(0, int(world.action_space.n), (15, count))
    seen = []
    for first in (others.take(slice(count, 2 * count)), levels, levels):
        engine.load(slots, first)
        before = world.export_motion(engine.states)
        shown = [engine.observe()]
        for actions in chosen:
            engine.step(actions)
            shown.append(engine.observe())
        seen.append((shown, engine.results(slots)))
        require((world.export_motion(engine.states) != before).any(), "no action moves the agent")
    (one, told), (other, again) = seen[1:]
    for t, (a, b) in enumerate(zip(one, other, strict=True)):
        for key in a:
            require_same(a[key], b[key], f"a used slot plays otherwise: {key} at step {t}")
    for key in told:
        require_same(told[key], again[key], f"a used slot plays otherwise: {key}")


def check_sight(subject: Subject) -> None:
    """Where nothing within sight differs between two levels, they look the same.

    So the agent sees neither the id nor whether goal and proxy coincide.
    """
    world = subject.world
    for placement in subject.placements:
        one, other = (subject.levels(rho, placement) for rho in (1.0, 0.0))
        renamed = LevelBatch(one.world, one.data.copy(), one.variant)
        renamed.data["id"] += 1_000_000
        slots = np.arange(len(one))
        seen = [world.observe(subject.states(batch), slots) for batch in (one, other, renamed)]
        alike = alike_within_sight(subject, one, other)
        for key in world.observation_space:
            require_same(seen[0][key], seen[2][key], f"{key} shows the level's id")
            broken = f"{placement}: {key} shows whether goal and proxy coincide"
            require_same(seen[0][key][alike], seen[1][key][alike], broken)


def alike_within_sight(subject: Subject, one: LevelBatch, other: LevelBatch) -> NDArray[np.bool_]:
    """Return where twins, the first aligned, the other not, differ in nothing the agent can see."""
    sight = getattr(subject.world, "view", 13) // 2 + 1
    x, y = np.floor(one.data["start"]).astype(int).T
    rows, columns = np.indices(one.data["tiles"].shape[1:])
    far = (abs(columns - x[:, None, None]) > sight) | (abs(rows - y[:, None, None]) > sight)
    alike = ((one.data["tiles"] == other.data["tiles"]) | far).all(axis=(1, 2))
    for name in ("entity_count", "entity_x", "entity_y", "entity_kind"):
        alike &= (one.data[name] == other.data[name]).reshape(len(one), -1).all(axis=1)
    for name in ("goal_cell", "proxy_cell"):  # what stands there may look otherwise
        for batch in (one, other):
            cx, cy = batch.data[name].astype(int).T
            alike &= (np.maximum(abs(cx - x), abs(cy - y)) > sight) | (cx < 0)
    return alike & one.aligned & ~other.aligned


def check_pictures(subject: Subject) -> None:
    """Pictures for people show something, and not the same of each level."""
    states = subject.states(subject.levels(0.0, count=8))
    pictures = [subject.world.picture(state, 90, 120) for state in states]
    for picture in pictures:
        fits = picture.shape == (90, 120, 3) and picture.dtype == np.uint8
        require(fits, f"a picture of 90 x 120 is {picture.dtype} {picture.shape}")
        colours = len(np.unique(picture.reshape(-1, 3), axis=0))
        require(colours > 8, f"a picture has {colours} colours")
    require(any((one != pictures[0]).any() for one in pictures), "all levels look the same")
