"""The report: one HTML page from Gold, for people, that needs no network and no script.

`facts` reads what the page shows, `spending`, `outlook`, `customers`, `billing`, `efficiency` and `trust` make its
sections, `page` writes it.
"""
