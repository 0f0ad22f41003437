"""Many recordings on many machines: Ray, and files on object stores (extra ``scale``).

See Also
--------
serkit.scale.engine.run : Answers any number of recordings into a folder of partitions.
serkit.scale.stores : Files at addresses such as ``s3://bucket/key``.
"""
