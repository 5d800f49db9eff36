"""The paper's claims, with their decision rules."""
