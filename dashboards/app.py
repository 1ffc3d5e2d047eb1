"""The dashboard: every file of pages/ is a page. Started by `reengage up`, or `streamlit run dashboards/app.py`."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

HERE = Path(__file__).parent

# A picture of our own: Streamlit fetches its named icons from outside when they are used as a favicon.
st.set_page_config(page_title="reengage", page_icon=str(HERE / "icon.svg"), layout="wide")

files = sorted((HERE / "pages").glob("[a-z]*.py"))
st.navigation([st.Page(file, title=file.stem.replace("_", " ").capitalize()) for file in files]).run()
