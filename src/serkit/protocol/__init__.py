"""Splits, made before anything else: which clips train, validate, test and enrol. Fold files for any software."""

from serkit.protocol.split import PROTOCOLS, Split, make_split

__all__ = ["PROTOCOLS", "Split", "make_split"]
