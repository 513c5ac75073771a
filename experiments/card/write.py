"""A run's card, written in three forms.

Public names: `check`, `write_card`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from misgen.agents.external.source import trusting
from misgen.envs.core.errors import UserError

from ..evaluation.result_folders import CARD_HTML, CARD_JSON, CARD_MARKDOWN
from ..protocols.run import comparison_table
from ..training.checks import require_room
from ..training.run_folder import RunFolder, write_json, write_text
from ..training.trained_run import TrainedRun
from .build import build_card
from .config import CardConfig
from .evidence import read_evidence
from .render import html, markdown
from .replay import parse_replay
from .sources import copy_outside


def check(folder: RunFolder, config: CardConfig) -> None:
    """Refuse a run that no card can be made of.

    Raises:
        UserError: naming the setting.
    """
    TrainedRun.read(folder)
    comparison_table(config.comparison)
    if config.supply_chain is not None and not Path(config.supply_chain).is_dir():
        raise UserError(
            f"supply_chain={config.supply_chain} is not a folder: give that of a misgen "
            "supply-chain"
        )
    require_room(folder.path, "run", config.run)


def write_card(folder: RunFolder, config: CardConfig | None = None) -> dict[str, Any]:
    """Make a run's card, write it in three forms, and return it.

    Raises:
        UserError: if the run is not finished, a file contradicts its own episodes, or the agent
            does not do what is stored.
    """
    config = config or CardConfig()
    with trusting(config.trust):
        evidence = read_evidence(folder.path, config, replay=parse_replay(config.replay))
    card = build_card(evidence)
    copy_outside(folder.path, evidence.outside, evidence.comparison)
    write_json(folder.path / CARD_JSON, card)
    write_text(folder.path / CARD_MARKDOWN, markdown(card))
    write_text(folder.path / CARD_HTML, html(card))
    return card
