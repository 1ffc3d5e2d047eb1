"""The dashboard: every file of pages/ is a page. Started by `reengage up`, or `streamlit run dashboards/site/app.py`.

It does not lie beside pages/: Streamlit runs files of such a folder by itself, without this one, when somebody opens a
link to a page before anybody has opened the first.
"""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from dashboards.access import admit
from dashboards.contents import pages, title
from dashboards.reading import explained, workspace

HERE = Path(__file__).parent

# A picture of our own: Streamlit fetches its named icons from outside when they are used as a favicon.
st.set_page_config(page_icon=str(HERE / "icon.svg"), layout="wide")

shown = [st.Page(file, title=title(file.stem), url_path=file.stem) for file in pages()]


def door() -> None:
    """Leads on to the first page: the one at the root has no name in its address, and every page is to have one."""
    st.switch_page(shown[0], query_params=st.query_params.to_dict())


with explained():  # settings that cannot be read admit nobody
    admit(workspace().settings)
    st.navigation([st.Page(door, title="reengage", default=True, visibility="hidden"), *shown]).run()
