"""The page of public names: what can be imported, with its signature and what it does.

Public names: `markdown`, `PACKAGES`, `COMMAND`.
"""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import re
from typing import Any

COMMAND = "python -m misgen.experiments.commands.python_page"
PACKAGES = {
    "misgen.envs": "Worlds and levels",
    "misgen.agents": "Agents",
    "misgen.experiments": "Training, evaluation and protocols",
}
"""The packages whose `__all__` is public, and what is in each."""
_WIDE = 88  # letters of a line of code
_HEAD = """# Python

What the commands do, from Python. The names below are public: each keeps its name and meaning from
one minor version to the next, or the changelog says so.

## Environments

As an environment of Gymnasium, of its vector API, or of stable-baselines3:

```python
import gymnasium, misgen.envs

env = gymnasium.make("misgen/CoinRun-v0", correlation=0.98, mode="easy")
envs = gymnasium.make_vec("misgen/CoinRun-v0", num_envs=64, correlation=0.98)
observation, info = env.reset(seed=0, options={"level_ids": [17]})  # exactly this level

from misgen.envs.core.views.sb3 import MisgenVecEnv
from misgen.envs.make import distribution

venv = MisgenVecEnv(distribution("coinrun", correlation=0.98), num_envs=256)
```

[Worlds](worlds/index.md) has the ids, observations, actions and parameters of all. Where these run
in processes that have imported nothing yet, as those of `SubprocVecEnv` and of Gymnasium's
`vectorization_mode="async"` do on some systems, name the package as well:
`gymnasium.make("misgen.envs:misgen/CoinRun-v0")`.

## An agent that comes along

```python
from misgen.agents.checkpoint import load_agent

agent = load_agent("zoo:coinrun-rho1-seed0")
```

## Evaluate an agent

[Bring your own agent](bring_your_own_agent.md) says what an agent is: a model of
stable-baselines3, a torch module and a function all are.

```python
from misgen.experiments import evaluate_agent

found = evaluate_agent("my_agent:make_function", "coinrun", levels="2000000:2000020")
print(found)  # the verdicts
found.metrics  # a table: every metric with its interval over levels
```"""


def markdown() -> str:
    """Return the page."""
    written = f"<!-- Written by {COMMAND}: change the docstrings instead. -->"
    parts = [written, _HEAD]
    for package, about in PACKAGES.items():
        parts.append(f"## {about}: `{package}`")
        module = importlib.import_module(package)
        parts += [_told(name, getattr(module, name)) for name in sorted(module.__all__)]
    return "\n\n".join(parts) + "\n"


def _told(name: str, public: Any) -> str:
    """Return what a public name is: signature, summary, and what its docstring adds."""
    doc = inspect.cleandoc(public.__doc__ or "")
    parts = [f"### {name}", f"```python\n{_signature(name, public)}\n```", _rendered(doc)]
    if inspect.isclass(public):
        own = {key: one for key, one in vars(public).items() if not key.startswith("_")}
        rows = [_row(key, one) for key, one in own.items() if _is_said(public, key, one)]
        parts += ["\n".join(["| | |", "|---|---|", *rows])] if rows else []
    return "\n\n".join(parts)


def _is_said(cls: type, key: str, member: Any) -> bool:
    fields = {one.name for one in dataclasses.fields(cls)} if dataclasses.is_dataclass(cls) else ()
    function = _function(member)
    return key not in fields and inspect.isfunction(function) and bool(function.__doc__)


def _function(member: Any) -> Any:
    """Return the function within a property, a class method or a cached property."""
    for name in ("__func__", "fget", "func"):
        member = getattr(member, name, None) or member
    return member


def _row(key: str, member: Any) -> str:
    doc = inspect.cleandoc(_function(member).__doc__ or "")
    summary = " ".join(doc.split("\n\n")[0].split()).replace("|", "\\|")
    call = "()" if inspect.isfunction(member) or isinstance(member, classmethod) else ""
    return f"| `{key}{call}` | {summary} |"


def _signature(name: str, public: Any) -> str:
    """Return a call with its parameters, one a line where there are many."""
    try:
        found = inspect.signature(public)
    except (TypeError, ValueError):
        return name
    parameters: list[str] = []
    for one in found.parameters.values():
        if one.kind is one.KEYWORD_ONLY and "*" not in parameters:
            parameters.append("*")
        parameters.append(_parameter(one))
    back = "" if inspect.isclass(public) else f" -> {_type(found.return_annotation)}"
    inline = f"{name}({', '.join(parameters)}){back}"
    if len(inline) <= _WIDE:
        return inline
    return "\n".join([f"{name}(", *(f"    {one}," for one in parameters), f"){back}"])


def _parameter(one: inspect.Parameter) -> str:
    stars = {one.VAR_POSITIONAL: "*", one.VAR_KEYWORD: "**"}.get(one.kind, "")
    typed = f"{stars}{one.name}: {_type(one.annotation)}"
    if one.default is one.empty:
        return typed
    plain = isinstance(one.default, (bool, int, float, str, tuple, type(None)))
    return f"{typed} = {one.default!r}" if plain else f"{typed} = ..."


def _type(annotation: Any) -> str:
    return annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)


def _rendered(doc: str) -> str:
    """Return a docstring in Markdown: sections of Google's style become headed lists."""
    lines, inside = [], False
    for line in doc.splitlines():
        if re.fullmatch(r"(Args|Returns|Raises|Yields|Attributes|Example|Examples):", line):
            lines += ["", f"**{line.rstrip(':')}**", ""]
            inside = True
        elif inside and re.match(r"    \*{0,2}\w+(, \w+)*:", line):
            key, _, meaning = line.strip().partition(":")
            lines.append(f"- `{key}`: {meaning.strip()}")
        elif inside and line.strip():
            lines.append(f"  {line.strip()}")
        else:
            lines.append(line)
            inside = inside and not line.strip()
    return "\n".join(lines).strip()
