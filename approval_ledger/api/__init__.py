"""HTTP: the ledger over HTTP and nothing else; it holds no logic of the domain. docs/http.md describes it.

Nothing is imported here: FastAPI takes longer to import than most commands take to run.
"""
