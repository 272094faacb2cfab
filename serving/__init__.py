"""STEPS 5 to 7 over HTTP: score, explain, record."""
