"""Play, watch and edit levels on a page of your own: misgen play [key=value ...].

Serves a page from this machine only, and prints its address; Ctrl-C ends it.  On the page

  play     any world yourself, by keyboard or touch
  watch    an agent: its action probabilities and its value, at every decision
  take over from it at any decision, also an earlier one, and hand back
  move     the goal, or what else stands in a cell, by dragging it, and watch the agent choose
           again, from the start or from where it is
  edit     the level, cell by cell or as text, with the world's own checks, and save it as a file
           that misgen play, misgen levels and misgen evaluate levels=... read
  be tested: levels that nobody has seen, aligned and in conflict, in an order that tells nothing;
           then you are evaluated as agents are

Examples:
  misgen play
  misgen play env=corner_maze env.mode=easy agent=goal_seeker
  misgen play run=runs/single/coinrun-rho1-seed0-0123456789 id=17
  misgen play file=level.txt
  misgen play terminal=true agent=proxy_seeker      here, in the terminal, also over ssh

Settings
  env          the world (misgen levels list) and its parameters: env.mode=easy, ...
  id           the first level
  correlation  how often goal and proxy coincide in the levels that are opened (default: 0)
  placement    where the goal is where they do not
  file         a level file to begin with, as misgen levels edit and this page write it
  agent, run   whom to watch: goal_seeker, proxy_seeker, random, idle, a run's folder, or zoo:<name>
               (misgen zoo); the page offers these, and the finished runs in runs=...
  seed, greedy how it draws its actions; with the seed of an evaluation it draws the same
  trust        true: make an agent that was trained elsewhere again, which runs its code
  terminal     true: play in this terminal
  port         of the page (default: any that is free); the address is 127.0.0.1 in any case
  open         whether to open a browser (default: if there is one on this screen)
  called       your name in tables
  runs, name   where it is written: <runs>/<name>/<time>/ holds plays.jsonl, episodes.parquet and
               levels/; a person who was tested has a run folder in <runs>/<name>-people/

On a machine that you reach by ssh: forward the port, the same number at both ends, with
ssh -L 8123:127.0.0.1:8123 machine, and start misgen play port=8123 there.
"""

from __future__ import annotations

import contextlib
import os
import re
import sys

from ..live.config import PlayConfig, configured
from ..training.overrides import refuse_unused


def main(argv: list[str]) -> int:
    """Run the command."""
    from .common import print_config

    if "--cfg" in argv:
        return print_config("play", [re.sub("^(agent|run)=", "player=", word) for word in argv])
    config = configured(argv)
    if config.terminal:
        from .level_terminal import play

        page = ("port", "open", "called", "runs", "name")
        refuse_unused("play", argv, dict.fromkeys(page, "with terminal=true there is no page"))
        return play(config.levels_command)
    return _serve(config)


def _serve(config: PlayConfig) -> int:
    """Serve the page until somebody ends it."""
    from ..live.server import PageServer
    from ..live.session import Session

    session = Session(config)
    with PageServer(session, config.port) as server:
        print(f"misgen play: {server.address}", flush=True)
        print("only this machine can reach it, and only with this address; Ctrl-C ends it")
        if _has_screen() if config.open is None else config.open:
            _open(server.address)
        sys.stdout.flush()
        with contextlib.suppress(KeyboardInterrupt):
            server.serve_forever()
    session.close()
    if session.diary.rows:
        print(f"written: {session.diary.folder}")
    return 0


def _has_screen() -> bool:
    """Return whether a browser that is opened would be seen by who sits here."""
    if not sys.stdout.isatty() or "SSH_CONNECTION" in os.environ:
        return False
    shown = os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    return bool(shown) or sys.platform in ("darwin", "win32")


def _open(address: str) -> None:
    import webbrowser

    if not webbrowser.open(address):
        print("no browser could be opened: open the address yourself")


if __name__ == "__main__":
    from .common import run_module

    sys.exit(run_module("play", main))
