"""Gold in Apache Cassandra: the embedded node, the connections, the loads and the queries."""
