"""Programs that ours are measured beside, each in a Python of its own.

`python -m benchmarks.peers install` installs them all, each in `.venv-peers/<name>`.  A peer is a
name and packages (`registry`), and a module of this folder of the same name, which its Python runs:
it answers requests for turns over a pipe, a line of JSON each (`worker`).  These modules import
nothing of misgen but where the peer learns in our worlds.
"""
