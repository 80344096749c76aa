"""The serving tables in a browser (Streamlit): each page asks prepared questions, and looks again every few seconds."""
