"""Do levels that are chosen by regret mend goal misgeneralization, where conflicts are rare?

"Mitigating goal misgeneralization via minimax regret" (2025, arXiv 2507.03068): trained on levels
of which few tell goal and proxy apart, agents whose levels are chosen by their regret see more of
these, and misgeneralize less.
"""
