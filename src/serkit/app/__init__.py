"""The web app behind ``ser app``: one clip, many clips, and the model that answers. Needs the extra ``app``.

``page.py`` is what Streamlit runs; ``model.py`` chooses and shows the model, ``clips.py`` asks it, ``single.py`` and
``batch.py`` are the two tabs, ``pictures.py`` draws. Recordings stay in memory and go when the session ends.
"""

from __future__ import annotations

__all__ = ["MODEL_VARIABLE"]

#: Environment variable by which ``ser app --model`` hands its model to the page.
MODEL_VARIABLE = "SERKIT_APP_MODEL"
