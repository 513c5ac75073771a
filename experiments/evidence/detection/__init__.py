"""Which evaluation detects goal misgeneralization, at a true 5% of false alarms, and how early?

On agents whose goals are known from their construction or from what training paid them, in three
worlds: power against how much an agent misgeneralizes, against budget, and by whether a protocol
stays within the training support and is told the proxy.
"""
