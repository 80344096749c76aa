"""`python -m cloud_analytics` is the command line."""

from cloud_analytics.cli import main

main()
