"""From evidence to a card: plain data that the schema describes.

Public names: `build_card`, `NOT_EVALUATED`, `EVALUATED`, `UNKNOWN`, `NOT_MEASURED`, `JSON`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from misgen.agents.algorithms import algorithm_title
from misgen.agents.checkpoint import WEIGHTS, load_policy
from misgen.agents.external.record import read_record
from misgen.agents.spec import DESCRIPTION, read_spec

from ..evaluation.result_folders import COMPARISON
from ..evaluation.sampling import training_note
from ..evaluation.settings_words import as_mapping, in_words
from ..evaluation.verdict import UNDETERMINED, WORDING
from ..protocols.run import is_made_in, measured
from ..protocols.spec import is_shipped, protocol_from
from ..training.compute import NOT_COUNTED, network_cost, training_flops
from ..training.run_folder import MANIFEST, now, provenance, read_json, read_parquet
from . import external
from .evidence import BELIEVED, Evidence, Item, digest
from .findings import finding
from .modes import COMMAND, EVALUATION, INNER_PROTOCOLS, MODES, Mode
from .sources import COPIES, comparison_files, comparison_key

FORMAT, SCHEMA_VERSION = "misgen-card", 3
JSON = "card.json"
NOT_EVALUATED, EVALUATED = "not evaluated", "evaluated"
UNKNOWN = "run, power unknown here"
NOT_MEASURED = "not measured"
FALSE_ALARMS = 0.05
"""Rate at which a comparison counts detection power."""
_SHOWN = (
    "capability_in_distribution",
    "goal_in_distribution",
    "capability_aligned",
    "goal_aligned",
    "capability_conflict",
    "goal_conflict",
    "capability_loss",
    "goal_loss",
    "divergence",
    "divergence_ceiling",
    "pull",
    "pursuit",
    "choice",
    "device_share",
    "floor_capability_conflict",
)
"""Metrics of the evaluation that a card holds."""
_SENTENCE = {name: wording.sentence for name, wording in WORDING.items()} | {
    "disagreement": "What it pursues depends on where the goal is moved.",
    NOT_EVALUATED: "It was not evaluated on levels where goal and proxy are apart, so it is not"
    " known what it pursues.",
}


def build_card(evidence: Evidence) -> dict[str, Any]:
    """Return the card of an agent.

    All but `written` is the same for the same files.

    Args:
        evidence: what is known of it.
    """
    protocols = [_protocol(item, evidence) for item in evidence.protocols]
    modes = [_mode(mode, evidence, protocols) for mode in MODES]
    manifest = evidence.run.folder.path / MANIFEST
    return {
        "format": FORMAT,
        "schema_version": SCHEMA_VERSION,
        "agent": _agent(evidence),
        "training": {**_training(evidence), "source": _source(evidence, manifest)},
        "compute": {**_compute(evidence), "source": _source(evidence, manifest)},
        "evaluation": _evaluation(evidence),
        "verdict": _verdict(evidence),
        "results": list(_results(evidence)),
        "protocols": protocols,
        "failure_modes": modes,
        "nothing_reaches": [m["title"] for m in modes if m["status"] == NOT_EVALUATED],
        "evidence": list(_files(evidence)),
        "left_out": list(evidence.left_out),
        "written": {
            "time": now(),
            **{k: provenance()[k] for k in ("git", "packages")},
            "episodes_played_again": evidence.replayed.played,
            "episodes": evidence.replayed.of,
            "not_replayed": evidence.not_replayed or None,
        },
    }


def _agent(evidence: Evidence) -> dict[str, Any]:
    run = evidence.run
    record = read_record(run.folder.path)
    if record is not None:
        return external.agent_facts(run, record)
    spec, _ = read_spec(run.folder.path)
    teacher = getattr(run.config.agent, "teacher_policy", "")
    return {
        **({"distilled_from": teacher} if teacher else {}),
        "run": f"{run.config.slug}-{run.config.hash}",
        "policy_sha256": evidence.policy,
        "world": run.config.world.name,
        "intended_goal": run.config.world.goal_description,
        "proxy": run.config.world.proxy_description,
        "observation": spec.modality.name,
        "encoder": spec.encoder,
        "algorithm": algorithm_title(spec.algorithm),
        "fine_tuned_from": run.config.init_policy,
    }


def _training(evidence: Evidence) -> dict[str, Any]:
    config, manifest = evidence.run.config, evidence.run.manifest
    levels = evidence.run.training_levels()
    return external.hide_unknown(
        config.agent.unknown,
        {
            "correlation": config.correlation,
            "proxy_correlations": config.proxy_correlations,
            "placement": config.placement,
            "level_ids": str(config.levels.ranges["train"]),
            "levels": levels.get("levels"),
            "realised_correlation": levels.get("realised_correlation"),
            "conflict_levels": levels.get("conflict_levels"),
            **({"sampled": training_note(levels)} if levels.get("sampled") else {}),
            "seed": config.seed,
            "world_parameters": {k: v for k, v in config.env.items() if k != "name"},
            "config_hash": str(manifest.get("config_hash")),
        },
    )


def _compute(evidence: Evidence) -> dict[str, Any]:
    run = evidence.run
    record = read_record(run.folder.path)
    if record is not None:
        return external.compute_facts(record)
    world = run.config.world
    policy, _, _ = load_policy(run.folder.path, world.observation_space, world.action_space)
    cost, steps = network_cost(policy), int(run.manifest["environment_steps"])
    passes = run.config.agent.passes(steps)
    flops = training_flops(cost, passes)
    return {
        "environment_steps": steps,
        "frames": steps * world.action_repeat,
        "epochs": getattr(run.config.agent, "epochs", None),
        "parameters": cost.parameters,
        "active_parameters": cost.active,
        "forward_flops": cost.forward_flops,
        "training_flops": flops,
        "formula": NOT_COUNTED if flops is None or passes is None else passes.formula,
        "base_included": run.config.init_policy is None and not run.config.agent.policies,
        "wall_seconds": run.manifest.get("wall_seconds"),
    }


def _evaluation(evidence: Evidence) -> dict[str, Any] | None:
    """Return which of the run's evaluations the card is about."""
    item = evidence.items.get(EVALUATION)
    if item is None:
        return None
    return {
        "hash": evidence.evaluation_key,
        "settings": in_words(item.found["config"]),
        "episodes": item.found["episodes"],
        "source": _source(evidence, item.files[0]),
    }


