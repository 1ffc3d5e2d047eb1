"""The dashboard: every file of pages/ is a page. Started by `reengage up`, or `streamlit run dashboards/site/app.py`.

It does not lie beside pages/: Streamlit runs files of such a folder by itself, without this one, when somebody opens a
link to a page before anybody has opened the first.
"""

from __future__ import annotations

from pathlib import Path

import streamlit as st

HERE = Path(__file__).parent

# A picture of our own: Streamlit fetches its named icons from outside when they are used as a favicon.
st.set_page_config(page_title="reengage", page_icon=str(HERE / "icon.svg"), layout="wide")

files = sorted((HERE.parent / "pages").glob("[a-z]*.py"))
st.navigation([st.Page(file, title=file.stem.replace("_", " ").capitalize()) for file in files]).run()
