"""Is compute a proxy for capability, and for what an agent goes for?"""
