"""`python -m cloud_analytics.runtime`: the machine's part of `make setup`."""

from __future__ import annotations

import logging
import sys

from cloud_analytics.errors import CloudAnalyticsError
from cloud_analytics.runtime.jars import cache_folder, ensure
from cloud_analytics.runtime.java import ensure_java
from cloud_analytics.runtime.lock import CASSANDRA, FILE_SYSTEM, SPARK


def main() -> int:
    """Make sure that a Java and every jar are installed. Returns the exit status."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
    try:
        java = ensure_java()
        jars = [jar for jar_set in (FILE_SYSTEM, SPARK, CASSANDRA) for jar in ensure(jar_set)]
    except CloudAnalyticsError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    print(f"Java {java.version} from {java.source}; {len(jars)} jars in {cache_folder() / 'jars'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
