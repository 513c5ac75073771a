"""Install the programs that ours are measured beside, or list them.

    python -m benchmarks.peers                       which there are, and which are installed
    python -m benchmarks.peers install               all that are not
    python -m benchmarks.peers install procgen sbx   these, anew
    python -m benchmarks.peers install jaxgmg=../jaxgmg   from a checkout of your own

Each gets a Python of its own, `.venv-peers/<name>`, so that none changes what misgen runs with.
What follows `--` is given to pip.
"""

from __future__ import annotations

import sys

from misgen.envs.core.errors import UserError, one_of

from .registry import PEERS, install, there


def main(argv: list[str]) -> int:
    """Do what the words say; return how many peers could not be installed."""
    if {"-h", "--help"} & set(argv):
        print(__doc__)
        return 0
    at = argv.index("--") if "--" in argv else len(argv)
    words, pip = argv[:at], argv[at + 1 :]
    if not words:
        for peer in PEERS.values():
            print(f"{peer.name:10} {'there' if there(peer.name) else 'missing':8} {peer.what}")
        return 0
    one_of("command", words[0], ("install",))
    sources = {name: source for name, _, source in (word.partition("=") for word in words[1:])}
    for name in sources:
        one_of("peer", name, tuple(PEERS))
    failed = 0
    for name in sources or [name for name in PEERS if not there(name)]:
        try:
            if PEERS[name].packages:
                print(f"installing {name} ...", flush=True)
                install(PEERS[name], sources.get(name, ""), tuple(pip))
        except UserError as error:
            failed += 1
            print(f"benchmarks.peers: {error}", file=sys.stderr)
    return failed


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except UserError as error:
        print(f"benchmarks.peers: {error}", file=sys.stderr)
        sys.exit(2)
