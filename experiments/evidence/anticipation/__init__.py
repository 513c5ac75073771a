"""What does a test see that was told some of the cues, and who does worse than random unnoticed?

In a world with two cues, agents follow each on a known share of the levels, and tests are told of
none, one or both: power against the share of what an agent does that was anticipated.  Beside it,
trained agents that reach the goal more often than random play as in training, and less often where
goal and proxy part, at as many decisions.
"""
