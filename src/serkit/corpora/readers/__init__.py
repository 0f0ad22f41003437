"""Published corpora, a file each: what :mod:`serkit.corpora.registry` finds here can be read by name."""
