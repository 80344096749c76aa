"""The report: one HTML page from Gold, for people, that needs no network and no script.

`facts` reads what the page shows; `attention` (its first screen), `spending`, `finance`, `support` and `trust` make its
sections, of the parts in `view`; `page` writes it.
"""
