"""Do actor and critic go for the same thing, where the level's end can be walked through?

Langosco et al. (2022, arXiv 2105.14111), CoinRun: an agent walked on through a permeable end wall
(100% of 114 episodes), while its critic's value peaked just before it: the two had learned
different proxies.
"""
