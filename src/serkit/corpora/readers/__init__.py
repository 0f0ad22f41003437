"""Published corpora, one file each: :mod:`serkit.corpora.registry` finds them, and they can be read by name."""
