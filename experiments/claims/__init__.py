"""The paper's claims: evidence, decision rules and the ledger."""
