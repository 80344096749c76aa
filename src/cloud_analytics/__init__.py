"""Cloud Provider Analytics: landing → bronze → silver → gold → Cassandra, with every input line accounted for."""

import os

__version__ = "0.1.0"

# Arrow reads this when it is first imported. With its own allocator each micro-batch of a stream kept 11 MB: what
# threads take that have ended does not come back.
os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
