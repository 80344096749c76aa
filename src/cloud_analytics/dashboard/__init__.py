"""The serving tables in a browser (Streamlit): each page runs prepared queries, and again every few seconds."""
