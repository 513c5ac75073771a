"""A run's card as a model card of the Hugging Face hub, beside the weights; nothing is uploaded.

The front matter holds the card's results as the hub's `model-index`; the text is the card itself.

Public name: `write_hub_folder`.
"""

# pyright: reportMissingImports=false
from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from misgen.agents.checkpoint import WEIGHTS
from misgen.agents.external.record import read_record
from misgen.agents.spec import DESCRIPTION
from misgen.envs.core.errors import UserError

from ..card.build import JSON
from ..card.card_validation import validate_card
from ..card.render import escaped, markdown
from ..card.sources import Choice
from ..training.run_folder import read_json
from ..training.shell import shell_words
from ..training.trained_run import TrainedRun

if TYPE_CHECKING:
    from huggingface_hub import EvalResult

README = "README.md"
_NOT_HERE = f"""
## How to load it

The agent was trained elsewhere, and misgen stores no weights of such agents: add them to this
folder, and say here how they are loaded.

`{JSON}` is the card for machines.
"""


def write_hub_folder(run: TrainedRun, into: Path, license: str | None = None) -> Path:
    """Write a run's model card and copies of its weights, and return the card's file.

    Of an agent that was trained elsewhere there are no weights to copy, and the card says so.

    Args:
        run: a finished run that has a card.
        into: the folder.
        license: of the weights, as the hub names it (`mit`); None: the card names none.

    Raises:
        UserError: if the run has no card, or it is not true of the run's files.
    """
    from huggingface_hub import ModelCard, ModelCardData

    card = _true_card(run)
    data = ModelCardData(
        library_name="misgen",
        license=license,
        pipeline_tag="reinforcement-learning",
        tags=["reinforcement-learning", "goal-misgeneralization", "misgen", card["agent"]["world"]],
        model_name=card["agent"]["run"],
        eval_results=list(_results(card)) or None,
    )
    elsewhere = read_record(run.folder.path) is not None
    load = _NOT_HERE if elsewhere else _how_to_load(card)
    text = f"---\n{data.to_yaml()}\n---\n\n{markdown(card)}\n{load}"
    ModelCard(text).save(into / README)
    for name in (JSON,) if elsewhere else (WEIGHTS, DESCRIPTION, JSON):
        shutil.copyfile(run.folder.path / name, into / name)
    return into / README


def _true_card(run: TrainedRun) -> dict[str, Any]:
    """Return the run's card, held against the run's files.

    Raises:
        UserError: if there is none, or it is not true.
    """
    folder = run.folder.path
    make = f"make it with {shell_words('misgen', 'card', f'run={folder}')}"
    card = read_json(folder / JSON, make)
    wrong = validate_card(card, folder, Choice(), replay=0)
    if wrong:
        raise UserError(f"{folder / JSON} is not true ({wrong[0].rstrip('.')}): {make}")
    return card


def _results(card: Mapping[str, Any]) -> Iterator[EvalResult]:
    """Yield the card's numbers; those that are not known are left out."""
    from huggingface_hub import EvalResult

    world = card["agent"]["world"]
    for row in card["results"]:
        if row["estimate"] is None:
            continue
        yield EvalResult(
            task_type="reinforcement-learning",
            task_name="goal misgeneralization",
            dataset_type=f"misgen/{world}",
            dataset_name=f"{world}, goal moved to {row['placement']}",
            dataset_config=f"{row['placement']}, {row['actions']} actions",
            dataset_split="test",
            metric_type=row["metric"],
            metric_name=row["metric"].replace("_", " "),
            metric_value=row["estimate"],
            metric_config=f"{row['actions']} actions",
            metric_args={
                "low": row["low"], "high": row["high"], "interval": 0.95, "levels": row["levels"],
            },
        )  # fmt: skip


def _how_to_load(card: Mapping[str, Any]) -> str:
    """Return how the agent is loaded and its card checked."""
    parameters = ", ".join(
        f"{name}={value!r}" for name, value in card["training"]["world_parameters"].items()
    )
    world = escaped(card["agent"]["world"])
    return f"""
## How to load it

Loading runs no code: the weights are a safetensors file, their description is JSON.

```python
from misgen.agents.checkpoint import load_agent
from misgen.envs.core.registry import make_world

world = make_world("{world}", {parameters})
agent = load_agent(".", world.observation_space, world.action_space)
```

`{JSON}` is the card for machines; `misgen card validate` checks it against the run's folder.
"""
