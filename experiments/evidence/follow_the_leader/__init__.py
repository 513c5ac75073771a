"""Is a leader followed where it leads astray, and is that worse than random play?

After the cultural transmission of Shah et al. (2022, arXiv 2210.01790, section 2.2): an agent
trained beside an expert learns to follow, and follows an anti-expert through mistake after mistake.
"""
