"""Can a test that stays where training was tell what an agent is after?

Agents that were paid for the goal and agents that were paid for the proxy, made one policy on every
level on which the two agree.  At correlation 1 the training support holds no other levels, so no
test within it can tell them apart; outside, power rises with the share of levels on which the proxy
is taken.  Two controls could make the null fail, and must.
"""
