"""From a recipe, a corpus and a split to a run on disk, and from there to a bundle."""
