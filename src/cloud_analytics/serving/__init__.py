"""Gold in Apache Cassandra: the embedded node, connections, and what is loaded into them."""
