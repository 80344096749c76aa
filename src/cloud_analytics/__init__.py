"""Cloud Provider Analytics: landing → bronze → silver → gold → Cassandra, with every input line accounted for."""

__version__ = "0.1.0"
