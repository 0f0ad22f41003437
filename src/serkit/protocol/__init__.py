"""Splits, made before anything else: which clips train, validate, test and enrol. Fold files for any software."""

from serkit.protocol.make import make_split
from serkit.protocol.split import LEAVES_OUT, PROTOCOLS, Split

__all__ = ["LEAVES_OUT", "PROTOCOLS", "Split", "make_split"]
