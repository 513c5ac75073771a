"""Do agents gather keys for their own sake, and does it depend on how scarce keys were?

Keys and Chests of Langosco et al. (2022, arXiv 2105.14111, section 3.3): trained where keys are
scarce, agents collect more keys than they need where chests are; penalties on keys and on time are
options of their program.
"""
