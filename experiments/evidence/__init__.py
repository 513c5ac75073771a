"""Questions of the literature, each answered by one command: a folder a question.

`misgen evidence <question> size=lab` trains and evaluates what the question asks for, as sweeps,
and makes its tables, figure and page from whatever is done.  A folder holds `config` (settings as
data, by size), `analysis` (pure functions from the table of seeds to tables, figure and sentences)
and, in its docstring, the question.
"""
