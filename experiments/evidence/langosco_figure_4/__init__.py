"""How much must the cheese's region grow, for mice to learn to find the cheese and not the corner?

Figure 4 of Langosco et al. (2022, arXiv 2105.14111), Maze I: trained with the cheese in a region of
r x r cells at the upper right, tested with it anywhere; the larger the region, the better the
intended goal generalizes.
"""
