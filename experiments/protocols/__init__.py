"""Evaluation protocols: ways to look for goal misgeneralization, specified, run and compared.

`spec` says what a protocol is, `base` what a method must provide and returns; the methods are in
modules of their own.  `population` holds agents with a known truth, `comparison` asks how well each
protocol tells them apart.  A protocol is added by one YAML file in `configs/protocol/`, or anywhere
(`protocol=/path/to/mine.yaml`), whose `method` may point to any importable class.
"""
