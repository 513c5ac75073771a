"""Protocols that choose levels adaptively: red teams, and a search for regret.

`rounds` spends the budget (search, then confirm on fresh levels), `features` says what levels have
in common, `edits` makes levels out of others, `strategies` choose what to play next; `red_team` and
`regret` are the methods.
"""
