"""What is played on a page, kept: every episode with its level and actions, and as a table.

Public names: `Diary`, `PERSON`, `MIXED`.

`plays.jsonl` holds a line an episode: the level (by id, or as text where it was changed), the
actions, and who took each.  `episodes.parquet` has the columns of an evaluation's episodes; its
`role` says `human`, `agent`, or `mixed` where both played.
"""

from __future__ import annotations

import dataclasses
import itertools
import json
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from misgen.envs.core.episode import First
from misgen.envs.core.errors import UserError
from misgen.envs.core.files import open_append
from misgen.envs.core.level_text.level_set import HAND_MADE
from misgen.envs.core.level_text.text import level_to_text

from ..levels.game import Game
from ..training.run_folder import EPISODES, now, write_parquet

if TYPE_CHECKING:
    import polars as pl

PERSON = "human"
"""Who takes an action at the keys; and the role of an episode that a person played alone."""
MIXED = "mixed"
_AGENT = "agent"
PLAYS = "plays.jsonl"


@dataclasses.dataclass(frozen=True)
class Origin:
    """Where a level comes from."""

    correlation: float | None
    """Of the distribution that it was drawn from; None: made by hand."""
    placement: str
    """Where its goal is in conflict; `hand_made` if it was made by hand."""

    @property
    def by_hand(self) -> bool:
        """Whether somebody made the level, or changed it."""
        return self.correlation is None


BY_HAND = Origin(None, HAND_MADE)


class Diary:
    """The episodes of one session, and the folder that they are kept in."""

    def __init__(self, folder: Path, person: str) -> None:
        """Keep what is played in `folder`, which is made when the first episode is kept."""
        self.folder = folder
        self.person = person
        self.rows: list[dict[str, Any]] = []
        self._played: Counter[tuple[int, bytes]] = Counter()

    def keep(self, game: Game, origin: Origin) -> None:
        """Keep an episode as far as it went; one in which nothing was done is none.

        Args:
            game: what was played, up to the state that it shows.
            origin: of its level.
        """
        if not game.at:
            return
        who = list(dict.fromkeys(game.who[: game.at]))
        role = PERSON if who == [PERSON] else MIXED if PERSON in who else _AGENT
        people, agents = who.count(PERSON), [one for one in who if one != PERSON]
        name = " and ".join([self.person] * people + agents)
        key = game.level.id, game.levels.digests()[0]
        row = {
            **game.info(),
            "role": role,
            "agent": name,
            "noise": 0.0,
            "condition": "aligned" if game.level.aligned else "conflict",
            "placement": origin.placement,
            "test_correlation": origin.correlation,
            "on_proxy": game.world.on_proxy,
            "actions": "sampled",
            "run": self.folder.name,
            "repeat": self._played[key],
        }
        if not game.world.goal_moves:
            row["cell_first"] = None  # there is no cell to touch
        self._played[key] += 1
        self.rows.append({**row, "finished": not game.running})
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with open_append(self.folder / PLAYS) as file:
                file.write(f"{json.dumps(self._line(game, origin, role, name))}\n".encode())
        except OSError as error:
            raise UserError(
                f"{self.folder} cannot be written to ({error.strerror}), so this episode is in no "
                "file: make room there; those to come are then kept"
            ) from None
        write_parquet(self.folder / EPISODES, self.table())

    def table(self) -> pl.DataFrame:
        """Return the episodes with the columns of an evaluation's; what is not known is null."""
        import polars as pl

        from ..evaluation.conditions import EPISODES as COLUMNS

        rows = []
        for row in self.rows:
            at = {name: row[name] or None for name in ("goal_at", "proxy_at")}
            first = First(row["first"]).name.lower()
            rows.append({name: row.get(name) for name in COLUMNS} | at | {"first": first})
        return pl.DataFrame(rows, COLUMNS)

    def _line(self, game: Game, origin: Origin, role: str, name: str) -> dict[str, Any]:
        turns = [[who, len(list(group))] for who, group in itertools.groupby(game.who[: game.at])]
        level: dict[str, Any] = {"id": game.level.id, **dataclasses.asdict(origin)}
        if origin.by_hand:
            level["text"] = level_to_text(game.level, game.world)
        return {
            "written": now(),
            "role": role,
            "name": name,
            "env": {"name": game.world.name, **dataclasses.asdict(game.world)},
            "level": level,
            "actions": game.actions[: game.at],
            "turns": turns,
            "finished": not game.running,
            "outcome": game.info()["outcome"],
        }
