"""Who trains and who tests: the splits, made before anything else, and the fold files that come with serkit."""

from serkit.protocol.split import PROTOCOLS, Split, make_split

__all__ = ["PROTOCOLS", "Split", "make_split"]
