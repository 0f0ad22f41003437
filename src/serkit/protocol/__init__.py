"""Splits, made before anything else: which clips train, validate, test and enrol. Fold files for any software."""

from serkit.protocol.make import make_split, train_on_one
from serkit.protocol.split import LEAVES_OUT, ONE_CORPUS, PROTOCOLS, Split

__all__ = ["LEAVES_OUT", "ONE_CORPUS", "PROTOCOLS", "Split", "make_split", "train_on_one"]
