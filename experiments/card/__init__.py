"""Evaluation cards: what is known about an agent, what is not, and whether the figures are right.

`command` is `misgen card`; `evidence` reads a run's files and computes their figures anew from the
stored episodes; `build` makes the card of them, `findings` its sentences, `modes` the failure
modes, `compute` the price of training; `schema.json` describes a card, `validate` holds one against
it and against the episodes, `render` writes Markdown and HTML.
"""
