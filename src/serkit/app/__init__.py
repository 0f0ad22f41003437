"""The web app behind ``ser app``. Needs the extra ``app``.

Streamlit runs ``page.py``. ``chosen_model.py`` chooses and shows the model, ``clips.py`` asks it; ``single.py``,
``batch.py``, ``recording.py``, ``features.py``, ``models_page.py`` and ``results_page.py`` are the pages;
``pictures.py`` and ``sound_pictures.py`` draw. Recordings stay in memory and are deleted when the session ends.
"""

from __future__ import annotations

__all__ = ["MODEL_VARIABLE"]

#: Environment variable that passes the model of ``ser app --model`` to the page.
MODEL_VARIABLE = "SERKIT_APP_MODEL"
