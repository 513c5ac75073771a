"""How rarely may the coin be moved in training, for agents to go for the coin and not the end?

Figure 2 of Langosco et al. (2022, arXiv 2105.14111): in CoinRun, agents trained on levels of which
some have their coin at a random place reach the end without the coin less often the more such
levels there were; 2% are said to help greatly.  There each share is one training run, and the
figure has no intervals.
"""
