"""The test that a person takes on a page: which level is next, and when it is over.

Public name: `Testing`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from misgen.envs.core.errors import UserError
from misgen.envs.core.placement import USUAL

from .config import require_name
from .diary import Origin
from .people import FIRST, PersonTest, evaluate_person

if TYPE_CHECKING:
    from ..levels.game import Game
    from .requests import Fields
    from .session import Session


class Testing:
    """The test of a session, if one is going on.

    Attributes:
        test: what is played; None where nobody is tested.
    """

    def __init__(self, session: Session) -> None:
        """Test nobody yet."""
        self._session = session
        self._first = FIRST
        self.test: PersonTest | None = None

    def state(self) -> dict[str, Any] | None:
        """Return how far a test is; None where there is none."""
        if self.test is None:
            return None
        played = len(self.test.done)
        return {
            "played": played,
            "all": played + len(self.test.left),
            "pairs": len(self.test.pairs),
        }

    def begin(self, fields: Fields) -> None:
        """Begin a test, on levels that were in none before."""
        session = self._session
        person = require_name("called", fields.text("called"))
        rule = USUAL if session.origin.by_hand else session.origin.placement
        count = fields.whole("levels")
        test = PersonTest.of(session.world, rule, person, count, session.seed, self._first)
        self._first = test.ids[-1] + 1
        session.diary.person = person
        session.dismiss()
        self.test = test
        self._show(test)

    def take(self, game: Game) -> None:
        """Take an episode that has ended."""
        if self.test is not None:
            self.test.take(game)

    def next(self, fields: Fields) -> dict[str, Any]:
        """Show the level that is next, or evaluate what was played."""
        test = self._running()
        if not test.left:
            return self.stop(fields)
        if self._session.game.running:
            raise UserError("this level is not played yet: play it to its end, or stop the test")
        self._show(test)
        return {}

    def stop(self, fields: Fields) -> dict[str, Any]:
        """End the test; evaluate what was played, if a level was played both ways."""
        test = self._running()
        self.test = None
        if not test.pairs:
            self._session.note = (
                "the test ended before a level was played both ways: there is nothing to evaluate"
            )
            return {"result": None}
        config = self._session.config
        return {"result": evaluate_person(test, config.runs, f"{config.name}-people")}

    def _running(self) -> PersonTest:
        if self.test is None:
            raise UserError("no test is going on: begin one first")
        return self.test

    def _show(self, test: PersonTest) -> None:
        self._session.start(test.levels(), Origin(test.left[0][1], test.placement))
