"""The data lake: named data, its replicas, and rules that keep enough of them."""
