"""`python -m cloud_analytics` starts the command line."""

from cloud_analytics.cli import main

main()
