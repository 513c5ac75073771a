"""Which feature does an agent follow: the line's shape, or its colour?

Maze II of Langosco et al. (2022, arXiv 2105.14111, section 3.2): trained to take a yellow diagonal
line, agents took a yellow gem rather than a red line 89% of the time (102 agents).
"""
