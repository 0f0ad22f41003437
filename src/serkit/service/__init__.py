"""The HTTP service (extra ``serve``): recordings in, the answers of the library out.

``application.py`` puts it together, ``settings.py`` holds every limit, ``gate.py`` is what each request passes first,
``server.py`` starts it.
"""
