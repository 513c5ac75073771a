"""Speed of the worlds, of training and of evaluation, and accuracy of the statistics.

`python -m benchmarks` (or `make bench`) measures speed; `python -m benchmarks --help` lists all.
"""
