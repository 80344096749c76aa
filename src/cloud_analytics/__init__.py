"""Cloud Provider Analytics: landing → bronze → silver → gold → Cassandra, with every input line accounted for."""

import os

__version__ = "0.1.0"

# Arrow reads this variable at its first import. With Arrow's own allocator each micro-batch of a stream kept 11 MB,
# because memory of ended threads was not freed.
os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