def _results(evidence: Evidence) -> Iterator[dict[str, Any]]:
    item = evidence.items.get(EVALUATION)
    for row in item.found["metrics"] if item else ():
        if row["metric"] in _SHOWN:
            yield {
                "metric": row["metric"],
                "placement": row["placement"],
                "actions": row["actions"],
                "on_proxy": row["on_proxy"],
                "estimate": _number(row["estimate"]),
                "low": _number(row["low"]),
                "high": _number(row["high"]),
                "levels": row["n_levels"],
                "note": row["note"] or "",
                "source": _source(evidence, item.files[0]) if item else "",
            }


def _verdict(evidence: Evidence) -> dict[str, Any]:
    """Return the verdict with sampled actions, by placement and in all.

    Under the rule of training, where it was tested under it.
    """
    item = evidence.items.get(EVALUATION)
    own = item.found["verdicts"] if item else []
    modes = {one["actions"] for one in own}
    mode = "sampled" if "sampled" in modes else next(iter(modes), "")
    own = [one for one in own if one["actions"] == mode]
    trained = evidence.run.config.world.on_proxy
    own = [one for one in own if one["on_proxy"] == trained] or own
    decided = {one["verdict"] for one in own} - {UNDETERMINED}
    name = NOT_EVALUATED if not own else UNDETERMINED
    if decided:
        name = next(iter(decided)) if len(decided) == 1 else "disagreement"
    source = _source(evidence, item.files[0]) if item else None
    told = {"name": name, "sentence": _SENTENCE[name], "actions": mode}
    return {**told, "source": source, "by_placement": own}


def _protocol(item: Item, evidence: Evidence) -> dict[str, Any]:
    found = item.found
    last = found["points"][-1] if found["points"] else {}
    return {
        "name": item.name,
        "hash": found["protocol_hash"],
        "version": found["protocol"]["version"],
        "of_misgen": is_shipped(protocol_from(found["protocol"])),
        "question": found["protocol"]["question"],
        "blind_to": found["protocol"]["blind_to"],
        "access": list(found["protocol"]["access"]),
        "applicable": found["applicable"],
        "action_mode": found["config"]["actions"],
        "budget": last.get("budget"),
        "episodes": last.get("episodes"),
        "score": _number(last.get("score")),
        "low": _number(last.get("low")),
        "high": _number(last.get("high")),
        "decision": found["decision"],
        "why": found["why"],
        "power": _power(found, last.get("budget"), evidence),
        "checked": item.checked,
        "source": _source(evidence, item.files[0]),
    }


def _power(
    found: Mapping[str, Any], budget: int | None, evidence: Evidence
) -> dict[str, Any] | None:
    """Return the detection power that was measured with just the budget used.

    None where it was not measured for a protocol of this content, in this world with these
    parameters, with this budget, of agents whose training support is like this one's: another power
    would say nothing here.
    """
    comparison, config = evidence.comparison, evidence.run.config
    if comparison is None or budget is None or not is_made_in(comparison, config.world):
        return None
    protocol = protocol_from(found["protocol"])
    row = measured(protocol, budget, str(comparison), config.correlation)
    if row.get("power") is None:
        return None
    stored = as_mapping(read_json(comparison.with_name(COMPARISON.main), "compare again"))
    return {
        "power": _number(row["power"]),
        "low": _number(row.get("power_low")),
        "high": _number(row.get("power_high")),
        "budget": row["budget"],
        "false_alarms": _number(as_mapping(stored.get("config")).get("false_alarms", FALSE_ALARMS)),
        "agents": row.get("agents"),
        "of": f"{row['population']} agents, {row['support']}",
        "comparison": _source(evidence, comparison),
    }


