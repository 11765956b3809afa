"""The endpoints of upstream's API: each reads a call, runs transactions and returns an answer or refuses."""
