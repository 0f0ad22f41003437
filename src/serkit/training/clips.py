"""Clips with their features, and what groups them: a voice, or a place."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
import pandas as pd

from serkit.corpora.columns import COPY
from serkit.corpora.table import voice_names
from serkit.training import fitting

__all__ = ["By", "Clips", "group_names"]

#: What clips have in common: the voice, or the place, which is the corpus.
By: TypeAlias = Literal["voice", "place"]


def group_names(rows: pd.DataFrame, by: By) -> np.ndarray:
    """Return the voice or the place of each row, shape (n,), str."""
    names = voice_names(rows) if by == "voice" else rows["corpus"]
    return names.to_numpy(dtype=str)


@dataclass(frozen=True)
class Clips:
    """Clips with their features.

    Attributes
    ----------
    rows : DataFrame
        A row a clip or altered copy, as :func:`serkit.training.split_rows.joined` gives them, with the index 0 to
        n - 1.
    arrays : list of np.ndarray
        The features of each row.
    """

    rows: pd.DataFrame
    arrays: list[np.ndarray]

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def labels(self) -> np.ndarray:
        """The true label of each row, shape (n,)."""
        return self.rows["emotion"].to_numpy(dtype=str)

    def where(self, mask: np.ndarray) -> Clips:
        """Return the rows for which the boolean array `mask` (n,) is true."""
        arrays = [self.arrays[i] for i in np.flatnonzero(mask)]
        return Clips(self.rows[mask].reset_index(drop=True), arrays)

    def originals(self) -> Clips:
        """Return the rows that are no altered copies."""
        return self.where((self.rows["copy"] == 0).to_numpy())

    def evened(self, seed: int) -> Clips:
        """Return these rows and clips of the rarer labels again, so that every label has as many as the most frequent.

        Each clip is repeated as often as any other of its label, or once more; `seed` draws which.
        """
        labels, rng = self.labels, np.random.default_rng(seed)
        most = max(np.unique(labels, return_counts=True)[1], default=0)
        rows = []
        for label in np.unique(labels):
            own = np.flatnonzero(labels == label)
            rounds = [rng.permutation(own) for _ in range(-(-(most - len(own)) // len(own)))]
            rows.append(np.concatenate([own, *rounds])[:most])
        chosen = np.sort(np.concatenate(rows)) if rows else np.array([], dtype=int)
        return Clips(self.rows.iloc[chosen].reset_index(drop=True), [self.arrays[i] for i in chosen])

    def with_role(self, *roles: str) -> Clips:
        """Return the rows that have one of these roles."""
        return self.where(self.rows["role"].isin(roles).to_numpy())

    def matching(self, rows: pd.DataFrame) -> Clips:
        """Return these clips for `rows`, which name them by path, start, end and copy."""
        found = dict(zip(self.rows[COPY].itertuples(index=False, name=None), self.arrays, strict=True))
        return Clips(rows, [found[key] for key in rows[COPY].itertuples(index=False, name=None)])

    def with_arrays(self, arrays: Iterable[np.ndarray]) -> Clips:
        """Return the same rows with other features."""
        return Clips(self.rows, list(arrays))

    def standardised(self, by: By) -> Clips:
        """Return these clips but those ``outside``, standardised voice by voice or place by place.

        Those of training are measured on their own clips, those of the test on the clips that they enrolled with;
        copies are left out.
        """
        used = self.where((self.rows["role"] != "outside").to_numpy())
        names = group_names(used.rows, by).tolist()
        known = np.flatnonzero(((used.rows["role"] != "test") & (used.rows["copy"] == 0)).to_numpy())
        statistics = fitting.speaker_statistics([used.arrays[i] for i in known], [names[i] for i in known])
        return used.with_arrays(fitting.standardise(used.arrays, names, statistics))