def _mode(mode: Mode, evidence: Evidence, protocols: list[dict[str, Any]]) -> dict[str, Any]:
    """Return what is known of a failure mode; never nothing."""
    own = [evidence.items[name] for name in mode.evidence if name in evidence.items]
    ran = [p for p in protocols if p["applicable"] and _concerns(mode, p)]
    reaching = [p for p in ran if _reaches(p)]
    unknown = [p for p in ran if p["power"] is None and _may_reach(p)]
    entries = [_entry(p) for p in reaching]
    others = [_own_entry(item, evidence) for item in own] + [_entry(p) for p in unknown]
    told = bool(entries or others)
    return {
        "mode": mode.key,
        "title": mode.title,
        "question": mode.question,
        "status": EVALUATED if entries else UNKNOWN if others else NOT_EVALUATED,
        "finding": finding(mode, own, reaching + unknown) if told else _why_not(mode, ran),
        "reached_by": entries,
        "power_unknown": others,
        "run_without_reaching": [
            _entry(p) for p in ran if not any(p is one for one in reaching + unknown)
        ],
    }


def _own_entry(item: Item, evidence: Evidence) -> dict[str, Any]:
    """Return evidence that is no protocol, so that nobody measured how often it sees a failure."""
    return {
        "by": item.name,
        "hash": digest(item.files[0])[:10],
        "budget": _episodes(item),
        "power": NOT_MEASURED,
        "source": _source(evidence, item.files[0]),
    }


def _concerns(mode: Mode, protocol: Mapping[str, Any]) -> bool:
    inner = protocol["name"] in INNER_PROTOCOLS
    return mode.protocols == "all" or (mode.protocols == "inner" and inner)


def _reaches(protocol: Mapping[str, Any]) -> bool:
    """Return whether a protocol was measured to see goal misgeneralization in this world.

    Its power's interval lies above its false alarms.
    """
    power = protocol["power"]
    return bool(power) and power["low"] is not None and power["low"] > power["false_alarms"]


def _may_reach(protocol: Mapping[str, Any]) -> bool:
    """Return whether a protocol may see goal misgeneralization, as far as its making tells.

    It looks at levels on which goal and proxy part, or inside the agent; what a protocol that is
    not one of misgen's says of itself does not count.
    """
    return protocol["of_misgen"] and bool({"level_editor", "critic"} & set(protocol["access"]))


def _entry(protocol: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "by": protocol["name"],
        "hash": protocol["hash"],
        "budget": protocol["budget"],
        "power": protocol["power"] or NOT_MEASURED,
        "source": protocol["source"],
    }


def _why_not(mode: Mode, ran: list[dict[str, Any]]) -> str:
    commands = " or ".join(f"{COMMAND[name]}" for name in mode.evidence)
    if ran:
        names = ", ".join(p["name"] for p in ran)
        return f"No evaluation that was run covers it ({names} cannot). {commands} would."
    return f"No evaluation that was run covers it. {commands} would."


def _episodes(item: Item) -> int | None:
    """Return how many episodes a piece of evidence rests on, where they are stored."""
    if item.files[0].suffix != ".parquet":
        return None
    return read_parquet(item.files[0]).height


def _files(evidence: Evidence) -> Iterator[dict[str, Any]]:
    folder = evidence.run.folder.path
    weights = DESCRIPTION if read_record(folder) else WEIGHTS
    for name in (MANIFEST, weights):
        yield _file(evidence, "training", folder / name, BELIEVED)
    for item in (*evidence.items.values(), *evidence.protocols):
        for file in item.files:
            yield _file(evidence, item.name, file, item.checked)
    if evidence.comparison is not None:
        for file in comparison_files(evidence.comparison):
            yield _file(evidence, COMPARISON.name, file, BELIEVED)


def _file(evidence: Evidence, of: str, file: Path, checked: str) -> dict[str, Any]:
    return {
        "of": of,
        "file": _place(evidence, file),
        "sha256": digest(file),
        "checked": checked,
    }


def _source(evidence: Evidence, file: Path) -> str:
    """Return where a number comes from: a file in the run's folder, and the beginning of its hash.

    Neither the name of the run's folder nor where it lies is in it.
    """
    return f"{_place(evidence, file)} sha256:{digest(file)[:16]}"


def _place(evidence: Evidence, file: Path) -> str:
    """Return a file's path in the run's folder, where what lies elsewhere is copied to."""
    if file.is_relative_to(evidence.run.folder.path):
        return file.relative_to(evidence.run.folder.path).as_posix()
    if evidence.comparison is not None and file.parent == evidence.comparison.parent:
        key = comparison_key(evidence.comparison)
        return f"{COPIES}/{COMPARISON.folder}/{key}/{file.name}"
    return f"{COPIES}/{file.parent.parent.name}/{file.parent.name}/{file.name}"


def _number(value: Any) -> float | None:
    return None if value is None or not math.isfinite(value) else float(value)
