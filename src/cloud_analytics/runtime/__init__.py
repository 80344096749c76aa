"""What a run needs from the machine: a Java that Spark 3.5 works on, and a few jars."""
