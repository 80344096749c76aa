"""`python -m cloud_analytics.runtime [setup]`: the machine's part of `make setup`."""

from __future__ import annotations

import logging
import sys

from cloud_analytics.errors import CloudAnalyticsError
from cloud_analytics.runtime.jars import cache_folder, cassandra_classpath, connector_jars, file_system_jars
from cloud_analytics.runtime.java import ensure_java


def main() -> int:
    """Make sure that there are a Java and every jar; returns the exit status."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
    try:
        java = ensure_java()
        jars = [*file_system_jars(), *connector_jars(), *cassandra_classpath()]
    except CloudAnalyticsError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    print(f"Java {java.version} from {java.source}; {len(jars)} jars in {cache_folder() / 'jars'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
