"""The report: one HTML page from Gold, for people, that needs no network and no script.

`facts` reads the data. `attention` (the first screen), `spending`, `finance`, `support` and `trust` build the sections
from the parts in `view`. `page` renders the HTML.
"""
