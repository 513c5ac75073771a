"""Keys and Chests."""

from ..core.registry import Entry

WORLDS = {"keys_and_chests": Entry("misgen/KeysAndChests-v0", "world:KeysAndChests")}
