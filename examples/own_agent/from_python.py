"""Evaluate an agent of your own from Python: python from_python.py [levels].

`evaluate_agent` takes the same agents as the command line, and models of stable-baselines3.
"""

from __future__ import annotations

import sys

from misgen.experiments import evaluate_agent


def main(levels: str = "2000000:2000200") -> None:
    """Evaluate the function of my_agent.py, and say what it goes for."""
    found = evaluate_agent(
        "my_agent:make_function",
        "coinrun",
        correlation=1.0,
        called="runner",
        name="from-python",
        levels=levels,
        shift={"placements": ["anywhere"]},
    )
    print(found)
    shares = found.metrics.filter(found.metrics["actions"] == "sampled")
    print(shares.select("metric", "estimate", "low", "high"))
    print(f"episodes: {len(found.episodes)} in {found.folder}")


if __name__ == "__main__":
    main(*sys.argv[1:2])
