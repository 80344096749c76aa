"""The needs of a run on this machine: a Java that Spark 3.5 supports, a few jars, locks and temporary files."""
