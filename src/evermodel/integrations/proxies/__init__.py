"""Proxies in front of the server that give a version its share of the requests."""
